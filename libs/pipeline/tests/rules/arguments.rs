//! The rules of a run's arguments.

use std::collections::BTreeMap;

use prost_types::{Value, value::Kind};
use serde_json::{Value as Json, json};
use windlass_pipeline::{
    arguments::{ArgumentError, parse_argument, resolve},
    limits,
};
use windlass_proto::{
    json::to_value,
    v1::{self, ParameterType},
};

use crate::{pipeline, step, told};

pub(crate) fn parameters() -> v1::Pipeline {
    let parameter = |name: &str, kind: ParameterType, default: Option<Json>| v1::Parameter {
        name: name.into(),
        r#type: kind.into(),
        default_value: default.as_ref().map(to_value),
        ..v1::Parameter::default()
    };
    v1::Pipeline {
        parameters: vec![
            parameter("data", ParameterType::String, None),
            parameter("folds", ParameterType::Integer, Some(json!(5))),
            parameter("rate", ParameterType::Number, Some(json!(0.5))),
            parameter("tags", ParameterType::List, Some(json!([1, "a"]))),
        ],
        ..pipeline(vec![step("a")])
    }
}

fn given<const N: usize>(arguments: [(&str, Json); N]) -> BTreeMap<String, Value> {
    arguments.into_iter().map(|(name, value)| (name.to_owned(), to_value(&value))).collect()
}

#[test]
fn arguments_are_what_is_given_else_the_default() {
    let resolved =
        resolve(&parameters(), &given([("data", json!("d")), ("rate", json!(2))])).unwrap();
    assert_eq!(json!(resolved), json!({"data": "d", "folds": 5, "rate": 2, "tags": [1, "a"]}));
}

#[test]
fn arguments_that_are_missing_unknown_or_of_another_type_are_refused() {
    let refused = |arguments| resolve(&parameters(), &arguments).unwrap_err();
    insta::assert_snapshot!(refused(given([])), @"arguments[data]: parameter `data` has no value and no default; give it one: text");
    insta::assert_snapshot!(refused(given([("date", json!("d"))])), @"arguments[date]: the pipeline has no parameter `date`; did you mean `data`?");
    let wrong = given([("data", json!(1)), ("folds", json!(0.5)), ("tags", json!({}))]);
    insta::assert_snapshot!(refused(wrong), @r"
arguments[data]: parameter `data` must be text, but it is a whole number; change it
arguments[folds]: parameter `folds` must be a whole number of at most 53 bits, but it is a number with a fraction; change it
arguments[tags]: parameter `tags` must be a list, but it is an object; change it
");
    let beyond = given([("data", json!("d")), ("folds", json!(1_u64 << 53))]);
    assert_eq!(told(&refused(beyond)), [("TYPE_MISMATCH", "arguments[folds]")]);
    let large = given([("data", json!("x".repeat(limits::ARGUMENTS_BYTES)))]);
    assert_eq!(told(&refused(large)), [("TOO_LARGE", "arguments")]);
    let mut infinite = given([("data", json!("d"))]);
    infinite.insert("rate".into(), Value { kind: Some(Kind::NumberValue(f64::INFINITY)) });
    assert_eq!(told(&refused(infinite)), [("TYPE_MISMATCH", "arguments[rate]")]);
}

#[test]
fn arguments_on_a_command_line_are_read_by_their_types() {
    let parsed = |kind, text| {
        parse_argument(kind, text).map(|value| windlass_proto::json::from_value(&value))
    };
    assert_eq!(parsed(ParameterType::String, "1"), Ok(json!("1")));
    assert_eq!(parsed(ParameterType::Integer, "1"), Ok(json!(1)));
    assert_eq!(parsed(ParameterType::Number, "1e-3"), Ok(json!(0.001)));
    assert_eq!(parsed(ParameterType::Boolean, "true"), Ok(json!(true)));
    assert_eq!(parsed(ParameterType::List, "[1]"), Ok(json!([1])));
    assert_eq!(parsed(ParameterType::Object, r#"{"a": []}"#), Ok(json!({"a": []})));
    for (kind, text) in [
        (ParameterType::Integer, "1.5"),
        (ParameterType::Number, "NaN"),
        (ParameterType::Boolean, "yes"),
        (ParameterType::List, "1,2"),
        (ParameterType::Object, "[]"),
    ] {
        let refused = parsed(kind, text).unwrap_err();
        assert!(matches!(&refused, ArgumentError::NotOfType { text: told, .. } if told == text));
    }
    let error = parse_argument(ParameterType::Integer, "many").unwrap_err();
    insta::assert_snapshot!(error, @"`many` is not a whole number of at most 53 bits; write digits such as `42`");
}
