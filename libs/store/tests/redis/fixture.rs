//! Servers to store runs in, and runs to store.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use tokio::sync::OnceCell;
use windlass_engine::record::{RunRecord, RunState, StepIndex, StepRecord};
use windlass_proto::id::RunId;
use windlass_servers::{Program, RedisServer};
use windlass_store::{
    Commit, NewRun, RedisConfig, RedisMode, RedisPassword, RedisStore, Submission, Version,
};

/// How long to wait for something that comes by itself.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// The server of each kind that the tests of this process share. It ends with the process.
pub(crate) async fn shared(program: Program) -> &'static RedisServer {
    static REDIS: OnceCell<RedisServer> = OnceCell::const_new();
    static VALKEY: OnceCell<RedisServer> = OnceCell::const_new();
    let cell = if matches!(program, Program::Redis) { &REDIS } else { &VALKEY };
    cell.get_or_init(|| RedisServer::builder().program(program).start()).await
}

/// The cluster that the tests of this process share.
pub(crate) async fn shared_cluster() -> &'static [RedisServer; 3] {
    static CLUSTER: OnceCell<[RedisServer; 3]> = OnceCell::const_new();
    CLUSTER.get_or_init(start_cluster).await
}

/// An installation of its own on this server.
pub(crate) fn config(server: &RedisServer) -> RedisConfig {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut config = RedisConfig::new(server.url());
    config.prefix = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    config.response_timeout = Duration::from_secs(20);
    config.settle_time = Duration::from_millis(500);
    config
}

pub(crate) async fn open(config: &RedisConfig) -> RedisStore {
    RedisStore::open(config).await.expect("it opens").0
}

pub(crate) fn run_id(number: u32) -> RunId {
    format!("run_{number:026}").parse().expect("26 digits")
}

pub(crate) fn new_run(number: u32, steps: u32) -> NewRun {
    let submission = Submission {
        id: run_id(number),
        namespace: "team".into(),
        pipeline: "nightly".into(),
        labels: BTreeMap::from([("owner".into(), "data".into())]),
        arguments_json: "{}".into(),
        digest: [7; 32],
        rerun_of: None,
        no_cache: false,
        priority: 0,
        steps,
    };
    NewRun { submission, pipeline: vec![1; 1000].into(), record: RunRecord::default() }
}

/// The commit that makes the next version, and marks all its steps with that version's number.
pub(crate) fn commit(run: u32, expected: Version, steps: impl Iterator<Item = u32>) -> Commit {
    let number = u32::try_from(expected.number + 1).expect("few versions");
    let record = StepRecord { attempt: number, ..StepRecord::default() };
    Commit {
        run: run_id(run),
        expected,
        commit: u64::from(number) << 32 | 5,
        record: RunRecord {
            state: RunState::Running,
            launch_generation: number,
            ..RunRecord::default()
        },
        steps: steps.map(|step| (StepIndex(step), record)).collect(),
        attempts: Vec::new(),
        outputs: vec![(StepIndex(0), format!("{{\"by\":{number}}}").into())],
        expansions: Vec::new(),
        step_count: 0,
        orders_taken: None,
        amendment: None,
    }
}

/// What `docs/distributed.md` says that a user needs, but for what it may do without.
pub(crate) fn documented_rights() -> Vec<&'static str> {
    let page = include_str!("../../../../docs/distributed.md");
    let line = page.lines().find(|line| line.starts_with("user windlass ")).expect("the user");
    line.split(' ').filter(|word| word.starts_with('+') && *word != "+config|get").collect()
}

/// The same as a user with these rights and no others, which this server is told to know.
pub(crate) async fn as_limited_user(
    server: &RedisServer,
    mut config: RedisConfig,
    rights: &[&str],
) -> RedisConfig {
    let (user, keys) = (format!("user-{}", config.prefix), format!("~{}:*", config.prefix));
    let mut words = vec!["ACL", "SETUSER", &user, "reset", "on", ">secret", &keys, "-@all"];
    words.extend(rights);
    tell(server, &words).await;
    config.username = Some(user);
    config.password = Some(RedisPassword::new("secret"));
    config
}

/// Tries until it comes to something.
pub(crate) async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(began.elapsed() < LIMIT, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Has a server do something, past the store.
pub(crate) async fn tell(server: &RedisServer, words: &[&str]) -> redis::Value {
    tell_at(&server.url(), words).await.expect("the server does it")
}

/// The same for a server that may refuse it.
pub(crate) async fn tell_at(url: &str, words: &[&str]) -> redis::RedisResult<redis::Value> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let (name, arguments) = words.split_first().expect("a command");
    redis::cmd(name).arg(arguments).query_async(&mut connection).await
}

/// What a server says of its replication.
pub(crate) async fn replication<T: std::str::FromStr>(
    server: &RedisServer,
    field: &str,
) -> Option<T> {
    let info = tell(server, &["INFO", "replication"]).await;
    let info: String = redis::from_redis_value(info).expect("a text");
    let values = info.lines().filter_map(|line| line.split_once(':'));
    values.filter(|(name, _)| *name == field).find_map(|(_, value)| value.trim().parse().ok())
}

/// Three masters that share all slots among themselves.
pub(crate) async fn start_cluster() -> [RedisServer; 3] {
    let start = || RedisServer::builder().args(["--cluster-enabled", "yes"]).start();
    let servers = [start().await, start().await, start().await];
    for (server, slots) in
        servers.iter().zip([["0", "5460"], ["5461", "10922"], ["10923", "16383"]])
    {
        tell(server, &["CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1]]).await;
        for other in &servers {
            let port = other.address().port().to_string();
            tell(server, &["CLUSTER", "MEET", "127.0.0.1", &port]).await;
        }
    }
    for server in &servers {
        wait_for_cluster(server).await;
    }
    servers
}

/// Waits until a node knows who has which slot.
pub(crate) async fn wait_for_cluster(server: &RedisServer) {
    eventually("the cluster", async || {
        let info = tell_at(&server.url(), &["CLUSTER", "INFO"]).await.ok()?;
        let info: String = redis::from_redis_value(info).ok()?;
        let ready = info.contains("cluster_state:ok") && info.contains("cluster_size:3");
        ready.then_some(())
    })
    .await;
}

/// An installation of its own in this cluster.
pub(crate) fn cluster_config(servers: &[RedisServer]) -> RedisConfig {
    let mut config = config(&servers[0]);
    config.mode = RedisMode::Cluster;
    config.urls = servers.iter().map(RedisServer::url).collect();
    config
}
