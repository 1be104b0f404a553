//! Runs to try a store with.

use std::{collections::BTreeMap, sync::Arc};

use windlass_engine::{
    layout::Expansion,
    reason::{Failure, FailureReason, Reason},
    record::{AttemptEnd, AttemptRecord, RunRecord, RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};
use windlass_proto::id::RunId;

use crate::{Commit, Committed, Created, NewRun, RunView, Store, Submission, Version};

/// The n-th run; runs of higher numbers have higher ids.
pub(super) fn run_id(number: u32) -> RunId {
    format!("run_{number:026}").parse().expect("26 digits")
}

/// The n-th run, with so many steps.
pub(super) fn new_run(number: u32, steps: u32) -> NewRun {
    let mut record = RunRecord::default();
    record.counts[StepState::Waiting as usize] = steps;
    NewRun {
        submission: Submission {
            id: run_id(number),
            namespace: "team".into(),
            pipeline: "nightly".into(),
            labels: BTreeMap::from([("owner".into(), "data".into()), ("tier".into(), "1".into())]),
            arguments_json: r#"{"day":"2025-01-01"}"#.into(),
            digest: [number.to_le_bytes()[0]; 32],
            rerun_of: (number > 0).then(|| run_id(0)),
            no_cache: number > 0,
            // Of either sign, and 0 for the first one.
            priority: if number.is_multiple_of(2) { number.cast_signed() } else { -1000 },
            steps,
        },
        pipeline: format!("the pipeline of {number}").into(),
        record,
    }
}

/// Creates the n-th run and reads it.
pub(super) async fn create(store: &dyn Store, number: u32, steps: u32) -> RunView {
    assert_eq!(store.create(new_run(number, steps)).await, Ok(Created::New));
    read(store, number).await
}

/// Reads the n-th run, which is there.
pub(super) async fn read(store: &dyn Store, number: u32) -> RunView {
    store.read_run(run_id(number)).await.expect("it can be read").expect("it is there")
}

/// A commit to a run as it was read, which changes nothing yet.
pub(super) fn commit_to(view: &RunView) -> Commit {
    Commit {
        run: view.submission.id,
        expected: view.version,
        commit: view.version.number * 1000 + 7,
        record: view.record.clone(),
        steps: Vec::new(),
        attempts: Vec::new(),
        outputs: Vec::new(),
        expansions: Vec::new(),
        step_count: view.step_count,
        orders_taken: None,
        amendment: None,
    }
}

/// Has a loop expand in this commit: to so many items of so many steps each.
pub(super) fn expand(commit: &mut Commit, step: u32, items: u32, steps_each: u32) {
    let first = StepIndex(commit.step_count);
    commit.expansions.push(Expansion { step: StepIndex(step), first, items });
    commit.step_count += items * steps_each;
}

/// Commits one and tells the new version.
pub(super) async fn commit(store: &dyn Store, commit: Commit) -> Version {
    let expected = Version { number: commit.expected.number + 1, commit: commit.commit };
    assert_eq!(store.commit(vec![commit]).await, Ok(vec![Committed::Done(expected)]));
    expected
}

/// Commits a state of the run and nothing else.
pub(super) async fn commit_state(store: &dyn Store, number: u32, state: RunState) {
    let mut change = commit_to(&read(store, number).await);
    change.record.state = state;
    commit(store, change).await;
}

/// A state of a step, another one for every number.
pub(super) fn step_record(number: u32) -> StepRecord {
    StepRecord {
        state: StepState::ALL[number as usize % StepState::COUNT],
        reason: Reason::Failure(FailureReason::ExitCode),
        failures: number.to_le_bytes()[0].into(),
        losses: 3,
        attempt: number,
        cause: Some(StepIndex(number)),
        queued_at: Timestamp(1_700_000_000_000 + u64::from(number)),
        started_at: Timestamp(1_700_000_000_001),
        until: Timestamp(u64::MAX),
    }
}

/// A failed attempt.
pub(super) fn attempt(step: u32, attempt: u32, message: &str) -> AttemptRecord {
    let failure = Failure {
        reason: FailureReason::ExitCode,
        message: message.into(),
        exit_code: Some(2),
        signal: None,
    };
    AttemptRecord {
        step: StepIndex(step),
        attempt,
        queued_at: Timestamp(1),
        started_at: Timestamp(2),
        ended_at: Timestamp(3),
        end: AttemptEnd::Failed(failure),
    }
}

/// Outputs of a step.
pub(super) fn output(step: u32, json: &str) -> (StepIndex, Arc<str>) {
    (StepIndex(step), json.into())
}
