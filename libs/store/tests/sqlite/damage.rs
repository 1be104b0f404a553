//! Files that are damaged, or not ours.

use std::fs;

use rusqlite::Connection;
use tempfile::TempDir;
use windlass_engine::record::StepIndex;
use windlass_store::{OpenError, RunQuery, RunView, SqliteStore, Store, StoreError};

use crate::fixture::{RUNS, STEPS, run_id, stored};

#[tokio::test]
async fn a_file_that_is_no_store_or_a_damaged_one_is_refused_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let path = stored(&directory).await;
    let whole = fs::read(&path).unwrap();
    let assert_damaged = |what: &str, bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let opened = SqliteStore::open(&path).map(drop);
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{what}: {opened:?}");
        assert!(fs::read(&path).unwrap() == bytes, "{what}: the file was changed");
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            1,
            "{what}: something was left"
        );
    };
    assert_damaged("a text", b"This is a text.\n");
    assert_damaged("a longer text", "This is a text.\n".repeat(1000).as_bytes());
    for length in [1, 50, 100, 600, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        assert_damaged(&format!("cut to {length}"), &whole[..length]);
    }
    let mut headless = whole.clone();
    headless[..100].fill(0);
    assert_damaged("a header of zeros", &headless);
    let mut foreign = whole.clone();
    foreign[68..72].copy_from_slice(b"ABCD");
    assert_damaged("another program's", &foreign);
    for page in (0..whole.len()).step_by(4096) {
        let mut broken = whole.clone();
        let start = if page == 0 { 100 } else { page };
        broken[start..start + 8].iter_mut().for_each(|byte| *byte = !*byte);
        assert_damaged(&format!("the head of page {}", page / 4096), &broken);
    }
    fs::write(&path, &whole).unwrap();
    SqliteStore::open(&path).unwrap();
}

#[tokio::test]
async fn a_file_that_is_damaged_inside_never_makes_the_store_panic() {
    let directory = TempDir::new().unwrap();
    let path = stored(&directory).await;
    let whole = fs::read(&path).unwrap();
    let mut noticed = 0;
    for at in (1000..whole.len()).step_by(2048) {
        let mut broken = whole.clone();
        broken[at..at + 64].iter_mut().for_each(|byte| *byte ^= 0x5a);
        fs::write(&path, &broken).unwrap();
        match SqliteStore::open(&path) {
            Err(OpenError::Damaged { .. }) => {
                noticed += 1;
                assert!(fs::read(&path).unwrap() == broken, "byte {at}: the file was changed");
            }
            Err(other) => panic!("byte {at}: {other}"),
            Ok(store) => noticed += usize::from(read_everything(&store).await.is_err()),
        }
    }
    assert!(noticed > 0, "some of it is noticed");
}

async fn read_everything(store: &SqliteStore) -> Result<(), StoreError> {
    let outcome = async {
        let steps: Vec<_> = (0..STEPS).map(StepIndex).collect();
        for run in (0..RUNS).map(run_id) {
            store.load(run).await?;
            store.read_steps(run, &steps).await?;
            store.read_outputs(run, &steps).await?;
        }
        let _: Vec<RunView> = store.list_runs(&RunQuery::default(), 100).await?;
        store.active_runs(0, 1).await.map(drop)
    };
    let outcome = outcome.await;
    assert!(matches!(outcome, Ok(()) | Err(StoreError::Damaged(_))), "{outcome:?}");
    outcome
}

#[test]
fn another_programs_database_is_refused_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE guests (name TEXT)").unwrap();
    let before = fs::read(&path).unwrap();
    let error = SqliteStore::open(&path).map(drop).unwrap_err().to_string();
    assert!(error.contains("it belongs to another program"), "{error}");
    assert!(fs::read(&path).unwrap() == before);
}
