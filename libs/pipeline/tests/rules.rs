//! The rules that files alone cannot break, and those of arguments.

use std::collections::BTreeMap;

use prost_types::{Duration, Value, value::Kind};
use serde_json::{Value as Json, json};
use windlass_pipeline::{
    arguments::{ArgumentError, parse_argument, resolve},
    check::{Violations, check},
    compile, limits,
};
use windlass_proto::{
    json::to_value,
    v1::{self, ParameterType, step::Work},
};

fn step(name: &str) -> v1::Step {
    let task = v1::Task { command: vec!["x".into()], ..v1::Task::default() };
    v1::Step { name: name.into(), work: Some(Work::Task(Box::new(task))), ..v1::Step::default() }
}

fn pipeline(steps: Vec<v1::Step>) -> v1::Pipeline {
    v1::Pipeline { name: "p".into(), steps, ..v1::Pipeline::default() }
}

/// Of each violation its reason and field.
fn told(violations: &Violations) -> Vec<(&'static str, &str)> {
    violations
        .iter()
        .map(|violation| (violation.reason.as_str(), violation.field.as_str()))
        .collect()
}

#[track_caller]
fn refused(change: impl FnOnce(&mut v1::Pipeline), expected: &[(&str, &str)]) {
    let mut pipeline = pipeline(vec![step("a"), step("b")]);
    assert_eq!(check(&pipeline), Ok(()));
    change(&mut pipeline);
    assert_eq!(told(&check(&pipeline).expect_err("a rule is broken")), expected);
}

#[track_caller]
fn refused_task(change: impl FnOnce(&mut v1::Task), expected: &[(&str, &str)]) {
    refused(
        |pipeline| {
            let Some(Work::Task(task)) = &mut pipeline.steps[1].work else { unreachable!() };
            change(task);
        },
        expected,
    );
}

#[test]
fn all_violations_are_told_with_their_places() {
    refused(
        |pipeline| {
            pipeline.name.clear();
            pipeline.steps[1].name = "a".into();
            pipeline.steps[1].depends_on = vec!["a".into(), "c".into()];
            pipeline.steps[1].work = None;
        },
        &[
            ("INVALID_NAME", "name"),
            ("DUPLICATE_NAME", "steps[1].name"),
            ("UNKNOWN_DEPENDENCY", "steps[1].depends_on[1]"),
            ("MISSING_WORK", "steps[1].task"),
        ],
    );
}

#[test]
fn numbers_that_mean_nothing_are_refused() {
    refused(|pipeline| pipeline.failure_mode = 9, &[("UNKNOWN_VALUE", "failure_mode")]);
    refused(
        |pipeline| pipeline.steps[0].trigger_rule = -1,
        &[("UNKNOWN_VALUE", "steps[0].trigger_rule")],
    );
    let parameter =
        |kind| v1::Parameter { name: "n".into(), r#type: kind, ..v1::Parameter::default() };
    refused(
        |pipeline| pipeline.parameters = vec![parameter(0)],
        &[("UNKNOWN_VALUE", "parameters[0].type")],
    );
    refused(
        |pipeline| pipeline.parameters = vec![parameter(7)],
        &[("UNKNOWN_VALUE", "parameters[0].type")],
    );
}

#[test]
fn durations_that_are_none_are_refused() {
    for (seconds, nanos) in
        [(-1, 0), (0, -1), (1, 1_000_000_000), (limits::DURATION_SECONDS, 1), (i64::MAX, 0)]
    {
        let duration = Some(Duration { seconds, nanos });
        refused(|pipeline| pipeline.start_gap = duration, &[("INVALID_DURATION", "start_gap")]);
        refused(
            |pipeline| pipeline.steps[0].timeout = duration,
            &[("INVALID_DURATION", "steps[0].timeout")],
        );
        refused_task(
            |task| task.termination_grace = duration,
            &[("INVALID_DURATION", "steps[1].task.termination_grace")],
        );
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let long = "x".repeat(limits::TEXT_BYTES + 1);
    refused_task(|task| task.args = vec![long.clone()], &[("TOO_LARGE", "steps[1].task.args[0]")]);
    refused_task(
        |task| task.args = vec![String::new(); limits::WORDS],
        &[("TOO_LARGE", "steps[1].task.command")],
    );
    let nearly = "x".repeat(limits::TEXT_BYTES);
    refused_task(|task| task.args = vec![nearly.clone(); 9], &[("TOO_LARGE", "steps[1].task")]);
    refused(|pipeline| pipeline.description = "é".repeat(4097), &[("TOO_LARGE", "description")]);
    refused(
        |pipeline| pipeline.steps = vec![step("a"); limits::STEPS + 1],
        &[("TOO_LARGE", "steps")],
    );
    let outputs: Vec<_> = (0..=limits::OUTPUTS).map(|n| format!("o{n}")).collect();
    refused(|pipeline| pipeline.steps[0].outputs = outputs, &[("TOO_LARGE", "steps[0].outputs")]);
}

#[test]
fn a_cycle_is_refused_by_check_and_by_compile_in_the_same_words() {
    let steps = (0..20).map(|n| v1::Step {
        depends_on: vec![format!("s{}", (n + 1) % 20)],
        ..step(&format!("s{n}"))
    });
    let pipeline = pipeline(steps.collect());
    let violations = check(&pipeline).unwrap_err();
    assert_eq!(compile::graph(&pipeline, 0).unwrap_err(), violations);
    insta::assert_snapshot!(violations, @"steps[0].depends_on: steps wait for each other in a circle: `s0 -> s1 -> s2 -> s3 -> s4 -> s5 -> s6 -> s7 -> s8 -> s9 -> (10 more) -> s0`; remove one of these dependencies");
}

#[test]
fn a_dependency_said_twice_counts_once() {
    let again = v1::Step { depends_on: vec!["a".into(), "a".into()], ..step("b") };
    let graph = compile::graph(&pipeline(vec![step("a"), again]), 0).unwrap();
    assert_eq!(graph.dependencies(windlass_engine::record::StepIndex(1)).len(), 1);
}

fn parameters() -> v1::Pipeline {
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
