//! Rules of the declared parameters.

use std::collections::HashSet;

use prost::Message as _;
use windlass_proto::v1::{Parameter, ParameterType};

use super::{Report, ViolationReason, field, scope::Parameters};
use crate::{limits, name, quote::quote, value};

/// Types by name, for those who refer to them.
pub(super) fn types(parameters: &[Parameter]) -> Parameters<'_> {
    parameters.iter().map(|parameter| (parameter.name.as_str(), parameter.r#type())).collect()
}

pub(super) fn check(parameters: &[Parameter], report: &mut impl Report) {
    field::count(
        report,
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
            report,
            &name::IDENTIFIER,
            "a parameter",
            format_args!("parameters[{at}].name"),
            name,
        );
        if !seen.insert(name) {
            report.add(
                ViolationReason::DuplicateName,
                format_args!("parameters[{at}].name"),
                format_args!("there are two parameters {}; rename one", quote(name)),
            );
        }
        field::description(
            report,
            format_args!("parameters[{at}].description"),
            &parameter.description,
        );
        check_type(at, parameter, report);
        bytes += parameter.default_value.as_ref().map_or(0, prost_types::Value::encoded_len);
    }
    if bytes > limits::ARGUMENTS_BYTES {
        report.add(
            ViolationReason::TooLarge,
            format_args!("parameters"),
            format_args!(
                "the defaults have {bytes} bytes together, and {} are the most; pass large data by file",
                limits::ARGUMENTS_BYTES
            ),
        );
    }
}

fn check_type(at: usize, parameter: &Parameter, report: &mut impl Report) {
    let name = quote(&parameter.name);
    let kind = match ParameterType::try_from(parameter.r#type) {
        Ok(ParameterType::Unspecified) | Err(_) => {
            report.add(
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
        report.add(
            ViolationReason::TypeMismatch,
            field,
            format_args!(
                "the default of parameter {name} must be {}, but it is {}; change one of the two",
                value::describe(kind),
                value::describe_value(default)
            ),
        );
    } else if !value::is_shallow(default) {
        report.add(
            ViolationReason::TooLarge,
            field,
            format_args!(
                "the default of parameter {name} is nested deeper than {} levels; flatten it",
                limits::VALUE_DEPTH
            ),
        );
    }
}
