//! Clusters: slots that move, a node that is down, and a replica that takes its place.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use windlass_engine::record::StepIndex;
use windlass_servers::RedisServer;
use windlass_store::{
    Committed, Created, RedisConfig, RedisStore, RunQuery, Store, StoreError, StoredRun, Version,
};

use crate::fixture::{
    LIMIT, cluster_config, commit, eventually, new_run, open, replication, run_id, start_cluster,
    tell, wait_for_cluster,
};

const STEPS: u32 = 100;

/// What a server says to this, as a text.
async fn ask(server: &RedisServer, words: &[&str]) -> String {
    redis::from_redis_value(tell(server, words).await).expect("a text")
}

/// Moves a slot with all that is in it, while it is used, and tells all nodes.
async fn move_slot(slot: u16, from: &RedisServer, to: &RedisServer, all: &[RedisServer]) {
    let slot = slot.to_string();
    let (source, target) =
        (ask(from, &["CLUSTER", "MYID"]).await, ask(to, &["CLUSTER", "MYID"]).await);
    tell(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]).await;
    tell(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]).await;
    let port = to.address().port().to_string();
    loop {
        let keys = tell(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "5"]).await;
        let keys: Vec<String> = redis::from_redis_value(keys).expect("names of keys");
        if keys.is_empty() {
            break;
        }
        let mut words = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "10000", "KEYS"];
        words.extend(keys.iter().map(String::as_str));
        tell(from, &words).await;
    }
    for server in [to, from].into_iter().chain(all) {
        tell(server, &["CLUSTER", "SETSLOT", &slot, "NODE", &target]).await;
    }
}

/// Moves the slots of all partitions, each to the next node.
async fn move_all_slots(config: &RedisConfig, servers: &[RedisServer; 3]) {
    for partition in 0..config.partitions {
        let key = format!("{{{partition}}}");
        let slot = tell(&servers[0], &["CLUSTER", "KEYSLOT", &key]).await;
        let slot: u16 = redis::from_redis_value(slot).expect("a slot");
        let owner = usize::from(slot / 5461);
        move_slot(slot, &servers[owner], &servers[(owner + 1) % 3], servers).await;
    }
}

/// Asserts that a run is as its latest commit has made it.
fn assert_whole(run: &StoredRun) {
    let number = u32::try_from(run.view.version.number).expect("few versions");
    if run.view.version == Version::FIRST {
        return;
    }
    assert_eq!(run.view.record.launch_generation, number);
    assert_eq!(run.steps[(number % STEPS) as usize].attempt, number);
    assert_eq!(run.pipeline.len(), 1000);
}

/// Commits to a run one after the other, whatever happens, until it is told to end.
async fn commit_until_told(store: Arc<RedisStore>, run: u32, end: Arc<AtomicBool>) -> Version {
    let mut version = Version::FIRST;
    while !end.load(Ordering::Relaxed) {
        let number = u32::try_from(version.number + 1).expect("few versions");
        let change = commit(run, version, std::iter::once(number % STEPS));
        let next = version.next(change.commit);
        match store.commit(vec![change]).await {
            Ok(done) if done == [Committed::Done(next)] => version = next,
            answer => {
                assert!(!answer.as_ref().is_err_and(|error| !error.is_retryable()), "{answer:?}");
                version = found_to_be(&store, run, version, next).await;
            }
        }
    }
    version
}

