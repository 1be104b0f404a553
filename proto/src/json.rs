//! JSON values to and from `google.protobuf.Value`.

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Number, Value as Json};

/// The largest whole number that a protobuf value, a double, keeps exactly with all its neighbours: 2^53 - 1.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Converts a JSON value. Numbers become doubles.
pub fn to_value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(bool) => Kind::BoolValue(*bool),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => {
            Kind::ListValue(ListValue { values: items.iter().map(to_value).collect() })
        }
        Json::Object(fields) => Kind::StructValue(Struct {
            fields: fields.iter().map(|(key, value)| (key.clone(), to_value(value))).collect(),
        }),
    };
    Value { kind: Some(kind) }
}

/// Converts a protobuf value. Whole doubles within [`MAX_SAFE_INTEGER`] become integers; an unset kind, and a number
/// that is not finite (JSON has none), become null.
pub fn from_value(value: &Value) -> Json {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(bool)) => Json::Bool(*bool),
        Some(Kind::NumberValue(number)) => from_number(*number),
        Some(Kind::StringValue(text)) => Json::String(text.clone()),
        Some(Kind::ListValue(list)) => Json::Array(list.values.iter().map(from_value).collect()),
        Some(Kind::StructValue(fields)) => Json::Object(
            fields
                .fields
                .iter()
                .map(|(key, value)| (key.clone(), from_value(value)))
                .collect::<Map<_, _>>(),
        ),
    }
}

fn from_number(number: f64) -> Json {
    #[expect(clippy::cast_precision_loss, reason = "2^53 - 1 is exact in a double")]
    let whole = number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER as f64;
    if whole {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "checked to be whole and within 53 bits"
        )]
        return Json::Number(Number::from(number as i64));
    }
    Number::from_f64(number).map_or(Json::Null, Json::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_survives_the_way_there_and_back() {
        let json = json!({
            "text": "ü", "whole": 9_007_199_254_740_991_i64, "part": 0.25, "no": null,
            "list": [true, [], {}], "negative": -3,
        });
        assert_eq!(from_value(&to_value(&json)), json);
    }
}
