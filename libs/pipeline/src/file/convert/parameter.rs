//! Parameters, and values of them.

use windlass_proto::{json, v1};

use crate::file::{collection::Named, entry::ParameterEntry, format};

/// Converts declared parameters.
pub(super) fn all(parameters: Named<ParameterEntry>) -> Vec<v1::Parameter> {
    parameters.0.into_iter().map(parameter).collect()
}

fn parameter((name, ParameterEntry(entry)): (String, ParameterEntry)) -> v1::Parameter {
    let kind = match (entry.kind, &entry.default) {
        (Some(kind), _) => parameter_type(kind),
        (None, Some(default)) => type_of(default),
        (None, None) => v1::ParameterType::Unspecified,
    };
    v1::Parameter {
        name,
        r#type: kind.into(),
        default_value: entry.default.as_ref().map(json::to_value),
        description: entry.description.unwrap_or_default(),
    }
}

fn parameter_type(kind: format::ParameterType) -> v1::ParameterType {
    match kind {
        format::ParameterType::String => v1::ParameterType::String,
        format::ParameterType::Integer => v1::ParameterType::Integer,
        format::ParameterType::Number => v1::ParameterType::Number,
        format::ParameterType::Boolean => v1::ParameterType::Boolean,
        format::ParameterType::List => v1::ParameterType::List,
        format::ParameterType::Object => v1::ParameterType::Object,
    }
}

fn type_of(default: &serde_json::Value) -> v1::ParameterType {
    match default {
        serde_json::Value::Null => v1::ParameterType::Unspecified,
        serde_json::Value::Bool(_) => v1::ParameterType::Boolean,
        serde_json::Value::Number(number) if number.is_f64() => v1::ParameterType::Number,
        serde_json::Value::Number(_) => v1::ParameterType::Integer,
        serde_json::Value::String(_) => v1::ParameterType::String,
        serde_json::Value::Array(_) => v1::ParameterType::List,
        serde_json::Value::Object(_) => v1::ParameterType::Object,
    }
}
