//! What results depend on.

use prost_types::Duration;
use windlass_engine::graph::NodeIndex;
use windlass_pipeline::{check::check, compile, limits};
use windlass_proto::v1::{self, step::Work};

use super::{pipeline, step, told};

/// A step whose program has this cache.
fn cached(name: &str, cache: v1::Cache) -> v1::Step {
    let mut step = step(name);
    let Some(Work::Task(task)) = &mut step.work else { unreachable!() };
    task.cache = Some(Box::new(cache));
    step
}

fn with_key(entries: &[&str]) -> v1::Cache {
    v1::Cache { key: entries.iter().map(ToString::to_string).collect(), ..v1::Cache::default() }
}

#[track_caller]
fn refused(cache: v1::Cache, expected: &[(&str, &str)]) {
    let violations = check(&pipeline(vec![cached("a", cache)])).expect_err("a rule is broken");
    let expected: Vec<_> = expected
        .iter()
        .map(|(reason, at)| (*reason, format!("steps[0].task.cache.{at}")))
        .collect();
    let expected: Vec<_> = expected.iter().map(|(reason, at)| (*reason, at.as_str())).collect();
    assert_eq!(told(&violations), expected);
}

#[test]
fn what_nothing_can_depend_on_is_refused() {
    refused(
        with_key(&["${{ params.data }}", "${{ steps.b.state }}", "${{ item }}"]),
        &[("UNKNOWN_PARAMETER", "key[0]"), ("UNKNOWN_STEP", "key[1]"), ("UNKNOWN_LOOP", "key[2]")],
    );
    refused(with_key(&["${{ param.data"]), &[("INVALID_REFERENCE", "key[0]")]);
    refused(
        with_key(&["a${{ run.id }}", "b", "${{ step.attempt }}"]),
        &[("INVALID_REFERENCE", "key[0]"), ("INVALID_REFERENCE", "key[2]")],
    );
    refused(with_key(&vec!["x"; limits::CACHE_KEYS + 1]), &[("TOO_LARGE", "key")]);
    let salt = |salt: String| v1::Cache { salt, ..v1::Cache::default() };
    refused(salt("x".repeat(limits::CACHE_SALT_BYTES + 1)), &[("TOO_LARGE", "salt")]);
    refused(salt("${{ params.data }}".into()), &[("INVALID_REFERENCE", "salt")]);
    let max_age = |seconds, nanos| {
        let max_age = Some(Duration { seconds, nanos });
        v1::Cache { max_age, ..v1::Cache::default() }
    };
    for age in [max_age(0, 0), max_age(-1, 0), max_age(limits::DURATION_SECONDS, 1_000_000)] {
        refused(age, &[("INVALID_DURATION", "max_age")]);
    }

    let lawful = v1::Cache {
        key: vec!["x".into(); limits::CACHE_KEYS],
        salt: "x".repeat(limits::CACHE_SALT_BYTES),
        ..max_age(limits::DURATION_SECONDS, 0)
    };
    assert_eq!(check(&pipeline(vec![cached("a", lawful)])), Ok(()));
}

#[test]
fn a_key_of_more_than_a_task_may_have_is_refused() {
    let large = "x".repeat(limits::TASK_BYTES);
    let violations = check(&pipeline(vec![cached("a", with_key(&[&large]))])).unwrap_err();
    assert_eq!(told(&violations), [("TOO_LARGE", "steps[0].task")]);
}

#[test]
fn what_is_another_in_each_attempt_is_refused_in_all_texts_of_a_step_with_a_cache() {
    let mut step = cached("a", v1::Cache::default());
    let Some(Work::Task(task)) = &mut step.work else { unreachable!() };
    task.command.push("${{ step.name }} ${{ step.attempt }}".into());
    task.args.push("${{ run.id }}".into());
    task.working_dir = "/data/${{ run.id }}".into();
    let value = "${{ step.attempt }}".into();
    task.env.push(v1::EnvVar { name: "A".into(), value, secret: None });
    let violations = check(&pipeline(vec![step.clone()])).unwrap_err();
    let expected = [
        ("INVALID_REFERENCE", "steps[0].task.command[1]"),
        ("INVALID_REFERENCE", "steps[0].task.args[0]"),
        ("INVALID_REFERENCE", "steps[0].task.env[0].value"),
        ("INVALID_REFERENCE", "steps[0].task.working_dir"),
    ];
    assert_eq!(told(&violations), expected);

    let Some(Work::Task(task)) = &mut step.work else { unreachable!() };
    task.cache = None;
    assert_eq!(check(&pipeline(vec![step])), Ok(()));
}

#[test]
fn a_step_waits_for_what_its_key_refers_to() {
    let mut load = step("load");
    load.outputs = vec!["sum".into()];
    let train = cached("train", with_key(&["${{ steps.load.outputs.sum }}"]));
    let pipeline = pipeline(vec![train, load]);
    assert_eq!(check(&pipeline), Ok(()));
    let graph = compile::graph(&pipeline, 0).unwrap();
    assert_eq!(graph.dependencies(NodeIndex(0)), [NodeIndex(1)]);
    let itself = cached("a", with_key(&["${{ steps.a.outputs.sum }}"]));
    let cycle = super::pipeline(vec![v1::Step { outputs: vec!["sum".into()], ..itself }]);
    assert_eq!(told(&check(&cycle).unwrap_err())[0].0, "CYCLE");
}
