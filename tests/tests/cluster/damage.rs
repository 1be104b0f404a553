//! Keys of one run that hold what they should not, in a store on a real server: the run fails with the reason where that can
//! be written down, it can be deleted, and nobody else suffers.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use redis::{FromRedisValue, aio::MultiplexedConnection};
use windlass_bus::MemoryBus;
use windlass_engine::{
    reason::StopCause,
    record::{RunRecord, RunState, StepIndex},
};
use windlass_launcher::runtime::AttemptKey;
use windlass_proto::id::RunId;
use windlass_scheduler::{Ownership, Retention};
use windlass_servers::RedisServer;
use windlass_store::{RedisConfig, RedisStore, StoreError};

use crate::support::{Cluster, Host, PARTITIONS, diamond, eventually, hanging, taking};

/// How many runs go on beside the damaged one: so many that some of them are in its partition.
const OTHERS: u32 = 8 * PARTITIONS;

struct Stand {
    cluster: Cluster,
    past_the_store: MultiplexedConnection,
    _server: RedisServer,
}

impl Stand {
    async fn start() -> Self {
        let server = RedisServer::start().await;
        let mut config = RedisConfig::new(server.url());
        config.partitions = PARTITIONS;
        let (store, _) = RedisStore::open(&config).await.expect("it opens");
        let client = redis::Client::open(server.url()).expect("an address");
        let past_the_store = client.get_multiplexed_async_connection().await.expect("connected");
        let cluster = Cluster::of(Arc::new(MemoryBus::new()), Arc::new(store));
        Self { cluster, past_the_store, _server: server }
    }

    async fn tell<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut connection = self.past_the_store.clone();
        let (name, arguments) = words.split_first().expect("a command");
        redis::cmd(name).arg(arguments).query_async(&mut connection).await.expect("it is done")
    }

    /// Other runs, enough of them for each partition to have some, are done; tells which.
    async fn others_go_on(&self) -> BTreeSet<RunId> {
        let mut others = BTreeSet::new();
        for _ in 0..OTHERS {
            others.insert(self.cluster.submit(diamond(3)).await);
        }
        for run in &others {
            assert_eq!(self.cluster.end_of(*run).await.state, RunState::Succeeded);
        }
        others
    }

    async fn is_deleted(&self, run: RunId) {
        self.cluster.delete(run).await.expect("deleted");
        assert!(!self.cluster.list().await.contains(&run));
        let left: Vec<String> = self.tell(&["KEYS", &format!("*{}*", short(run))]).await;
        let [memory] = &left[..] else { panic!("{left:?}") };
        assert!(memory.contains(":x:"), "{memory}");
        let again = self.cluster.delete(run).await.expect_err("it is gone");
        assert_eq!(again.code(), tonic::Code::NotFound);
    }
}

fn short(run: RunId) -> String {
    run.as_str().trim_start_matches("run_").to_owned()
}

fn key(kind: &str, run: RunId) -> String {
    format!("windlass:{{{}}}:{kind}:{}", run.partition(PARTITIONS), short(run))
}

fn assert_failed_as_damaged(record: &RunRecord, why: &str) {
    assert_eq!((record.state, record.stop_cause), (RunState::Failed, Some(StopCause::Defect)));
    let defect = record.defect.as_deref().expect("the reason is told");
    assert!(defect.contains(why) && defect.contains("delete the run"), "{defect}");
}

