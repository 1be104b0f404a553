//! What a retry may change of a run: which kept steps have come from the values of parameters.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::Duration;
use serde_json::{Value, json};
use windlass_engine::{policy::LimitChanges, run::Kept};
use windlass_pipeline::{
    amend::{self, InUse},
    check::Violations,
    file::{self, FileOptions},
    outline::RunSteps,
};
use windlass_proto::{encoded::EncodedPipeline, v1};

const PIPELINE: &str = r#"
name: nightly
parameters:
  day: {type: string, default: monday}
  rate: {type: number, default: 0.5}
  files: {type: list, default: [a, b]}
  deploy: {type: boolean, default: false}
  unused: {type: integer, default: 1}
steps:
  load:
    command: [load, "${{ params.day }}"]
  env:
    env: {RATE: "rate ${{ params.rate }}"}
    run: train
  plain:
    command: [plain, "${{ steps.load.state }}"]
  deploy:
    when: params.deploy && steps.plain.state == 'succeeded'
    command: [deploy, "${{ params.day }}"]
  each:
    for_each: ${{ params.files }}
    command: [convert, "${{ item }}"]
  own:
    parameters:
      which: {type: string}
      other: {type: number, default: 1}
    arguments: {which: "${{ params.day }}"}
    steps:
      passes-on:
        command: [x, "${{ params.which }}"]
      has-a-default:
        command: [x, "${{ params.other }}"]
      day:
        command: [x, y]
"#;

fn pipeline() -> v1::Pipeline {
    file::parse(PIPELINE.as_bytes(), &FileOptions::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// What keeps these parameters from being changed, where so much of these steps is kept.
fn in_use(changed: &[&str], kept: &[(&str, Kept)]) -> Option<InUse> {
    let encoded = EncodedPipeline::new(pipeline().encode_to_vec().into()).unwrap();
    let steps = RunSteps::of_encoded(&encoded).unwrap();
    let kept: Vec<_> = kept
        .iter()
        .map(|(path, kept)| (steps.find(path).unwrap_or_else(|| panic!("no step {path}")), *kept))
        .collect();
    let changed: BTreeSet<_> = changed.iter().map(|name| (*name).to_owned()).collect();
    amend::in_use(&encoded, steps.layout(), &kept, &changed).unwrap()
}

/// By these steps.
fn by(parameter: &str, steps: &[&str]) -> InUse {
    let steps = steps.iter().map(|step| (*step).to_owned()).collect();
    InUse { parameters: vec![parameter.to_owned()], steps, more: 0 }
}

const ALL: [(&str, Kept); 9] = [
    ("load", Kept::Whole),
    ("env", Kept::Whole),
    ("plain", Kept::Whole),
    ("deploy", Kept::Whole),
    ("each", Kept::Whole),
    ("own", Kept::Whole),
    ("own.passes-on", Kept::Whole),
    ("own.has-a-default", Kept::Whole),
    ("own.day", Kept::Whole),
];

#[test]
fn a_kept_step_has_come_from_what_its_work_refers_to_also_through_what_a_group_is_given() {
    assert_eq!(in_use(&["rate"], &ALL), Some(by("rate", &["env"])));
    assert_eq!(in_use(&["day"], &ALL), Some(by("day", &["load", "deploy", "own.passes-on"])));
    assert_eq!(in_use(&["unused"], &ALL), None);
    assert_eq!(in_use(&[], &ALL), None);
    assert_eq!(in_use(&["day"], &[("plain", Kept::Whole), ("own.day", Kept::Whole)]), None);
}

#[test]
fn what_a_condition_skipped_has_come_from_the_condition_alone() {
    let skipped = [("deploy", Kept::Condition)];
    assert_eq!(in_use(&["deploy"], &skipped), Some(by("deploy", &["deploy"])));
    assert_eq!(in_use(&["day"], &skipped), None);
}

#[test]
fn a_loop_that_opens_again_has_come_from_its_list() {
    assert_eq!(in_use(&["files"], &[("each", Kept::Opening)]), Some(by("files", &["each"])));
    assert_eq!(in_use(&["day"], &[("load", Kept::Opening)]), None);
}

#[test]
fn a_few_steps_are_named_and_the_others_counted() {
    let kept: Vec<_> = std::iter::repeat_n(("load", Kept::Whole), 8).collect();
    let found = in_use(&["day", "rate"], &kept).unwrap();
    assert_eq!(found.parameters, ["day"], "the one that is used");
    assert_eq!((found.steps.len(), found.more), (5, 3));
}

fn arguments(given: &Value) -> Result<amend::Arguments, Violations> {
    let current = json!({
        "day": "monday", "rate": 0.5, "files": ["a", "b"], "deploy": false, "unused": 1
    });
    let Value::Object(current) = current else { unreachable!() };
    amend::arguments(&pipeline(), &current, given.as_object().unwrap())
}

#[test]
fn values_that_are_given_come_in_place_of_those_that_the_run_has() {
    let new = arguments(&json!({"day": "friday", "rate": 0.5, "files": ["a", "b"]})).unwrap();
    assert_eq!(new.changed.into_iter().collect::<Vec<_>>(), ["day"], "the others are as they were");
    let expected = json!({
        "day": "friday", "rate": 0.5, "files": ["a", "b"], "deploy": false, "unused": 1
    });
    assert_eq!(json!(new.values), expected);
}

#[test]
fn values_are_refused_as_at_submission() {
    let told = |given: &Value| {
        let violations = arguments(given).unwrap_err();
        violations.iter().map(|it| (it.reason.as_str(), it.field.clone())).collect::<Vec<_>>()
    };
    let unknown = ("UNKNOWN_ARGUMENT", "arguments[dya]".to_owned());
    assert_eq!(told(&json!({"dya": "friday"})), [unknown]);
    let mismatch = ("TYPE_MISMATCH", "arguments[unused]".to_owned());
    assert_eq!(told(&json!({"unused": 1.5})), [mismatch]);
}

#[test]
fn a_time_out_is_changed_lifted_or_refused() {
    let limits = |seconds| amend::limits(Some(3), Some(&Duration { seconds, nanos: 0 }));
    let changed = |timeout| LimitChanges { max_parallelism: Some(3), timeout_ms: Some(timeout) };
    assert_eq!(limits(7), Ok(changed(7000)));
    assert_eq!(limits(0), Ok(changed(0)));
    assert_eq!(amend::limits(None, None), Ok(LimitChanges::default()));
    for refused in [limits(-1), limits(31 * 24 * 3600)] {
        let violations = refused.unwrap_err();
        let violation = violations.iter().next().unwrap();
        assert_eq!((violation.reason.as_str(), &*violation.field), ("INVALID_DURATION", "timeout"));
    }
}