/// Which of these versions a run has: nobody else commits, and what was acknowledged stays.
async fn found_to_be(store: &RedisStore, run: u32, before: Version, next: Version) -> Version {
    let began = Instant::now();
    loop {
        if let Ok(view) = store.read_run(run_id(run)).await {
            let found = view.expect("it is there").version;
            assert!(found == before || found == next, "{found:?} after {before:?}");
            return found;
        }
        assert!(began.elapsed() < LIMIT, "run {run} cannot be read");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Loads runs until it is told to end.
async fn load_until_told(store: RedisStore, runs: u32, end: Arc<AtomicBool>) {
    let mut seen = vec![0; runs as usize];
    while !end.load(Ordering::Relaxed) {
        for run in 0..runs {
            match store.load(run_id(run)).await {
                Ok(loaded) => {
                    let loaded = loaded.expect("it is there");
                    assert_whole(&loaded);
                    let number = loaded.view.version.number;
                    assert!(number >= seen[run as usize], "run {run} went back to {number}");
                    seen[run as usize] = number;
                }
                Err(error) => assert!(error.is_retryable(), "{error:?}"),
            }
        }
    }
}

/// Those who have asked nothing while slots moved find them at their first question, whatever it is.
#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_under_commits_and_reads_are_followed() {
    const RUNS: u32 = 24;
    let servers = start_cluster().await;
    let config = cluster_config(&servers);
    let (store, reader) = (Arc::new(open(&config).await), open(&config).await);
    let (idle, lister) = (open(&config).await, open(&config).await);
    for run in 0..RUNS {
        assert_eq!(store.create(new_run(run, STEPS)).await, Ok(Created::New));
    }
    let end = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for run in 0..RUNS {
        let (store, end) = (Arc::clone(&store), Arc::clone(&end));
        writers.spawn(async move { (run, commit_until_told(store, run, end).await) });
    }
    let reads = tokio::spawn(load_until_told(reader, RUNS, Arc::clone(&end)));

    move_all_slots(&config, &servers).await;
    let first = RunQuery::default();
    assert_eq!(lister.list_runs(&first, 100).await.unwrap().len(), RUNS as usize);
    for run in (0..RUNS).map(run_id) {
        let (view, steps) = idle.read_step_range(run, 0..STEPS).await.unwrap().unwrap();
        assert_eq!(steps.len(), STEPS as usize);
        let loaded = idle.load(run).await.unwrap().unwrap();
        assert!(loaded.view.version.number >= view.version.number);
        eventually("more commits", async || {
            let now = store.read_run(run).await.ok()??.version;
            (now.number > loaded.view.version.number + 2).then_some(())
        })
        .await;
    }
    end.store(true, Ordering::Relaxed);
    for (run, version) in writers.join_all().await {
        let loaded = store.load(run_id(run)).await.unwrap().unwrap();
        assert_eq!(loaded.view.version, version);
        assert_whole(&loaded);
    }
    reads.await.unwrap();
}

/// A part of a cluster that is down is nobody's fault but its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_cluster_that_is_down_comes_back() {
    const RUNS: u32 = 40;
    let servers = start_cluster().await;
    for server in &servers {
        tell(server, &["CONFIG", "SET", "cluster-require-full-coverage", "no"]).await;
    }
    let mut config = cluster_config(&servers);
    config.response_timeout = Duration::from_secs(3);
    let store = open(&config).await;
    for run in 0..RUNS {
        assert_eq!(store.create(new_run(run, 3)).await, Ok(Created::New));
    }
    let incarnation = store.incarnation().await.unwrap();
    assert_eq!(incarnation.0.split(' ').count(), 3);
    let all: Vec<_> = (0..RUNS).map(|run| commit(run, Version::FIRST, 0..3)).collect();
    servers[1].kill();
    let failed = store.commit(all).await;
    assert!(failed.as_ref().is_err_and(StoreError::is_retryable), "{failed:?}");
    servers[1].start_again().await;
    wait_for_cluster(&servers[1]).await;
    for run in 0..RUNS {
        let change = commit(run, Version::FIRST, 0..3);
        let done = change.expected.next(change.commit);
        eventually("the commit", async || {
            let version = store.read_run(run_id(run)).await.ok()??.version;
            if version == Version::FIRST {
                let _ = store.commit(vec![change.clone()]).await;
            }
            (version == done).then_some(())
        })
        .await;
    }
    assert_ne!(store.incarnation().await.unwrap(), incarnation);
}

/// Starts a replica of a node, and waits until the cluster counts on it and it has all that the node has.
async fn start_replica(primary: &RedisServer) -> RedisServer {
    let arguments = ["--cluster-enabled", "yes", "--repl-diskless-sync-delay", "0"];
    let replica = RedisServer::builder().args(arguments).start().await;
    let port = primary.address().port().to_string();
    tell(&replica, &["CLUSTER", "MEET", "127.0.0.1", &port]).await;
    wait_for_cluster(&replica).await;
    let id = ask(primary, &["CLUSTER", "MYID"]).await;
    tell(&replica, &["CLUSTER", "REPLICATE", &id]).await;
    eventually("the replica", async || {
        let written: u64 = replication(primary, "master_repl_offset").await?;
        let up = replication::<String>(&replica, "master_link_status").await? == "up";
        let read: u64 = replication(&replica, "slave_repl_offset").await?;
        (up && read >= written).then_some(())
    })
    .await;
    replica
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_a_nodes_place_is_found_by_all_who_knew_the_node() {
    const RUNS: u32 = 12;
    let servers = start_cluster().await;
    for server in &servers {
        tell(server, &["CONFIG", "SET", "cluster-node-timeout", "1000"]).await;
        tell(server, &["CONFIG", "SET", "repl-diskless-sync-delay", "0"]).await;
    }
    let mut config = cluster_config(&servers);
    config.response_timeout = Duration::from_secs(3);
    let (store, idle) = (open(&config).await, open(&config).await);
    for run in 0..RUNS {
        store.create(new_run(run, STEPS)).await.unwrap();
        store.claim(run_id(run), "one", &[(StepIndex(0), 1)]).await.unwrap();
    }
    let incarnation = store.incarnation().await.unwrap();
    let replica = start_replica(&servers[1]).await;
    tell(&replica, &["CONFIG", "SET", "cluster-node-timeout", "1000"]).await;
    servers[1].kill();
    for run in 0..RUNS {
        let change = commit(run, Version::FIRST, 0..STEPS);
        let done = change.expected.next(change.commit);
        eventually("the commit", async || {
            let version = store.load(run_id(run)).await.ok()??.view.version;
            if version == Version::FIRST {
                let _ = store.commit(vec![change.clone()]).await;
            }
            (version == done).then_some(())
        })
        .await;
    }
    eventually("the end of settling", async || {
        for run in (0..RUNS).map(run_id) {
            let holders = store.claim(run, "two", &[(StepIndex(0), 1)]).await.ok()??;
            assert_eq!(holders, [Arc::<str>::from("one")], "claims stay");
        }
        Some(())
    })
    .await;
    for store in [store, idle] {
        let now = eventually("a look at all servers", async || store.incarnation().await.ok());
        assert_ne!(now.await, incarnation, "another server");
        for run in (0..RUNS).map(run_id) {
            eventually("the run", async || store.load(run).await.ok()).await.expect("it is there");
            eventually("the time", async || store.now().await.ok()).await;
        }
    }
}