async fn until_begun(host: &Host, run: RunId, step: u32) {
    eventually("it has begun", async || {
        (host.starts(AttemptKey { run, step, attempt: 1 }) == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_head_is_damaged_is_deleted_by_an_ordinary_order_and_holds_nobody_up() {
    let stand = Stand::start().await;
    let cluster = &stand.cluster;
    let damaged = cluster.submit(diamond(2)).await;
    let () = stand.tell(&["SETRANGE", &key("h", damaged), "30", "garbage garbage"]).await;
    let _scheduler = cluster.scheduler(Ownership::All);
    let (_launcher, _) = cluster.launcher_of("north", taking(Duration::ZERO));
    let others = stand.others_go_on().await;
    assert_eq!(cluster.list().await, others, "all but the damaged one");
    let shown = cluster.cancel(damaged).await.expect_err("nothing can be told of it");
    assert!(shown.message().contains("delete the run"), "{shown}");
    stand.is_deleted(damaged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_means_nothing_fails_its_run_with_the_reason_and_no_other() {
    let stand = Stand::start().await;
    let cluster = &stand.cluster;
    let _scheduler = cluster.scheduler(Ownership::All);
    let (launcher, host) = cluster.launcher_of("north", hanging());
    let damaged = cluster.submit(diamond(2)).await;
    until_begun(&host, damaged, 0).await;
    // The ninth order, one byte long, and no message.
    let order = "\u{9}\0\0\0\u{1}\0\0\0\u{7}";
    let _: i64 = stand.tell(&["APPEND", &key("h", damaged), order]).await;
    cluster.cancel(damaged).await.expect("its own state can be read");
    assert_failed_as_damaged(&cluster.end_of(damaged).await, "an order makes no sense");
    launcher.stop().await;
    let (_launcher, _) = cluster.launcher_of("north", taking(Duration::ZERO));
    stand.others_go_on().await;
    stand.is_deleted(damaged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_damaged_while_it_runs_is_committed_to_no_more_and_fails_with_the_reason() {
    let stand = Stand::start().await;
    let cluster = &stand.cluster;
    let _scheduler = cluster.scheduler(Ownership::All);
    let (launcher, host) = cluster.launcher_of("north", hanging());
    let damaged = cluster.submit(diamond(2)).await;
    until_begun(&host, damaged, 0).await;
    let () = stand.tell(&["SET", &key("t", damaged), "too short"]).await;
    cluster.cancel(damaged).await.expect("its own state can be read");
    assert_failed_as_damaged(&cluster.end_of(damaged).await, "bytes");
    launcher.stop().await;
    let (_launcher, _) = cluster.launcher_of("north", taking(Duration::ZERO));
    stand.others_go_on().await;
    stand.is_deleted(damaged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_submission_is_gone_fails_with_the_reason_whoever_finds_that_out() {
    let stand = Stand::start().await;
    let cluster = &stand.cluster;
    let loaded = cluster.submit(diamond(2)).await;
    let () = stand.tell(&["DEL", &key("s", loaded)]).await;
    let refused = cluster.delete(loaded).await.expect_err("its state says that it has not ended");
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    let _scheduler = cluster.scheduler(Ownership::All);
    assert_failed_as_damaged(&cluster.end_of(loaded).await, "ends too early");

    // This one is in the scheduler's memory, and it is a launcher that misses what was submitted.
    let launched = cluster.submit(diamond(2)).await;
    eventually("its first step is ordered", async || {
        let (version, _) = cluster.store.read_record(launched).await.expect("read")?;
        (version.number > 1).then_some(())
    })
    .await;
    let () = stand.tell(&["DEL", &key("s", launched)]).await;
    let (_launcher, host) = cluster.launcher_of("north", taking(Duration::ZERO));
    assert_failed_as_damaged(&cluster.end_of(launched).await, "ends too early");
    assert_eq!(host.starts(AttemptKey { run: launched, step: 0, attempt: 1 }), 0);
    stand.others_go_on().await;
    for run in [loaded, launched] {
        stand.is_deleted(run).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_cannot_be_read_ends_its_run_with_the_reason() {
    let stand = Stand::start().await;
    let cluster = &stand.cluster;
    let _scheduler = cluster.scheduler(Ownership::All);
    for (words, why) in [
        (["SET", "garbage", ""], "WRONGTYPE"),
        // Attempt 1 of step 0, whose holder is nobody that there is.
        (["HSET", "128", "garbage"], "names no holder"),
    ] {
        let run = cluster.submit(diamond(2)).await;
        let claims = key("c", run) + ":0";
        let words: Vec<_> = [words[0], &claims, words[1], words[2]].into();
        let () = stand.tell(&words[..words.len() - usize::from(words[3].is_empty())]).await;
        let (launcher, host) = cluster.launcher_of("north", taking(Duration::ZERO));
        assert_failed_as_damaged(&cluster.end_of(run).await, why);
        assert_eq!(host.starts(AttemptKey { run, step: 0, attempt: 1 }), 0);
        stand.others_go_on().await;
        stand.is_deleted(run).await;
        launcher.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_though_nobody_can_find_what_of_it_is_to_be_stopped() {
    let stand = Stand::start().await;
    let cluster = &stand.cluster;
    let _scheduler = cluster.scheduler(Ownership::All);
    let (north, host) = cluster.launcher_of("north", hanging());
    let run = cluster.submit(diamond(2)).await;
    until_begun(&host, run, 0).await;
    // Where the attempt is, no claim is needed to stop it.
    let () = stand.tell(&["SET", &(key("c", run) + ":0"), "garbage"]).await;
    cluster.cancel(run).await.expect("ordered");
    assert_eq!(cluster.end_of(run).await.state, RunState::Cancelled);

    let run = cluster.submit(diamond(2)).await;
    until_begun(&host, run, 0).await;
    north.stop().await;
    let () = stand.tell(&["SET", &(key("c", run) + ":0"), "garbage"]).await;
    let (_south, _) = cluster.launcher_of("south", hanging());
    cluster.cancel(run).await.expect("ordered");
    let record = cluster.end_of(run).await;
    assert_eq!(
        (record.state, record.stop_cause),
        (RunState::Cancelled, Some(StopCause::Cancelled))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_asserts_the_claims_that_can_be_read_and_is_listed() {
    let stand = Stand::start().await;
    let cluster = &stand.cluster;
    let (one, next) = (cluster.submit(diamond(2)).await, cluster.submit(diamond(2)).await);
    let (damaged, other) = (one.min(next), one.max(next));
    let () = stand.tell(&["SET", &(key("c", damaged) + ":0"), "garbage"]).await;
    let found = [damaged, other].map(|run| AttemptKey { run, step: 0, attempt: 1 });
    let (_launcher, _) = cluster.launcher_with("north", hanging(), found.into());
    eventually("it is listed", async || {
        let listed: bool = stand.tell(&["HEXISTS", "windlass:group:host", "mnorth"]).await;
        listed.then_some(())
    })
    .await;
    let holders = cluster.store.read_claims(other, &[(StepIndex(0), 1)]).await;
    assert_eq!(holders, Ok(vec![Some("north".into())]));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_are_kept_no_longer_go_though_some_of_them_cannot_be_read() {
    let stand = Stand::start().await;
    let cluster = &stand.cluster;
    let scheduler = cluster.scheduler(Ownership::All);
    let (_launcher, _) = cluster.launcher_of("north", taking(Duration::ZERO));
    let runs: Vec<RunId> = stand.others_go_on().await.into_iter().collect();
    scheduler.stop().await;
    let damaged = BTreeSet::from([runs[0], runs[1]]);
    let () = stand.tell(&["SET", &key("h", runs[0]), "garbage"]).await;
    let () = stand.tell(&["DEL", &key("s", runs[1])]).await;
    let retention = Retention { finished_for: Duration::ZERO, finished_runs: 0 };
    let _scheduler =
        cluster.sweeping_scheduler(Ownership::All, Duration::from_millis(100), Some(retention));
    eventually("all others are removed", async || cluster.list().await.is_empty().then_some(()))
        .await;
    for run in damaged {
        let read = cluster.store.read_run(run).await;
        assert!(matches!(read, Err(StoreError::Damaged(_))), "it stays: {read:?}");
        stand.is_deleted(run).await;
    }
}
