//! What can only be seen from inside: a disk that fills up, and which way a query takes.

use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;
use windlass_engine::record::RunRecord;
use windlass_proto::{id::RunId, v1};

use super::*;
use crate::{LimitAsk, Submission};

fn run_id(number: u32) -> RunId {
    format!("run_{number:026}").parse().unwrap()
}

fn new_run(number: u32, pipeline_size: usize) -> NewRun {
    let submission = Submission {
        id: run_id(number),
        namespace: "team".into(),
        pipeline: "nightly".into(),
        labels: BTreeMap::new(),
        arguments_json: "{}".into(),
        digest: [0; 32],
        rerun_of: None,
        no_cache: false,
        priority: 0,
        steps: 1,
    };
    NewRun { submission, pipeline: vec![0; pipeline_size].into(), record: RunRecord::default() }
}

fn open(directory: &Path) -> SqliteStore {
    SqliteStore::open(directory.join("windlass.db")).unwrap()
}

/// Lets the file have so many pages beyond those it has.
async fn allow_pages(store: &SqliteStore, more: u32) {
    let limit = move |db: &Connection| {
        let pages: u32 = db.pragma_query_value(None, "page_count", |row| row.get(0))?;
        Ok(db.query_row(&format!("PRAGMA max_page_count = {}", pages + more), [], |_| Ok(()))?)
    };
    store.desk.ask(limit).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_what_does_not_fit_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    allow_pages(&store, 10).await;
    // Asked for together, and so done in one transaction where that is possible.
    let (small, large, last) = tokio::join!(
        store.create(new_run(1, 100)),
        store.create(new_run(2, 1 << 20)),
        store.create(new_run(3, 100)),
    );
    assert_eq!((small, last), (Ok(Created::New), Ok(Created::New)));
    let Err(StoreError::Unavailable(why)) = large else { panic!("{large:?}") };
    assert!(why.ends_with("free some room on the disk that holds it, and it will go on"), "{why}");
    assert_eq!(store.read_run(run_id(2)).await, Ok(None));
    allow_pages(&store, 1000).await;
    assert_eq!(store.create(new_run(2, 1 << 20)).await, Ok(Created::New));
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.list_runs(&RunQuery::default(), 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_page_of_the_list_is_read_along_an_index() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let queries = [
        RunQuery::default(),
        RunQuery { namespace: Some("team".into()), ..RunQuery::default() },
        RunQuery { pipeline: Some("nightly".into()), ..RunQuery::default() },
        RunQuery { states: vec![v1::RunState::Running], ..RunQuery::default() },
    ];
    for query in queries {
        let asked = query.clone();
        let plan = store.desk.ask(move |db| list::plan(db, &asked)).await.unwrap();
        assert!(plan.contains("USING INDEX runs_by_"), "{query:?}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{query:?} is sorted: {plan}");
    }
}

/// What is kept of limits in memory follows a transaction that was undone.
#[tokio::test]
async fn limits_are_as_the_file_has_them_also_after_what_did_not_fit() {
    let directory = TempDir::new().unwrap();
    let store = open(directory.path());
    let holder = |run| Holder { run: run_id(run), step: StepIndex(0), attempt: 1 };
    let asks = move |run| {
        let limits = Arc::new(["gpu".into()]);
        let asks = vec![LimitAsk { holder: holder(run), limits }];
        LimitRequest { asks, ..LimitRequest::default() }
    };
    assert_eq!(store.take_limits("team", &asks(1)).await.unwrap().granted, [holder(1)]);
    allow_pages(&store, 10).await;
    let release = LimitRequest { releases: vec![holder(1)], ..asks(2) };
    // Asked for together, and so done in one transaction where that is possible.
    let (taken, large) =
        tokio::join!(store.take_limits("team", &release), store.create(new_run(2, 1 << 20)),);
    assert_eq!(taken.unwrap().granted, [holder(2)]);
    assert!(matches!(large, Err(StoreError::Unavailable(_))), "{large:?}");
    // What fails on its own.
    let loaded = Arc::clone(&store.limits);
    let fail = move |db: &Connection| {
        let now = Timestamp::default();
        limits::take(
            db,
            &loaded,
            "team",
            &LimitRequest { releases: vec![holder(2)], ..asks(3) },
            now,
        )?;
        Err::<(), _>(fault::Fault::Store(StoreError::Unavailable("for this test".into())))
    };
    store.desk.ask(fail).await.unwrap_err();
    let (held, runs) =
        (store.read_holders("team", "gpu", 9).await, store.limited_runs("team").await);
    assert_eq!((held, runs), (Ok(vec![holder(2)]), Ok(vec![run_id(2)])));
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.read_holders("team", "gpu", 9).await, Ok(vec![holder(2)]));
    assert_eq!(store.limited_runs("team").await, Ok(vec![run_id(2)]));
}
