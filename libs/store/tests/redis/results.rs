//! Results that are kept, where what holds them is damaged.

use windlass_engine::time::Timestamp;
use windlass_proto::cache_key::CacheKey;
use windlass_servers::Program;
use windlass_store::{CacheEntry, CacheScope, Store, StoreError};

use crate::fixture::{config, open, run_id, shared, tell};

/// Two results of one shard.
fn entries() -> [CacheEntry; 2] {
    [0, 1].map(|last| CacheEntry {
        key: CacheKey([[0; 31].as_slice(), &[last]].concat().try_into().expect("32 bytes")),
        outputs: Some("{}".into()),
        run: run_id(1),
        pipeline: "nightly".into(),
        step: "train".into(),
        ended_at: Timestamp(1_700_000_000_000),
    })
}

#[tokio::test]
async fn a_result_that_cannot_be_read_is_none_and_is_replaced_by_the_next() {
    let server = shared(Program::Valkey).await;
    let config = config(server);
    let (store, entries) = (open(&config).await, entries());
    let keys = entries.each_ref().map(|entry| entry.key);
    store.write_cache("team", &entries).await.expect("written");
    let results = format!("{}:{{cache:team:0}}:results", config.prefix);
    let key = "\0".repeat(32);
    tell(server, &["HSET", &results, &key, "no result"]).await;
    let [_, well] = entries.clone();
    assert_eq!(store.read_cache("team", &keys).await, Ok(vec![None, Some(well)]));
    store.write_cache("team", &entries[..1]).await.expect("written");
    assert_eq!(store.read_cache("team", &keys).await, Ok(entries.map(Some).to_vec()));
}

#[tokio::test]
async fn keys_of_another_kind_are_damage_until_the_cache_is_cleared() {
    let server = shared(Program::Valkey).await;
    for kind in ["results", "names", "ages"] {
        let config = config(server);
        let (store, entries) = (open(&config).await, entries());
        let keys = entries.each_ref().map(|entry| entry.key);
        store.write_cache("team", &entries[..1]).await.expect("written");
        let key = format!("{}:{{cache:team:0}}:{kind}", config.prefix);
        tell(server, &["SET", &key, "garbage"]).await;
        let before = store.read_cache("team", &keys).await;
        let written = store.write_cache("team", &entries).await;
        assert!(matches!(written, Err(StoreError::Damaged(_))), "{kind}: {written:?}");
        assert_eq!(store.read_cache("team", &keys).await, before, "{kind}: nothing was changed");
        let forgotten = store.clear_cache("team", &CacheScope::default()).await;
        assert_eq!(forgotten, Ok(u64::from(kind != "results")), "{kind}");
        store.write_cache("team", &entries).await.expect("written");
        assert_eq!(store.read_cache("team", &keys).await, Ok(entries.map(Some).to_vec()));
    }
}
