//! Results that are kept: they outlive the process, and one that is damaged harms no other.

use rusqlite::Connection;
use tempfile::TempDir;
use windlass_engine::time::Timestamp;
use windlass_proto::cache_key::CacheKey;
use windlass_store::{CacheEntry, SqliteStore, Store};

use crate::fixture::run_id;

/// Far in the future, as after a clock that was set back.
const ENDED_AT: Timestamp = Timestamp(9_000_000_000_000);

fn entry(key: u8) -> CacheEntry {
    CacheEntry {
        key: CacheKey([key; 32]),
        outputs: Some("{}".into()),
        run: run_id(1),
        pipeline: "nightly".into(),
        step: "train".into(),
        ended_at: ENDED_AT,
    }
}

#[tokio::test]
async fn results_are_there_after_a_restart_and_time_is_not_behind_them() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("windlass.db");
    let store = SqliteStore::open(&path).unwrap();
    store.write_cache("team", &[entry(1), entry(2)]).await.unwrap();
    drop(store);
    let damage = "UPDATE cache SET run = 'nobody' WHERE key = ?";
    assert_eq!(Connection::open(&path).unwrap().execute(damage, [[1_u8; 32]]), Ok(1));

    let store = SqliteStore::open(&path).unwrap();
    assert!(store.now().await.unwrap() >= ENDED_AT);
    let keys = [1, 2].map(|key| CacheKey([key; 32]));
    assert_eq!(store.read_cache("team", &keys).await, Ok(vec![None, Some(entry(2))]));
    store.write_cache("team", &[entry(1)]).await.unwrap();
    assert_eq!(store.read_cache("team", &keys).await, Ok(vec![Some(entry(1)), Some(entry(2))]));
}
