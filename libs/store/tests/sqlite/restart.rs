//! What was answered to is there afterwards, however the process ended.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::{BufRead, BufReader},
    sync::Arc,
};

use tempfile::TempDir;
use tokio::task::JoinSet;
use windlass_engine::event::Order;
use windlass_store::{Committed, Created, SqliteStore, Store, Version};

use crate::fixture::{FILE, RUNS, STEPS, again_in_a_process, commit, grown, new_run, run_id};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("windlass.db");
    File::create(&path).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    store.create(new_run(1)).await.unwrap();
    store.create(new_run(2)).await.unwrap();
    let grown = grown(commit(1, Version::FIRST, (0..STEPS).step_by(3)), STEPS, 100);
    store.commit(vec![grown]).await.unwrap();
    store.place_order(run_id(1), Order::Cancel).await.unwrap();
    store.remove(run_id(2), Version::FIRST).await.unwrap();
    let before = (store.load(run_id(1)).await.unwrap().unwrap(), store.now().await.unwrap());
    drop(store);
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        1,
        "one file is all there is to copy"
    );

    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.load(run_id(1)).await.unwrap().unwrap(), before.0);
    assert!(store.now().await.unwrap() >= before.1);
    assert_eq!(store.active_runs(0, 1).await.unwrap(), [run_id(1)]);
    assert_eq!(store.create(new_run(2)).await.unwrap(), Created::Removed);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_acknowledged_survives_a_kill() {
    const TEST: &str = "restart::all_that_was_acknowledged_survives_a_kill";
    if let Some(path) = env::var_os(FILE) {
        return commit_for_ever(SqliteStore::open(path).unwrap(), RUNS).await;
    }
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("windlass.db");
    let mut acknowledged = BTreeMap::new();
    for round in 1..=3 {
        let mut child = again_in_a_process(TEST, &path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let told: Vec<_> = lines.by_ref().filter_map(|line| parse(&line)).take(200).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it told before its end and was not read yet.
        acknowledged.extend(told.into_iter().chain(lines.filter_map(|line| parse(&line))));
        assert_eq!(acknowledged.len(), RUNS as usize, "all runs came on in round {round}");

        let store = SqliteStore::open(&path).unwrap();
        for (run, number) in &acknowledged {
            let stored = store.load(run_id(*run)).await.unwrap().unwrap();
            let found = u32::try_from(stored.view.version.number).unwrap();
            assert!(found >= *number, "run {run} was at {number} and is at {found}");
            assert_eq!(stored.view.record.retries, found);
            assert_eq!(stored.expansions.len() + 1, found as usize);
            assert_eq!(stored.steps.len(), (STEPS + found - 1) as usize);
            let steps = stored.steps.iter().take(STEPS as usize).map(|step| step.attempt);
            assert!(steps.eq((0..STEPS).map(|step| marked_by(step, found))), "run {run} is whole");
        }
    }
}

/// Which commit was the last one to mark a step, where the n-th one marks every step from n on.
fn marked_by(step: u32, latest: u32) -> u32 {
    if step.is_multiple_of(2) { latest } else { latest - latest % 2 }
}

fn parse(line: &str) -> Option<(u32, u32)> {
    let (run, number) = line.strip_prefix("acknowledged ")?.split_once(' ')?;
    Some((run.parse().unwrap(), number.parse().unwrap()))
}

/// Commits to several runs at once, and tells every commit when it is acknowledged.
async fn commit_for_ever(store: SqliteStore, runs: u32) {
    let store = Arc::new(store);
    let mut tasks = JoinSet::new();
    for run in 0..runs {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            store.create(new_run(run)).await.unwrap();
            let mut version = store.read_run(run_id(run)).await.unwrap().unwrap().version;
            loop {
                // Even versions mark all steps, odd ones the even steps.
                let every = if version.number.is_multiple_of(2) { 2 } else { 1 };
                let change = commit(run, version, (0..STEPS).step_by(every));
                let change = grown(change, STEPS + version.number as u32 - 1, 1);
                let done = store.commit(vec![change]).await.unwrap();
                let [Committed::Done(next)] = done[..] else { panic!("nobody else commits") };
                version = next;
                println!("acknowledged {run} {}", version.number);
            }
        });
    }
    tasks.join_next().await;
}
