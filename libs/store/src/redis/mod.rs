//! A store in Redis or Valkey: one server, a master and replicas that sentinels watch, or a cluster.
//!
//! ```text
//!   RedisStore ─┬─ write, shared, remains, cache, limits ─▶ script ─┐
//!               └─ read, list, cache, limits ───────────────────────┴─▶ link ─▶ server
//! ```
//!
//! What is stored is described where it is named ([`keys`], [`head`]). Everything that changes something is one call of one
//! script (`lua/`) on keys of one partition, of one shard of the cache, or of one namespace's limits, so that it is done in one step on one node; [`fault`] tells what an error
//! means.
//!
//! Never inside: a write that is sent again though it may have been done, unless doing it twice is doing it once.

mod amendment;
mod cache;
mod config;
mod connection;
mod decode;
mod fault;
mod head;
mod keys;
mod limits;
mod link;
mod list;
mod open;
mod read;
mod remains;
mod script;
mod shared;
#[cfg(test)]
mod tests;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_engine::{
    event::Order,
    layout::Expansion,
    limits::LimitConfig,
    record::{AttemptRecord, RunRecord, StepIndex, StepRecord},
    time::Timestamp,
};
use windlass_proto::{cache_key::CacheKey, id::RunId};

use crate::{
    CacheEntry, CacheScope, Commit, Committed, Created, FinishedRuns, Holder, Incarnation,
    Installation, LimitAnswer, LimitRequest, LimitView, NewRun, Placed, PlacedOrder, RunQuery,
    RunView, ShareRequest, Shares, Store, StoreError, StoredRun, Version, passed_over::PassedOver,
};
pub use config::{RedisConfig, RedisMode, RedisOpenError, RedisPassword, RedisTls};
use fault::Fault;
use keys::Keys;
use link::Link;
pub use open::Durability;
use script::Scripts;

/// A store in Redis or Valkey, which many processes share.
///
/// Dropping it leaves all as it is. It finds its way back to a server that was restarted or replaced by itself; calls
/// meanwhile fail with [`StoreError::Unavailable`], or with [`StoreError::Unknown`] where a write was under way.
#[derive(Debug)]
pub struct RedisStore {
    quick: Link,
    bulk: Link,
    scripts: Scripts,
    keys: Keys,
    settle_time: Duration,
    tombstones: Duration,
    /// The latest time that a server told: another server may be behind it.
    latest: AtomicU64,
    passed_over: PassedOver,
    /// Namespaces that are on the list of those with limits, and when this was last made sure of.
    limited: Mutex<HashMap<String, Instant>>,
}

impl RedisStore {
    /// Opens a store, and tells how far its servers keep what they acknowledge. Writes nothing that stays.
    pub async fn open(config: &RedisConfig) -> Result<(Self, Durability), RedisOpenError> {
        let open::Opened { quick, bulk, scripts, keys, durability } = open::open(config).await?;
        let store = Self {
            quick,
            bulk,
            scripts,
            keys,
            settle_time: config.settle_time,
            tombstones: config.tombstones,
            latest: AtomicU64::new(0),
            passed_over: PassedOver::default(),
            limited: Mutex::default(),
        };
        Ok((store, durability))
    }

    /// The way for a call of so many bytes.
    fn link_for(&self, size: usize) -> &Link {
        if size > LARGE { &self.bulk } else { &self.quick }
    }
}

/// In bytes: what is larger does not hold up what is small.
const LARGE: usize = 256 << 10;

