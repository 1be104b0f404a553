//! Rules of the declared parameters.

use std::collections::HashSet;

use prost::Message as _;
use windlass_proto::v1::{Parameter, ParameterType};

use super::{Report as _, ViolationReason, Violations, field};
use crate::{limits, name, quote::quote, value};

pub(super) fn check(parameters: &[Parameter], violations: &mut Violations) {
    field::count(
        violations,
        format_args!("parameters"),
        "parameters",
        parameters.len(),
        limits::PARAMETERS,
    );
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for (at, parameter) in parameters.iter().enumerate() {
        let name = &parameter.name;
        field::name(
            violations,
            &name::IDENTIFIER,
            "a parameter",
            format_args!("parameters[{at}].name"),
            name,
        );
        if !seen.insert(name) {
            violations.add(
                ViolationReason::DuplicateName,
                format_args!("parameters[{at}].name"),
                format_args!("there are two parameters {}; rename one", quote(name)),
            );
        }
        field::description(
            violations,
            format_args!("parameters[{at}].description"),
            &parameter.description,
        );
        check_type(at, parameter, violations);
        bytes += parameter.default_value.as_ref().map_or(0, prost_types::Value::encoded_len);
    }
    if bytes > limits::ARGUMENTS_BYTES {
        violations.add(
            ViolationReason::TooLarge,
            format_args!("parameters"),
            format_args!(
                "the defaults have {bytes} bytes together, and {} are the most; pass large data by file",
                limits::ARGUMENTS_BYTES
            ),
        );
    }
}

fn check_type(at: usize, parameter: &Parameter, violations: &mut Violations) {
    let name = quote(&parameter.name);
    let kind = match ParameterType::try_from(parameter.r#type) {
        Ok(ParameterType::Unspecified) | Err(_) => {
            violations.add(
                ViolationReason::UnknownValue,
                format_args!("parameters[{at}].type"),
                format_args!(
                    "parameter {name} has no known type; say string, integer, number, boolean, list or object"
                ),
            );
            return;
        }
        Ok(kind) => kind,
    };
    let Some(default) = &parameter.default_value else {
        return;
    };
    let field = format_args!("parameters[{at}].default_value");
    if !value::is_of(default, kind) {
        violations.add(
            ViolationReason::TypeMismatch,
            field,
            format_args!(
                "the default of parameter {name} must be {}, but it is {}; change one of the two",
                value::describe(kind),
                value::describe_value(default)
            ),
        );
    } else if !value::is_shallow(default) {
        violations.add(
            ViolationReason::TooLarge,
            field,
            format_args!(
                "the default of parameter {name} is nested deeper than {} levels; flatten it",
                limits::VALUE_DEPTH
            ),
        );
    }
}
