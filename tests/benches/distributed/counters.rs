//! What the machine and the servers count: read before and after, so that the difference is what a case took.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use anyhow::{Context as _, ensure};
use redis::aio::MultiplexedConnection;
use serde_json::Value;
use windlass_servers::processor_seconds;

use crate::{
    installation::{Installation, NAME},
    processes::{self, children, http_get},
};

/// Where what is counted of a process is kept, for this process.
pub(crate) const BENCH: &str = "bench";

/// What was counted at one time, or between two.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    /// Seconds of processor time by kind of process.
    pub(crate) processor: BTreeMap<&'static str, f64>,
    /// Messages that were published to the streams, and acknowledged by them.
    pub(crate) kept_messages: u64,
    /// All messages that NATS received: also acknowledgements, requests, and what is not kept.
    pub(crate) messages: u64,
    /// Their bytes.
    pub(crate) message_bytes: u64,
    /// Calls of Redis' commands; those that scripts call are counted, too.
    pub(crate) commands: BTreeMap<String, u64>,
    /// Bytes that Redis received.
    pub(crate) command_bytes: u64,
}

/// Reads the counters.
pub(crate) struct Counting<'a> {
    installation: &'a Installation,
    redis: MultiplexedConnection,
    jetstream: async_nats::jetstream::Context,
}

impl<'a> Counting<'a> {
    pub(crate) async fn of(installation: &'a Installation) -> anyhow::Result<Self> {
        let redis = redis::Client::open(installation.redis.url())?;
        let redis = redis.get_multiplexed_async_connection().await?;
        let nats = async_nats::connect(installation.nats.url()).await?;
        Ok(Self { installation, redis, jetstream: async_nats::jetstream::new(nats) })
    }

    pub(crate) async fn read(&mut self) -> anyhow::Result<Counters> {
        let mut counters = Counters { processor: self.processor()?, ..Counters::default() };
        for stream in ["EVENT", "LAUNCH"] {
            let stream = self.jetstream.get_stream(format!("{NAME}-{stream}")).await?;
            counters.kept_messages += stream.cached_info().state.last_sequence;
        }
        let varz: Value = serde_json::from_str(&http_get(&self.installation.monitor, "/varz")?)?;
        counters.messages = varz["in_msgs"].as_u64().context("NATS counts messages")?;
        counters.message_bytes = varz["in_bytes"].as_u64().context("NATS counts bytes")?;
        let info = self.info().await?;
        counters.command_bytes =
            field(&info, "total_net_input_bytes").context("Redis counts bytes")?;
        for line in info.lines() {
            let Some((name, rest)) =
                line.strip_prefix("cmdstat_").and_then(|it| it.split_once(":calls="))
            else {
                continue;
            };
            let calls = rest.split(',').next().unwrap_or_default().parse()?;
            counters.commands.insert(name.to_owned(), calls);
        }
        Ok(counters)
    }

    async fn info(&mut self) -> anyhow::Result<String> {
        Ok(redis::cmd("INFO").arg("everything").query_async(&mut self.redis).await?)
    }

    /// The bytes that Redis uses, once it has given back what it can.
    pub(crate) async fn memory(&mut self) -> anyhow::Result<f64> {
        let mut before = f64::MAX;
        // Buffers of connections shrink some seconds after they were needed.
        for _ in 0..20 {
            redis::cmd("MEMORY").arg("PURGE").query_async::<()>(&mut self.redis).await?;
            let used =
                field::<f64>(&self.info().await?, "used_memory").context("Redis counts memory")?;
            if (before - used).abs() < 10_000.0 {
                return Ok(used);
            }
            before = used;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(before)
    }

    fn processor(&self) -> anyhow::Result<BTreeMap<&'static str, f64>> {
        let mut all = servers()?;
        all.push((BENCH, std::process::id()));
        all.extend(self.installation.programs.iter().map(|it| (it.kind, it.id())));
        let mut seconds = BTreeMap::new();
        for (kind, id) in all {
            *seconds.entry(kind).or_default() +=
                processor_seconds(id).context("the process runs")?;
        }
        Ok(seconds)
    }

    /// The most memory that any process of each kind has held, in MiB.
    pub(crate) fn peak_memory(
        installation: &Installation,
    ) -> anyhow::Result<BTreeMap<&'static str, f64>> {
        let mut all = servers()?;
        all.extend(installation.programs.iter().map(|it| (it.kind, it.id())));
        let mut peaks = BTreeMap::new();
        for (kind, id) in all {
            let peak: &mut f64 = peaks.entry(kind).or_default();
            *peak = peak.max(processes::peak_memory(id)?);
        }
        Ok(peaks)
    }
}

impl Counters {
    /// What was counted since.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let processor = self.processor.iter();
        let commands = self.commands.iter();
        Self {
            processor: processor
                .map(|(kind, now)| (*kind, now - before.processor.get(kind).unwrap_or(&0.0)))
                .collect(),
            kept_messages: self.kept_messages - before.kept_messages,
            messages: self.messages - before.messages,
            message_bytes: self.message_bytes - before.message_bytes,
            commands: commands
                .map(|(name, now)| (name.clone(), now - before.commands.get(name).unwrap_or(&0)))
                .filter(|(_, calls)| *calls > 0)
                .collect(),
            command_bytes: self.command_bytes - before.command_bytes,
        }
    }

    /// Scripts that were called.
    pub(crate) fn scripts(&self) -> u64 {
        ["evalsha", "eval"].iter().filter_map(|it| self.commands.get(*it)).sum()
    }

    /// Seconds of processor time of these kinds of processes.
    pub(crate) fn processor_of(&self, kinds: &[&str]) -> f64 {
        kinds.iter().filter_map(|kind| self.processor.get(kind)).sum()
    }

    /// Seconds of processor time of all but this process.
    pub(crate) fn processor_of_all(&self) -> f64 {
        self.processor.iter().filter(|(kind, _)| **kind != BENCH).map(|(_, time)| time).sum()
    }
}

/// The servers that this process has started.
fn servers() -> anyhow::Result<Vec<(&'static str, u32)>> {
    let mut servers = Vec::new();
    for (name, id) in children()? {
        match name.as_str() {
            "nats-server" => servers.push(("nats", id)),
            "valkey-server" | "redis-server" => servers.push(("redis", id)),
            _ => {}
        }
    }
    ensure!(servers.len() == 2, "one NATS and one Redis server were started, and not {servers:?}");
    Ok(servers)
}

fn field<T: FromStr>(info: &str, name: &str) -> Option<T> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.trim().parse().ok()
}