#[async_trait]
impl Store for RedisStore {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        let answer = self.quick.ask_any(&redis::cmd("TIME")).await.map_err(Fault::while_reading)?;
        let [seconds, microseconds]: [u64; 2] =
            redis::from_redis_value(answer).map_err(write::unexpected)?;
        let time = seconds.saturating_mul(1000).saturating_add(microseconds / 1000);
        Ok(Timestamp(self.latest.fetch_max(time, Ordering::Relaxed).max(time)))
    }

    async fn install(&self, offer: Installation) -> Result<Installation, StoreError> {
        self.installed(&offer).await
    }

    async fn incarnation(&self) -> Result<Incarnation, StoreError> {
        self.servers().await
    }

    async fn create(&self, run: NewRun) -> Result<Created, StoreError> {
        write::create(self, &run).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Committed>, StoreError> {
        write::commit(self, &commits).await
    }

    async fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError> {
        self.load(run).await
    }

    async fn active_runs(&self, partition: u32, partitions: u32) -> Result<Vec<RunId>, StoreError> {
        self.active(partition, partitions).await
    }

    async fn place_order(&self, run: RunId, order: Order) -> Result<Placed, StoreError> {
        write::place_order(self, run, &order).await
    }

    async fn read_orders(&self, run: RunId) -> Result<Vec<PlacedOrder>, StoreError> {
        self.head(run).await?.map_or(Ok(Vec::new()), |head| head.orders())
    }

    async fn read_run(&self, run: RunId) -> Result<Option<RunView>, StoreError> {
        self.view(run).await
    }

    async fn read_record(&self, run: RunId) -> Result<Option<(Version, RunRecord)>, StoreError> {
        Ok(self.head(run).await?.map(|head| (head.version, head.record)))
    }

    async fn read_pipeline(&self, run: RunId) -> Result<Option<Bytes>, StoreError> {
        self.pipeline(run).await
    }

    async fn read_expansions(
        &self,
        run: RunId,
        from: usize,
    ) -> Result<Option<Vec<Expansion>>, StoreError> {
        self.expansions(run, from).await
    }

    async fn read_step_range(
        &self,
        run: RunId,
        range: Range<u32>,
    ) -> Result<Option<(RunView, Vec<StepRecord>)>, StoreError> {
        self.step_range(run, range).await
    }

    async fn read_steps(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<Option<(RunView, Vec<StepRecord>)>, StoreError> {
        self.steps(run, steps).await
    }

    async fn read_attempts(
        &self,
        run: RunId,
        step: StepIndex,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        self.attempts(run, step).await
    }

    async fn read_latest_attempts(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<BTreeMap<StepIndex, AttemptRecord>, StoreError> {
        self.latest_attempts(run, steps).await
    }

    async fn read_outputs(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<BTreeMap<StepIndex, Arc<str>>, StoreError> {
        self.outputs(run, steps).await
    }

    async fn list_runs(&self, query: &RunQuery, limit: usize) -> Result<Vec<RunView>, StoreError> {
        self.list(query, limit).await
    }

    async fn finished_runs(&self, limit: usize) -> Result<FinishedRuns, StoreError> {
        self.finished(limit).await
    }

    async fn claim(
        &self,
        run: RunId,
        holder: &str,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Option<Vec<Arc<str>>>, StoreError> {
        self.claims(run, holder, false, attempts).await
    }

    async fn assert_claims(
        &self,
        run: RunId,
        holder: &str,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Option<Vec<Arc<str>>>, StoreError> {
        self.claims(run, holder, true, attempts).await
    }

    async fn read_claims(
        &self,
        run: RunId,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Vec<Option<Arc<str>>>, StoreError> {
        self.holders(run, attempts).await
    }

    async fn read_members(&self, group: &str) -> Result<BTreeSet<String>, StoreError> {
        self.group_members(group).await
    }

    async fn share(&self, request: &ShareRequest) -> Result<Shares, StoreError> {
        self.shares(request).await
    }

    async fn read_cache(
        &self,
        namespace: &str,
        keys: &[CacheKey],
    ) -> Result<Vec<Option<CacheEntry>>, StoreError> {
        self.results(namespace, keys).await
    }

    async fn write_cache(&self, namespace: &str, entries: &[CacheEntry]) -> Result<(), StoreError> {
        self.keep_results(namespace, entries).await
    }

    async fn clear_cache(&self, namespace: &str, scope: &CacheScope) -> Result<u64, StoreError> {
        self.forget_results(namespace, scope).await
    }

    async fn take_limits(
        &self,
        namespace: &str,
        request: &LimitRequest,
    ) -> Result<LimitAnswer, StoreError> {
        self.take(namespace, request).await
    }

    async fn set_limit(
        &self,
        namespace: &str,
        name: &str,
        config: Option<LimitConfig>,
    ) -> Result<LimitAnswer, StoreError> {
        self.configure(namespace, name, config).await
    }

    async fn read_limits(&self, namespace: &str) -> Result<Vec<LimitView>, StoreError> {
        self.limits(namespace).await
    }

    async fn read_holders(
        &self,
        namespace: &str,
        name: &str,
        most: usize,
    ) -> Result<Vec<Holder>, StoreError> {
        self.limit_holders(namespace, name, most).await
    }

    async fn read_places(
        &self,
        namespace: &str,
        holder: Holder,
    ) -> Result<Vec<(Arc<str>, u32)>, StoreError> {
        self.limit_places(namespace, holder).await
    }

    async fn limited_runs(&self, namespace: &str) -> Result<Vec<RunId>, StoreError> {
        self.runs_with_limits(namespace).await
    }

    async fn limited_namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.namespaces_with_limits().await
    }

    async fn read_limited(
        &self,
        namespace: &str,
        run: RunId,
    ) -> Result<Vec<(Holder, bool)>, StoreError> {
        self.limited(namespace, run).await
    }

    async fn remove(&self, run: RunId, expected: Version) -> Result<Committed, StoreError> {
        write::remove(self, run, expected).await
    }

    async fn remove_damaged(&self, run: RunId) -> Result<bool, StoreError> {
        self.remove_remains(run).await
    }
}
