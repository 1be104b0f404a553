//! What retries change of runs.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::sync::Arc;

use windlass_engine::policy::LimitChanges;

use super::fixture::{commit, commit_to, create, read, run_id};
use crate::{Amendment, Committed, RunQuery, RunView, Store};

fn amendment(arguments_json: Option<&str>, limits: LimitChanges) -> Arc<Amendment> {
    let arguments_json = arguments_json.map(str::to_owned);
    Arc::new(Amendment { arguments_json, limits })
}

/// Asserts that whoever reads the run sees it so.
async fn assert_seen(store: &dyn Store, view: &RunView) {
    let run = view.submission.id;
    assert_eq!(store.read_run(run).await, Ok(Some(view.clone())));
    let loaded = store.load(run).await.expect("read").expect("there");
    assert_eq!(loaded.view, *view);
    let (ranged, _) = store.read_step_range(run, 0..1).await.expect("read").expect("there");
    assert_eq!(ranged, *view);
    let (named, _) = store.read_steps(run, &[]).await.expect("read").expect("there");
    assert_eq!(named, *view);
    let listed = store.list_runs(&RunQuery::default(), 10).await.expect("listed");
    assert!(listed.contains(view), "{listed:?}");
}

/// An amendment comes with the commit that brings it, stays with those that bring none, and is replaced as a whole.
pub async fn a_run_is_as_the_latest_amendment_has_it(store: Arc<dyn Store>) {
    let mut view = create(&*store, 1, 2).await;
    let other = create(&*store, 2, 2).await;
    assert_eq!((&view.amendment, view.arguments_json()), (&None, r#"{"day":"2025-01-01"}"#));
    let large = format!(r#"{{"day":"{}"}}"#, "\u{e9}".repeat(100_000));
    let limits = LimitChanges { max_parallelism: Some(0), timeout_ms: Some(u64::MAX >> 1) };
    let amendments = [
        Some(amendment(Some(&large), LimitChanges::default())),
        None,
        Some(amendment(Some("{}"), limits)),
        Some(amendment(None, LimitChanges { max_parallelism: Some(7), timeout_ms: None })),
        Some(amendment(None, LimitChanges { max_parallelism: None, timeout_ms: Some(0) })),
        None,
    ];
    for amendment in amendments {
        let mut change = commit_to(&view);
        change.record.retries += 1;
        change.amendment = amendment;
        view.record = change.record.clone();
        view.amendment = change.amendment.clone().or(view.amendment);
        view.version = commit(&*store, change).await;
        assert_seen(&*store, &view).await;
    }
    assert_eq!(read(&*store, 2).await, other);
    store.remove(run_id(1), view.version).await.expect("removed");
    assert_eq!(store.read_run(run_id(1)).await, Ok(None));
}

/// An amendment that comes with a commit to another version is none.
pub async fn a_commit_to_another_version_amends_nothing(store: Arc<dyn Store>) {
    let mut view = create(&*store, 1, 2).await;
    let mut first = commit_to(&view);
    first.record.retries = 1;
    first.amendment = Some(amendment(Some(r#"{"day":"first"}"#), LimitChanges::default()));
    let mut second = first.clone();
    second.commit += 1;
    second.amendment = Some(amendment(Some(r#"{"day":"second"}"#), LimitChanges::default()));
    (view.record, view.amendment) = (first.record.clone(), first.amendment.clone());
    view.version = commit(&*store, first).await;
    assert_eq!(store.commit(vec![second]).await, Ok(vec![Committed::Conflict]));
    assert_seen(&*store, &view).await;
    assert_eq!(view.arguments_json(), r#"{"day":"first"}"#);
}
