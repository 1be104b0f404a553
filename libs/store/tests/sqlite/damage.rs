//! Files that are damaged, or not ours.

use std::{fs, sync::Arc};

use rusqlite::Connection;
use tempfile::TempDir;
use windlass_engine::record::StepIndex;
use windlass_store::{
    Amendment, Commit, Committed, Created, OpenError, RunQuery, RunView, SqliteStore, Store,
    StoreError,
};

use crate::fixture::{RUNS, STEPS, commit, grown, new_run, run_id, stored};

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
            store.read_expansions(run, 0).await?;
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

#[tokio::test]
async fn what_is_damaged_of_one_run_harms_that_one_alone() {
    let directory = TempDir::new().unwrap();
    let path = stored(&directory).await;
    {
        let file = Connection::open(&path).unwrap();
        let damage = "UPDATE runs SET record = x'ff' WHERE id = ?";
        assert_eq!(file.execute(damage, [run_id(1).as_str()]), Ok(1));
        let damage =
            "UPDATE blocks SET steps = x'ff' WHERE key >> 27 = (SELECT key FROM runs WHERE id = ?)";
        assert!(file.execute(damage, [run_id(2).as_str()]).unwrap() > 0);
    }
    let store = SqliteStore::open(&path).unwrap();
    let listed = async |limit| {
        let views = store.list_runs(&RunQuery::default(), limit).await.expect("listed");
        views.iter().map(|view| view.submission.id).collect::<Vec<_>>()
    };
    let mut well: Vec<_> = (0..RUNS).filter(|run| *run != 1).map(run_id).collect();
    well.reverse();
    for limit in 1..=well.len() {
        assert_eq!(listed(limit).await, well[..limit]);
    }
    assert_eq!(listed(10).await, well);

    let version = async |run| store.read_run(run_id(run)).await.unwrap().unwrap().version;
    let (good, bad) = (version(0).await, version(2).await);
    let record = store.read_record(run_id(2)).await.unwrap();
    let both = vec![commit(2, bad, 0..STEPS - 1), commit(0, good, 0..1)];
    let outcomes = store.commit(both).await.expect("answered");
    assert!(matches!(outcomes[..], [Committed::Damaged(_), Committed::Done(_)]), "{outcomes:?}");
    assert_eq!(store.read_record(run_id(2)).await.unwrap(), record);

    assert_eq!(store.remove_damaged(run_id(2)).await, Ok(false), "its state can be read");
    assert_eq!(store.remove_damaged(run_id(1)).await, Ok(true));
    assert_eq!(store.read_run(run_id(1)).await, Ok(None));
    assert_eq!(store.create(new_run(1)).await, Ok(Created::Removed));
}

#[tokio::test]
async fn an_order_that_means_nothing_can_be_taken_and_leaves_the_run_itself_readable() {
    let directory = TempDir::new().unwrap();
    let path = stored(&directory).await;
    let damage = "UPDATE orders SET body = x'07' WHERE run = (SELECT key FROM runs WHERE id = ?)";
    assert_eq!(Connection::open(&path).unwrap().execute(damage, [run_id(1).as_str()]), Ok(1));
    let store = SqliteStore::open(&path).unwrap();
    let is_damage = |error: StoreError| matches!(error, StoreError::Damaged(_));
    assert!(store.read_orders(run_id(1)).await.is_err_and(is_damage));
    assert!(store.load(run_id(1)).await.is_err_and(is_damage));
    assert_eq!(store.read_orders(run_id(2)).await.unwrap().len(), 1);
    let version = store.read_record(run_id(1)).await.unwrap().unwrap().0;
    let end = Commit { orders_taken: Some(u64::MAX), ..commit(1, version, 0..0) };
    assert!(matches!(store.commit(vec![end]).await.unwrap()[..], [Committed::Done(_)]));
    assert_eq!(store.read_orders(run_id(1)).await, Ok(vec![]));
}

#[tokio::test]
async fn damage_to_the_growth_of_a_run_harms_that_run_alone() {
    const OF_RUN: &str = "(SELECT key FROM runs WHERE id = ?)";
    let directory = TempDir::new().unwrap();
    let path = stored(&directory).await;
    let store = SqliteStore::open(&path).unwrap();
    for run in 0..RUNS {
        let version = store.read_run(run_id(run)).await.unwrap().unwrap().version;
        let growth = grown(commit(run, version, 0..1), STEPS, 30);
        assert!(matches!(store.commit(vec![growth]).await.unwrap()[..], [Committed::Done(_)]));
    }
    drop(store);
    let damages = [
        format!("DELETE FROM expansions WHERE run = {OF_RUN}"),
        format!("UPDATE expansions SET items = 31 WHERE run = {OF_RUN}"),
        format!("UPDATE expansions SET first = -1 WHERE run = {OF_RUN}"),
    ];
    let file = Connection::open(&path).unwrap();
    for (run, damage) in (1..).zip(&damages) {
        assert_eq!(file.execute(damage, [run_id(run).as_str()]), Ok(1), "{damage}");
    }
    drop(file);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.list_runs(&RunQuery::default(), 9).await.unwrap().len(), RUNS as usize);
    assert_eq!(store.read_expansions(run_id(0), 0).await.unwrap().unwrap().len(), 1);
    for (run, damage) in (1..).zip(&damages) {
        let view = store.read_run(run_id(run)).await.unwrap().unwrap();
        assert_eq!(view.step_count, STEPS + 30, "{damage}");
        let loaded = store.load(run_id(run)).await;
        assert!(matches!(loaded, Err(StoreError::Damaged(_))), "{damage}: {loaded:?}");
        let expansions = store.read_expansions(run_id(run), 0).await;
        assert!(matches!(expansions, Err(StoreError::Damaged(_))), "{damage}: {expansions:?}");
        let end = store.commit(vec![commit(run, view.version, 0..0)]).await.unwrap();
        let [Committed::Done(version)] = end[..] else { panic!("{damage}: {end:?}") };
        assert_eq!(store.remove(run_id(run), version).await, Ok(Committed::Done(version)));
    }
}

#[tokio::test]
async fn an_amendment_that_cannot_be_understood_harms_its_run_alone() {
    let directory = TempDir::new().unwrap();
    let path = stored(&directory).await;
    let store = SqliteStore::open(&path).unwrap();
    for run in 1..3 {
        let version = store.read_run(run_id(run)).await.unwrap().unwrap().version;
        let amendment = Some(Arc::new(Amendment::default()));
        let change = Commit { amendment, ..commit(run, version, 0..1) };
        assert!(matches!(store.commit(vec![change]).await.unwrap()[..], [Committed::Done(_)]));
    }
    drop(store);
    let damage =
        "UPDATE amendments SET body = x'ff' WHERE run = (SELECT key FROM runs WHERE id = ?)";
    assert_eq!(Connection::open(&path).unwrap().execute(damage, [run_id(1).as_str()]), Ok(1));
    let store = SqliteStore::open(&path).unwrap();
    let is_damage = |error: StoreError| matches!(error, StoreError::Damaged(_));
    assert!(store.read_run(run_id(1)).await.is_err_and(is_damage));
    assert!(store.load(run_id(1)).await.is_err_and(is_damage));
    assert!(store.load(run_id(2)).await.unwrap().unwrap().view.amendment.is_some());
    let listed = store.list_runs(&RunQuery::default(), 9).await.unwrap();
    assert_eq!(listed.len(), RUNS as usize - 1, "it is passed over");
    assert_eq!(store.remove_damaged(run_id(1)).await, Ok(true));
    assert_eq!(store.read_run(run_id(1)).await, Ok(None));
}
