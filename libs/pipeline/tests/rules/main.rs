//! The rules that files alone cannot break, and those of arguments.

mod arguments;
mod cache;
mod dynamic;
mod pods;
mod retries;

use prost_types::Duration;
use windlass_pipeline::{
    check::{Violations, check},
    compile, limits,
};
use windlass_proto::v1::{self, step::Work};

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
    assert_eq!(graph.dependencies(windlass_engine::graph::NodeIndex(1)).len(), 1);
}
