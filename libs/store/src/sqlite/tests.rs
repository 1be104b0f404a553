//! What can only be seen from inside: a disk that fills up, and which way a query takes.

use std::path::Path;

use rusqlite::Connection;
use tempfile::TempDir;
use windlass_engine::record::{RunRecord, RunState};
use windlass_proto::{id::RunId, v1};

use super::*;
use crate::{Submission, codec};

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

#[tokio::test]
async fn a_file_of_the_first_form_is_brought_up_to_date() {
    let directory = TempDir::new().unwrap();
    let file = Connection::open(directory.path().join("windlass.db")).unwrap();
    let (id, first) = (schema::APPLICATION_ID, schema::FIRST);
    let mark = format!("PRAGMA application_id = {id}; PRAGMA user_version = 1; {first}");
    file.execute_batch(&mark).unwrap();
    let record = |state| codec::encode_run(&RunRecord { state, ..RunRecord::default() });
    for (run, active, state) in [(1, true, RunState::Running), (2, false, RunState::Failed)] {
        let run = run_id(run);
        file.execute(
            "INSERT INTO runs (id, created_at, namespace, pipeline, digest, steps, state, active, number, commit_id,
                 committed_at, order_sequence, record)
             VALUES (?, 5, 'team', 'nightly', zeroblob(32), 1, 0, ?, 3, 4, 77, 0, ?)",
            rusqlite::params![run.as_str(), active, record(state)],
        )
        .unwrap();
        file.execute("INSERT INTO submissions VALUES (last_insert_rowid(), '{}', x'00')", [])
            .unwrap();
    }
    drop(file);
    let store = open(directory.path());
    let version = Version { number: 3, commit: 4 };
    let ended = crate::FinishedRun { run: run_id(2), version, ended_at: Timestamp(77) };
    let finished = FinishedRuns { total: 1, oldest: vec![ended] };
    assert_eq!(store.finished_runs(9).await, Ok(finished));
    assert_eq!(store.install(8).await, Ok(8));
    let attempts = [(StepIndex(0), 1)];
    assert_eq!(store.claim(run_id(1), "one", &attempts).await, Ok(Some(vec!["one".into()])));
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.read_claims(run_id(1), &attempts).await, Ok(vec![Some("one".into())]));
    assert_eq!(store.install(9).await, Ok(8));
}
