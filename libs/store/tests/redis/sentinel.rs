//! A master that ends, and a replica that takes its place.

use std::{sync::Arc, time::Duration};

use windlass_engine::record::StepIndex;
use windlass_servers::RedisServer;
use windlass_store::{
    Committed, RedisConfig, RedisMode, RedisOpenError, RedisStore, Store, Version,
};

use crate::fixture::{commit, config, eventually, new_run, open, replication, run_id, tell_at};

async fn sentinel_of(master: &RedisServer) -> RedisServer {
    let port = master.address().port();
    let text = format!(
        "sentinel monitor runs 127.0.0.1 {port} 1\n\
         sentinel down-after-milliseconds runs 500\n\
         sentinel failover-timeout runs 2000\n"
    );
    RedisServer::builder().sentinel(&text).start().await
}

fn config_of(sentinels: &[&RedisServer], master: &str) -> RedisConfig {
    let mut config = config(sentinels[0]);
    config.mode = RedisMode::Sentinel { master: master.into(), username: None, password: None };
    config.urls = sentinels.iter().map(|sentinel| sentinel.url()).collect();
    config.response_timeout = Duration::from_secs(3);
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_is_found() {
    let at_once = ["--repl-diskless-sync-delay", "0"];
    let master = RedisServer::builder().args(at_once).start().await;
    let port = master.address().port().to_string();
    let replica = RedisServer::builder().args(["--replicaof", "127.0.0.1", &port]).start().await;
    let sentinel = sentinel_of(&master).await;
    let gone = sentinel_of(&master).await;
    gone.kill();
    let unknown = RedisStore::open(&config_of(&[&sentinel], "others")).await.map(drop);
    assert!(matches!(unknown, Err(RedisOpenError::NoSuchMaster { .. })), "{unknown:?}");
    let store = open(&config_of(&[&gone, &sentinel], "runs")).await;
    store.create(new_run(1, 10)).await.unwrap();
    let first = commit(1, Version::FIRST, 0..10);
    let version = first.expected.next(first.commit);
    assert_eq!(store.commit(vec![first]).await, Ok(vec![Committed::Done(version)]));
    store.claim(run_id(1), "one", &[(StepIndex(0), 1)]).await.unwrap();
    let incarnation = store.incarnation().await.unwrap();
    let written: u64 = replication(&master, "master_repl_offset").await.unwrap();
    eventually("the replica", async || {
        let up = replication::<String>(&replica, "master_link_status").await? == "up";
        let read: u64 = replication(&replica, "slave_repl_offset").await?;
        (up && read >= written).then_some(())
    })
    .await;
    eventually("the replica's name", async || {
        let known = tell_at(&sentinel.url(), &["SENTINEL", "REPLICAS", "runs"]).await.ok()?;
        matches!(known, redis::Value::Array(list) if !list.is_empty()).then_some(())
    })
    .await;
    master.kill();
    let view = eventually("the new master", async || store.read_run(run_id(1)).await.ok()).await;
    assert_eq!(view.expect("it is there").version, version);
    let second = commit(1, version, 0..5);
    let done = eventually("a commit", async || store.commit(vec![second.clone()]).await.ok()).await;
    let next = version.next(second.commit);
    let at = store.read_run(run_id(1)).await.unwrap().unwrap().version;
    assert_eq!((done, at), (vec![Committed::Done(next)], next));
    assert_ne!(store.incarnation().await.unwrap(), incarnation, "another server");
    let settled = eventually("the end of settling", async || {
        store.claim(run_id(1), "two", &[(StepIndex(0), 1)]).await.ok().flatten()
    });
    assert_eq!(settled.await, [Arc::<str>::from("one")]);
    drop(replica);
}

#[tokio::test]
async fn a_sentinel_is_no_store() {
    let master = RedisServer::start().await;
    let sentinel = sentinel_of(&master).await;
    let mut config = config_of(&[&sentinel], "runs");
    config.mode = RedisMode::Single;
    let refused = RedisStore::open(&config).await.map(drop);
    let Err(RedisOpenError::Mode { found, .. }) = &refused else { panic!("{refused:?}") };
    assert_eq!(found, "sentinel");
}
