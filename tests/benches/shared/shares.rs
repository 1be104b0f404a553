//! When the programs of an installation have divided their work.

use std::time::{Duration, Instant};

use anyhow::ensure;
use windlass_servers::RedisServer;
use windlass_store::{RedisConfig, RedisStore, ShareRequest, Store as _};

/// How long that may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often to look.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until so many members of a group have fair shares of all partitions.
pub(crate) async fn until_shared(
    redis: &RedisServer,
    group: &str,
    members: usize,
    partitions: u32,
) -> anyhow::Result<()> {
    let config = RedisConfig { partitions, ..RedisConfig::new(redis.url()) };
    let (store, _) = RedisStore::open(&config).await?;
    // One that leaves and was never there only looks.
    let look = ShareRequest {
        group: group.to_owned(),
        member: "benchmark".into(),
        leaving: true,
        ttl: Duration::from_secs(1),
        acquire: Vec::new(),
        release: Vec::new(),
    };
    let begin = Instant::now();
    loop {
        let shares = store.share(&look).await?;
        let held = |member: &String| shares.leases.values().filter(|it| *it == member).count();
        let counts: Vec<usize> = shares.members.iter().map(held).collect();
        let all: usize = counts.iter().sum();
        let fair = counts.iter().max().zip(counts.iter().min()).is_some_and(|(a, b)| a - b <= 1);
        if counts.len() == members && all == partitions as usize && fair {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "shares of {group} have not settled: {shares:?}");
        tokio::time::sleep(LOOK).await;
    }
}
