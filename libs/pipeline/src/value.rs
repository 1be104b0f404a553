//! Whether a value is of a parameter's type.

use prost_types::{Value, value::Kind};
use windlass_proto::{json::MAX_SAFE_INTEGER, v1::ParameterType};

use crate::limits;

/// What a type's values are, to end `must be …`.
pub(crate) fn describe(kind: ParameterType) -> &'static str {
    match kind {
        ParameterType::Unspecified => "of a known type",
        ParameterType::String => "text",
        ParameterType::Integer => "a whole number of at most 53 bits",
        ParameterType::Number => "a finite number",
        ParameterType::Boolean => "true or false",
        ParameterType::List => "a list",
        ParameterType::Object => "an object",
    }
}

/// What a value is, to end `but it is …`.
pub(crate) fn describe_value(value: &Value) -> &'static str {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => "null",
        Some(Kind::BoolValue(_)) => "a boolean",
        Some(Kind::NumberValue(number)) if !number.is_finite() => "a number that is not finite",
        Some(Kind::NumberValue(number)) if number.fract() != 0.0 => "a number with a fraction",
        Some(Kind::NumberValue(number)) if !is_safe_integer(*number) => {
            "a whole number of more than 53 bits"
        }
        Some(Kind::NumberValue(_)) => "a whole number",
        Some(Kind::StringValue(_)) => "text",
        Some(Kind::ListValue(_)) => "a list",
        Some(Kind::StructValue(_)) => "an object",
    }
}

/// Whether a value is of a type.
pub(crate) fn is_of(value: &Value, kind: ParameterType) -> bool {
    match (kind, &value.kind) {
        (ParameterType::Integer, Some(Kind::NumberValue(number))) => is_safe_integer(*number),
        (ParameterType::Number, Some(Kind::NumberValue(number))) => number.is_finite(),
        (ParameterType::String, Some(Kind::StringValue(_)))
        | (ParameterType::Boolean, Some(Kind::BoolValue(_))) => true,
        (ParameterType::List, Some(Kind::ListValue(_)))
        | (ParameterType::Object, Some(Kind::StructValue(_))) => is_finite(value),
        _ => false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is exact in a double")]
fn is_safe_integer(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64
}

/// Whether all numbers in a value are ones that JSON can hold.
pub(crate) fn is_finite(value: &Value) -> bool {
    match &value.kind {
        Some(Kind::NumberValue(number)) => number.is_finite(),
        Some(Kind::ListValue(list)) => list.values.iter().all(is_finite),
        Some(Kind::StructValue(fields)) => fields.fields.values().all(is_finite),
        _ => true,
    }
}

/// Whether lists and objects lie in each other at most as deep as allowed.
pub(crate) fn is_shallow(value: &Value) -> bool {
    fits(value, limits::VALUE_DEPTH)
}

fn fits(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return !matches!(value.kind, Some(Kind::ListValue(_) | Kind::StructValue(_)));
    };
    match &value.kind {
        Some(Kind::ListValue(list)) => list.values.iter().all(|value| fits(value, below)),
        Some(Kind::StructValue(fields)) => fields.fields.values().all(|value| fits(value, below)),
        _ => true,
    }
}
