//! The list of runs.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::{collections::BTreeMap, sync::Arc};

use windlass_engine::{
    record::{RunRecord, RunState},
    time::Timestamp,
};
use windlass_proto::{id::RunId, v1};

use super::fixture::{commit, commit_state, commit_to, create, new_run, read, run_id};
use crate::{Created, RunPosition, RunQuery, RunView, Store};

/// By time, the newest first, and by id within one moment.
pub async fn the_newest_run_comes_first(store: Arc<dyn Store>) {
    for number in [5, 3, 8, 1] {
        create(&*store, number, 1).await;
    }
    wait_for_a_later_time(&*store).await;
    create(&*store, 4, 1).await;
    let listed = store.list_runs(&RunQuery::default(), 10).await.expect("listed");
    assert_eq!(listed.len(), 5);
    assert_eq!(listed[0], read(&*store, 4).await, "it is shown as it is read");
    let place = |view: &RunView| (std::cmp::Reverse(view.created_at), view.submission.id);
    assert!(listed.is_sorted_by_key(place), "{listed:?}");
}

/// Page after page, each run that was there from the beginning is listed once.
pub async fn a_page_is_not_disturbed_by_runs_that_are_added(store: Arc<dyn Store>) {
    for number in 10..17 {
        create(&*store, number, 1).await;
    }
    let all = list(&*store, &RunQuery::default()).await;
    let mut query = RunQuery::default();
    let mut paged = Vec::new();
    for newer in 20.. {
        let page = store.list_runs(&query, 2).await.expect("listed");
        let Some(last) = page.last() else { break };
        query.after = Some(RunPosition { created_at: last.created_at, run: last.submission.id });
        paged.extend(page.iter().map(|view| view.submission.id));
        // In the next moment, and not in that of the last page: within one moment it may belong to either.
        wait_for_a_later_time(&*store).await;
        create(&*store, newer, 1).await;
    }
    assert_eq!(paged, all);
    assert_eq!(store.list_runs(&RunQuery::default(), 0).await, Ok(vec![]));
}

/// Each filter alone, and all of them together.
pub async fn every_filter_leaves_out_what_it_should(store: Arc<dyn Store>) {
    create(&*store, 0, 1).await;
    wait_for_a_later_time(&*store).await;
    create_other(&*store).await;
    wait_for_a_later_time(&*store).await;
    create(&*store, 2, 1).await;
    commit_state(&*store, 2, RunState::Failed).await;
    let time_of_1 = read(&*store, 1).await.created_at;
    for (query, expected) in cases(time_of_1) {
        let expected: Vec<_> = expected.iter().copied().map(run_id).collect();
        assert_eq!(list(&*store, &query).await, expected, "{query:?}");
    }
}

/// What to ask, and which runs should be the answer.
fn cases(time_of_1: Timestamp) -> Vec<(RunQuery, &'static [u32])> {
    use v1::RunState::{Failed, Paused, Pending, Running};
    let later = Timestamp(time_of_1.0 + 1);
    let end = Timestamp(u64::MAX);
    let after = |created_at, number| Some(RunPosition { created_at, run: run_id(number) });
    vec![
        (RunQuery::default(), &[2, 1, 0]),
        (query(|it| it.namespace = Some("other".into())), &[1]),
        (query(|it| it.namespace = Some("oth".into())), &[]),
        (query(|it| it.pipeline = Some("nightly".into())), &[2, 0]),
        (query(|it| it.labels = labels(&["owner=data"])), &[2, 1, 0]),
        (query(|it| it.labels = labels(&["owner=data", "tier=2"])), &[1]),
        (query(|it| it.labels = labels(&["owner=2"])), &[]),
        (query(|it| it.states = vec![Paused]), &[1]),
        (query(|it| it.states = vec![Failed, Pending]), &[2, 0]),
        (query(|it| it.states = vec![Running]), &[]),
        (query(|it| it.created_after = Some(time_of_1)), &[2, 1]),
        (query(|it| it.created_before = Some(time_of_1)), &[0]),
        (query(|it| it.created_after = Some(end)), &[]),
        (query(|it| it.created_before = Some(end)), &[2, 1, 0]),
        (query(|it| it.after = after(time_of_1, 1)), &[0]),
        (query(|it| it.after = after(time_of_1, 0)), &[1, 0]),
        (
            RunQuery {
                namespace: Some("other".into()),
                pipeline: Some("hourly".into()),
                labels: labels(&["tier=2"]),
                states: vec![Paused, Running],
                created_after: Some(time_of_1),
                created_before: Some(later),
                after: after(later, 9),
            },
            &[1],
        ),
    ]
}

fn query(set: impl FnOnce(&mut RunQuery)) -> RunQuery {
    let mut query = RunQuery::default();
    set(&mut query);
    query
}

fn labels(pairs: &[&str]) -> BTreeMap<String, String> {
    let pairs = pairs.iter().filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.into(), value.into())).collect()
}

/// Run 1, of another namespace, pipeline and tier, paused.
async fn create_other(store: &dyn Store) {
    let mut other = new_run(1, 1);
    other.submission.namespace = "other".into();
    other.submission.pipeline = "hourly".into();
    other.submission.labels =
        BTreeMap::from([("owner".into(), "data".into()), ("tier".into(), "2".into())]);
    assert_eq!(store.create(other).await, Ok(Created::New));
    let mut change = commit_to(&read(store, 1).await);
    change.record =
        RunRecord { state: RunState::Running, paused_at: Some(Timestamp(5)), ..change.record };
    commit(store, change).await;
}

async fn list(store: &dyn Store, query: &RunQuery) -> Vec<RunId> {
    let listed = store.list_runs(query, 100).await.expect("listed");
    listed.iter().map(|view| view.submission.id).collect()
}

async fn wait_for_a_later_time(store: &dyn Store) {
    let before = store.now().await.expect("a time");
    while store.now().await.expect("a time") == before {
        tokio::task::yield_now().await;
    }
}
