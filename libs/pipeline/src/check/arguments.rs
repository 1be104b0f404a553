//! Rules of what a self-contained group is given.

use std::fmt;

use prost::Message as _;
use prost_types::{Value, value::Kind};
use windlass_proto::v1::{Inputs, ParameterType};

use super::{
    Report as _, ViolationReason, field,
    scope::{Parameters, Scope},
    text,
    walk::StepCheck,
};
use crate::{limits, quote::quote, suggest::did_you_mean, value};

/// Checks the arguments of a group, which are found where the group stands: `scope`.
pub(super) fn check<'a>(
    inputs: &Inputs,
    parameters: &Parameters<'_>,
    scope: &Scope<'a, '_>,
    check: &mut StepCheck<'a, '_>,
) {
    let mut bytes = 0;
    for (name, value) in &inputs.arguments {
        let key = field::key(name);
        let field = format_args!("group.inputs.arguments[{key}]");
        bytes += name.len() + value.encoded_len();
        match parameters.get(name.as_str()) {
            Some(kind) => check_value(name, value, *kind, field, scope, check),
            None => check.add(
                ViolationReason::UnknownArgument,
                field,
                format_args!(
                    "the group has no parameter {}{}",
                    quote(name),
                    did_you_mean(name, parameters.keys().copied()).or("; leave it out")
                ),
            ),
        }
    }
    let field = format_args!("group.inputs.arguments");
    if bytes > limits::ARGUMENTS_BYTES {
        check.add(
            ViolationReason::TooLarge,
            field,
            format_args!(
                "the arguments have {bytes} bytes together, and {} are the most; pass large data by file",
                limits::ARGUMENTS_BYTES
            ),
        );
    }
    for parameter in &inputs.parameters {
        // Of a parameter without a type something else is told.
        let is_open =
            parameter.default_value.is_none() && parameter.r#type() != ParameterType::Unspecified;
        if is_open && !inputs.arguments.contains_key(&parameter.name) {
            check.add(
                ViolationReason::MissingArgument,
                field,
                format_args!(
                    "parameter {} of the group has no value and no default; give it one in `arguments`: {}",
                    quote(&parameter.name),
                    value::describe(parameter.r#type())
                ),
            );
        }
    }
}

fn check_value<'a>(
    name: &str,
    argument: &Value,
    kind: ParameterType,
    field: fmt::Arguments<'_>,
    scope: &Scope<'a, '_>,
    check: &mut StepCheck<'a, '_>,
) {
    if !value::is_shallow(argument) {
        return check.add(
            ViolationReason::TooLarge,
            field,
            format_args!(
                "parameter {} is nested deeper than {} levels; flatten it",
                quote(name),
                limits::VALUE_DEPTH
            ),
        );
    }
    if let Some(Kind::StringValue(text)) = &argument.kind
        && let Ok(reference) = text::single(text)
    {
        text::early_reference(check, scope, field, reference);
        if let Some(given) = scope.kind(reference).filter(|given| !may_be(*given, kind)) {
            let is = format_args!("`{reference}` is {}", value::describe(given));
            refuse_type(name, kind, field, is, check);
        }
    } else if let Some(text) = text::with_reference(argument) {
        let what = "an argument is a value, or one reference as a whole; give the parts as arguments of their own";
        let message = match text::single(text) {
            Err(Some(error)) => error.to_string(),
            Ok(_) | Err(None) => format!("{}: {what}", quote(text)),
        };
        check.add(ViolationReason::InvalidReference, field, format_args!("{message}"));
    } else if !value::is_of(argument, kind) {
        let is = format_args!("it is {}", value::describe_value(argument));
        refuse_type(name, kind, field, is, check);
    }
}

fn refuse_type(
    name: &str,
    kind: ParameterType,
    field: fmt::Arguments<'_>,
    is: fmt::Arguments<'_>,
    check: &mut StepCheck<'_, '_>,
) {
    if kind != ParameterType::Unspecified {
        check.add(
            ViolationReason::TypeMismatch,
            field,
            format_args!(
                "parameter {} of the group must be {}, but {is}; change one of the two",
                quote(name),
                value::describe(kind)
            ),
        );
    }
}

/// Whether a value of one type may be of another, too.
fn may_be(given: ParameterType, wanted: ParameterType) -> bool {
    use ParameterType::{Integer, Number, Unspecified};
    given == wanted
        || given == Unspecified
        || matches!((given, wanted), (Integer, Number) | (Number, Integer))
}
