//! Runs to store, and processes to store them.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use windlass_engine::{
    event::Order,
    layout::Expansion,
    record::{RunRecord, RunState, StepIndex, StepRecord},
};
use windlass_proto::id::RunId;
use windlass_store::{Commit, NewRun, SqliteStore, Store, Submission, Version};

pub(crate) const STEPS: u32 = 500;
pub(crate) const RUNS: u32 = 4;

pub(crate) fn run_id(number: u32) -> RunId {
    format!("run_{number:026}").parse().unwrap()
}

pub(crate) fn new_run(number: u32) -> NewRun {
    let submission = Submission {
        id: run_id(number),
        namespace: "team".into(),
        pipeline: "nightly".into(),
        labels: BTreeMap::from([("owner".into(), "data".into())]),
        arguments_json: "{}".into(),
        digest: [7; 32],
        rerun_of: None,
        no_cache: false,
        priority: 0,
        steps: STEPS,
    };
    NewRun { submission, pipeline: vec![1; 10_000].into(), record: RunRecord::default() }
}

/// The commit that makes version `number`, and marks its steps with that number.
pub(crate) fn commit(run: u32, expected: Version, steps: impl Iterator<Item = u32>) -> Commit {
    let number = u32::try_from(expected.number + 1).unwrap();
    let record = StepRecord { attempt: number, ..StepRecord::default() };
    Commit {
        run: run_id(run),
        expected,
        commit: u64::from(number) << 32,
        record: RunRecord { state: RunState::Running, retries: number, ..RunRecord::default() },
        steps: steps.map(|step| (StepIndex(step), record)).collect(),
        attempts: Vec::new(),
        outputs: vec![(StepIndex(number % STEPS), format!("{{\"by\":{number}}}").into())],
        expansions: Vec::new(),
        step_count: 0,
        orders_taken: None,
        amendment: None,
    }
}

/// The same commit, which has the run grow from so many steps on.
pub(crate) fn grown(commit: Commit, first: u32, items: u32) -> Commit {
    let expansion = Expansion { step: StepIndex(0), first: StepIndex(first), items };
    Commit { expansions: vec![expansion], step_count: first + items, ..commit }
}

/// A file with some runs in it, closed again.
pub(crate) async fn stored(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("windlass.db");
    let store = SqliteStore::open(&path).unwrap();
    for run in 0..RUNS {
        store.create(new_run(run)).await.unwrap();
        store.commit(vec![commit(run, Version::FIRST, 0..STEPS)]).await.unwrap();
        store.place_order(run_id(run), Order::Pause).await.unwrap();
    }
    path
}

/// Runs this test again as a process of its own, which finds the file's name in its environment.
pub(crate) fn again_in_a_process(test: &str, path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(FILE, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) const FILE: &str = "WINDLASS_TEST_STORE";
