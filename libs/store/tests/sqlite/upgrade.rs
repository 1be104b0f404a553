//! A store that an earlier version has left.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

use rusqlite::Connection;
use tempfile::TempDir;
use windlass_engine::{
    event::Order,
    reason::StopCause,
    record::{AttemptEnd, AttemptRecord, RunRecord, RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};
use windlass_store::{
    Commit, Committed, Created, FinishedRun, FinishedRuns, Installation, NewRun, OpenError,
    PlacedOrder, RunQuery, RunView, SqliteStore, Store, StoredRun, Submission, Version,
};

use crate::fixture::run_id;

/// What is in it is what [`expected`] says.
const FORM_1: &str = include_str!("form-1.sql");

fn done() -> StepRecord {
    StepRecord {
        state: StepState::Succeeded,
        attempt: 1,
        queued_at: Timestamp(1000),
        started_at: Timestamp(1100),
        until: Timestamp(1200),
        ..StepRecord::default()
    }
}

fn file_of_the_first_form(directory: &TempDir) -> PathBuf {
    let path = directory.path().join("windlass.db");
    Connection::open(&path).unwrap().execute_batch(FORM_1).unwrap();
    path
}

fn submission(run: u32, steps: u32) -> Submission {
    Submission {
        id: run_id(run),
        namespace: "team".into(),
        pipeline: "nightly".into(),
        labels: BTreeMap::from([("owner".into(), "data".into())]),
        arguments_json: "{\"day\":1}".into(),
        digest: [7; 32],
        rerun_of: (run == 2).then(|| run_id(1)),
        no_cache: false,
        priority: 0,
        steps,
    }
}

/// What the program of that time committed to this run.
fn expected(run: u32) -> StoredRun {
    let (steps, state, ended, order): (u32, _, &[u32], _) = match run {
        1 => (300, RunState::Running, &[0, 299], Some(Order::Pause)),
        2 => (3, RunState::Failed, &[0], None),
        _ => (3, RunState::Succeeded, &[0], Some(Order::Cancel)),
    };
    let ended_at = Timestamp(if state.is_final() { 2000 } else { 0 });
    let record = RunRecord {
        state,
        retries: run,
        started_at: Timestamp(1000),
        ended_at,
        ..RunRecord::default()
    };
    let step = |step| if ended.contains(&step) { done() } else { StepRecord::default() };
    StoredRun {
        view: RunView {
            submission: Arc::new(submission(run, steps)),
            created_at: Timestamp(1_795_281_417_978 + u64::from(run)),
            version: Version { number: 2, commit: 40 + u64::from(run) },
            record,
            step_count: steps,
            amendment: None,
        },
        expansions: Vec::new(),
        steps: (0..steps).map(step).collect(),
        pipeline: vec![1; 50].into(),
        orders: order.map(|order| PlacedOrder { sequence: 1, order }).into_iter().collect(),
    }
}

/// Asserts that all is there that was, and in the lists that were not there then.
async fn assert_kept(store: &SqliteStore) {
    for run in 1..=3 {
        assert_eq!(store.load(run_id(run)).await, Ok(Some(expected(run))));
        let attempt = AttemptRecord {
            step: StepIndex(0),
            attempt: 1,
            queued_at: Timestamp(1000),
            started_at: Timestamp(1100),
            ended_at: Timestamp(1200),
            end: AttemptEnd::Succeeded,
        };
        assert_eq!(store.read_attempts(run_id(run), StepIndex(0)).await, Ok(vec![attempt]));
        let outputs = store.read_outputs(run_id(run), &[StepIndex(0)]).await.unwrap();
        assert_eq!(*outputs[&StepIndex(0)], *"{\"rows\":5}");
    }
    let mut active = store.active_runs(0, 1).await.unwrap();
    active.sort();
    assert_eq!(active, [run_id(1), run_id(3)], "one runs, and one has an order");
    let listed = store.list_runs(&RunQuery::default(), 10).await.unwrap();
    assert_eq!(listed, [3, 2, 1].map(|run| expected(run).view));
    let removed = NewRun {
        submission: submission(4, 3),
        pipeline: vec![1].into(),
        record: RunRecord::default(),
    };
    assert_eq!(store.create(removed).await, Ok(Created::Removed));
}

#[tokio::test]
async fn a_file_of_the_first_form_is_brought_up_to_date_with_all_that_is_in_it() {
    let directory = TempDir::new().unwrap();
    let path = file_of_the_first_form(&directory);
    let store = SqliteStore::open(&path).unwrap();
    assert_kept(&store).await;
    // When it was committed last: that is all that the first form tells.
    let ended = FinishedRun {
        run: run_id(2),
        version: expected(2).view.version,
        ended_at: Timestamp(1_795_281_417_984),
    };
    let finished = FinishedRuns { total: 1, oldest: vec![ended] };
    assert_eq!(store.finished_runs(9).await, Ok(finished.clone()));
    drop(store);

    let store = SqliteStore::open(&path).unwrap();
    assert_kept(&store).await;
    assert_eq!(store.finished_runs(9).await, Ok(finished), "it is brought up to date once");
    let installation = Installation::new(8);
    assert_eq!(store.install(installation.clone()).await, Ok(installation));
    let attempts = [(StepIndex(1), 1)];
    assert_eq!(store.claim(run_id(1), "one", &attempts).await, Ok(Some(vec!["one".into()])));
    let before = expected(1);
    let end = Commit {
        run: run_id(1),
        expected: before.view.version,
        commit: 99,
        record: RunRecord {
            state: RunState::Failed,
            ended_at: Timestamp(3000),
            defect: Some("it cannot be read".into()),
            ..before.view.record
        },
        steps: vec![(StepIndex(1), done())],
        attempts: Vec::new(),
        outputs: vec![(StepIndex(1), "{}".into())],
        expansions: Vec::new(),
        step_count: 300,
        orders_taken: Some(1),
        amendment: None,
    };
    let next = before.view.version.next(99);
    assert_eq!(store.commit(vec![end.clone()]).await, Ok(vec![Committed::Done(next)]));
    drop(store);

    let store = SqliteStore::open(&path).unwrap();
    let loaded = store.load(run_id(1)).await.unwrap().unwrap();
    assert_eq!((loaded.view.version, loaded.view.record), (next, end.record));
    assert_eq!(loaded.steps[..3], [done(), done(), StepRecord::default()]);
    assert_eq!(loaded.orders, []);
    assert_eq!(store.finished_runs(9).await.unwrap().total, 2);
    assert_eq!(store.read_claims(run_id(1), &attempts).await, Ok(vec![Some("one".into())]));
    assert_eq!(store.install(Installation::new(9)).await.unwrap().partitions, 8);
}

/// A run's record of the first form: each of its values is another number, as far as it has one.
fn record_of_the_first_form(record: &RunRecord) -> Vec<u8> {
    let mut bytes = vec![1, 4, 1];
    bytes.push(record.failed_step.is_some().into());
    bytes.extend(record.failed_step.iter().flat_map(|step| step.0.to_le_bytes()));
    bytes.push(record.paused_at.is_some().into());
    bytes.extend(record.paused_at.iter().flat_map(|time| time.0.to_le_bytes()));
    bytes.extend(record.paused_ms.to_le_bytes());
    bytes.extend([record.launch_generation, record.retries].map(u32::to_le_bytes).concat());
    let times = [record.started_at, record.ended_at, record.last_start_at];
    bytes.extend(times.map(|time| time.0.to_le_bytes()).concat());
    bytes.extend(record.counts[..11].iter().flat_map(|count| count.to_le_bytes()));
    bytes.extend(record.defect.iter().flat_map(|defect| defect.bytes()));
    bytes
}

#[tokio::test]
async fn a_record_of_the_first_form_is_kept_whatever_is_in_it() {
    for (failed_step, paused_at, defect) in [
        (None, None, None),
        (Some(StepIndex(1)), None, Some("it cannot be read")),
        (None, Some(Timestamp(256)), None),
        (Some(StepIndex(7)), Some(Timestamp(1)), Some("neither can this")),
    ] {
        let mut counts = [0; StepState::COUNT];
        counts[..11].copy_from_slice(&std::array::from_fn::<_, 11, _>(|state| state as u32 + 1));
        let record = RunRecord {
            state: RunState::Failed,
            stop_cause: Some(StopCause::Failure),
            failed_step,
            paused_at,
            paused_ms: 11,
            launch_generation: 12,
            retries: 13,
            started_at: Timestamp(14),
            ended_at: Timestamp(15),
            exit_at: Timestamp(0),
            last_start_at: Timestamp(16),
            counts,
            defect: defect.map(Into::into),
        };
        let directory = TempDir::new().unwrap();
        let path = file_of_the_first_form(&directory);
        let update = "UPDATE runs SET record = ? WHERE id = ?";
        let bytes = record_of_the_first_form(&record);
        let file = Connection::open(&path).unwrap();
        assert_eq!(file.execute(update, (bytes, run_id(2).as_str())), Ok(1));
        drop(file);
        let store = SqliteStore::open(&path).unwrap();
        let read = store.read_record(run_id(2)).await;
        assert_eq!(read, Ok(Some((expected(2).view.version, record))));
    }
}

#[test]
fn a_file_of_a_newer_form_is_refused_with_what_to_do_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let path = file_of_the_first_form(&directory);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let before = fs::read(&path).unwrap();
    let refused = SqliteStore::open(&path).map(drop).unwrap_err();
    assert_eq!(refused, OpenError::Newer { path: path.clone(), found: 9, known: 4 });
    let words = refused.to_string();
    assert!(words.ends_with("this version of Windlass knows 4: use a newer version"), "{words}");
    assert!(fs::read(&path).unwrap() == before);
}
