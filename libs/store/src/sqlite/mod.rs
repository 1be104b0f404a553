//! A store in one file, for one process: it survives a crash and a restart, and needs nothing installed.
//!
//! [`open`] checks a file before anything is written to it; [`desk`] is the thread that owns the connection and commits
//! in groups; the rest is what it is asked to do: [`runs`], [`steps`], [`expansions`] and [`claims`] change and read a
//! run, [`list`] finds runs; [`cache`] is what outlives them, and [`limits`] what holds among them.
//!
//! Never inside: a write that is answered before it is durable.

mod cache;
mod claims;
mod desk;
mod expansions;
mod fault;
mod limits;
mod list;
mod open;
mod runs;
mod schema;
mod steps;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_engine::{
    event::Order,
    layout::Expansion,
    limits::{LimitConfig, Limits},
    record::{AttemptRecord, RunRecord, StepIndex, StepRecord},
    time::Timestamp,
};
use windlass_proto::{cache_key::CacheKey, id::RunId};

use crate::{
    CacheEntry, CacheScope, Commit, Committed, Created, FinishedRuns, Holder, Incarnation,
    Installation, LimitAnswer, LimitRequest, LimitView, NewRun, Placed, PlacedOrder, RunQuery,
    RunView, ShareRequest, Shares, Store, StoreError, StoredRun, Version, clock::Clock,
    group::Groups, limit, passed_over::PassedOver,
};
use desk::Desk;
use limits::Loaded;
pub use open::OpenError;

/// A store in one file, held by one process at a time.
///
/// Removed runs are remembered for ever, at about 40 bytes each. Dropping the store waits until what was asked of it is
/// done and the file is closed.
#[derive(Debug)]
pub struct SqliteStore {
    clock: Clock,
    desk: Desk,
    /// Not in the file: nobody but this process can be in a group.
    groups: Mutex<Groups>,
    limits: Arc<Loaded>,
    passed_over: Arc<PassedOver>,
}

impl SqliteStore {
    /// Opens the store in a file, or makes a new one where there is no file or an empty one. Beside it, a file with the
    /// ending `-wal` holds what was committed last.
    ///
    /// Reads the whole file to check it, about a second per gigabyte, and blocks meanwhile. A file that cannot be used
    /// is left as it is.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let opened = open::open(path.as_ref())?;
        let clock = Clock::start(opened.newest);
        let desk = Desk::start(opened.connection, &opened.path)?;
        let (groups, limits, passed_over) = Default::default();
        Ok(Self { clock, desk, groups, limits, passed_over })
    }

    /// Reads something of the limits of a namespace.
    async fn read_of_limits<T: Send + 'static>(
        &self,
        namespace: &str,
        read: impl Fn(&Limits<Holder>) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (loaded, namespace) = (Arc::clone(&self.limits), namespace.to_owned());
        self.desk.ask(move |db| limits::read(db, &loaded, &namespace, &read)).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.clock.now())
    }

    async fn install(&self, offer: Installation) -> Result<Installation, StoreError> {
        self.desk.ask(move |db| list::install(db, &offer)).await
    }

    async fn incarnation(&self) -> Result<Incarnation, StoreError> {
        Ok(Incarnation("sqlite".into()))
    }

    async fn create(&self, run: NewRun) -> Result<Created, StoreError> {
        let now = self.clock.now();
        self.desk.ask(move |db| runs::create(db, &run, now)).await
    }

    async fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Committed>, StoreError> {
        let now = self.clock.now();
        self.desk.ask(move |db| runs::commit_each(db, &commits, now)).await
    }

    async fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError> {
        self.desk.ask(move |db| runs::load(db, run)).await
    }

    async fn active_runs(&self, partition: u32, partitions: u32) -> Result<Vec<RunId>, StoreError> {
        self.desk.ask(move |db| list::active(db, partition, partitions)).await
    }

    async fn place_order(&self, run: RunId, order: Order) -> Result<Placed, StoreError> {
        self.desk.ask(move |db| runs::place_order(db, run, &order)).await
    }

    async fn read_orders(&self, run: RunId) -> Result<Vec<PlacedOrder>, StoreError> {
        self.desk.ask(move |db| runs::orders_of(db, run)).await
    }

    async fn read_run(&self, run: RunId) -> Result<Option<RunView>, StoreError> {
        self.desk.ask(move |db| Ok(runs::find(db, run)?.map(|(_, view)| view))).await
    }

    async fn read_record(&self, run: RunId) -> Result<Option<(Version, RunRecord)>, StoreError> {
        self.desk.ask(move |db| runs::record(db, run)).await
    }

    async fn read_pipeline(&self, run: RunId) -> Result<Option<Bytes>, StoreError> {
        self.desk.ask(move |db| runs::pipeline_of(db, run)).await
    }

    async fn read_expansions(
        &self,
        run: RunId,
        from: usize,
    ) -> Result<Option<Vec<Expansion>>, StoreError> {
        let read = move |db: &_| {
            let Some((key, view)) = runs::find(db, run)? else {
                return Ok(None);
            };
            Ok(Some(expansions::read(db, key, &view, from)?))
        };
        self.desk.ask(read).await
    }

    async fn read_step_range(
        &self,
        run: RunId,
        range: Range<u32>,
    ) -> Result<Option<(RunView, Vec<StepRecord>)>, StoreError> {
        let read = move |db: &_| {
            let Some((key, view)) = runs::find(db, run)? else {
                return Ok(None);
            };
            let steps = steps::read_range(db, key, view.step_count, range.clone())?;
            Ok(Some((view, steps)))
        };
        self.desk.ask(read).await
    }

    async fn read_steps(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<Option<(RunView, Vec<StepRecord>)>, StoreError> {
        let steps = steps.to_vec();
        let read = move |db: &_| {
            let Some((key, view)) = runs::find(db, run)? else {
                return Ok(None);
            };
            let steps = steps::read(db, key, &view, &steps)?;
            Ok(Some((view, steps)))
        };
        self.desk.ask(read).await
    }

    async fn read_attempts(
        &self,
        run: RunId,
        step: StepIndex,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        self.desk.ask(move |db| steps::attempts(db, run, step)).await
    }

    async fn read_latest_attempts(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<BTreeMap<StepIndex, AttemptRecord>, StoreError> {
        let steps = steps.to_vec();
        self.desk.ask(move |db| steps::latest_attempts(db, run, &steps)).await
    }

    async fn read_outputs(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<BTreeMap<StepIndex, Arc<str>>, StoreError> {
        let steps = steps.to_vec();
        self.desk.ask(move |db| steps::outputs(db, run, &steps)).await
    }

    async fn list_runs(&self, query: &RunQuery, limit: usize) -> Result<Vec<RunView>, StoreError> {
        let query = query.clone();
        let passed_over = Arc::clone(&self.passed_over);
        self.desk.ask(move |db| list::list(db, &query, limit, &passed_over)).await
    }

    async fn finished_runs(&self, limit: usize) -> Result<FinishedRuns, StoreError> {
        self.desk.ask(move |db| list::finished(db, limit)).await
    }

    async fn claim(
        &self,
        run: RunId,
        holder: &str,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Option<Vec<Arc<str>>>, StoreError> {
        let (holder, attempts) = (Arc::<str>::from(holder), attempts.to_vec());
        self.desk.ask(move |db| claims::claim(db, run, &holder, &attempts)).await
    }

    async fn read_claims(
        &self,
        run: RunId,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Vec<Option<Arc<str>>>, StoreError> {
        let attempts = attempts.to_vec();
        self.desk.ask(move |db| claims::read(db, run, &attempts)).await
    }

    async fn share(&self, request: &ShareRequest) -> Result<Shares, StoreError> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that time does not go back between two requests.
        let now = self.clock.now();
        Ok(groups.share(request, now))
    }

    async fn read_members(&self, group: &str) -> Result<BTreeSet<String>, StoreError> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(groups.members(group, self.clock.now()))
    }

    async fn read_cache(
        &self,
        namespace: &str,
        keys: &[CacheKey],
    ) -> Result<Vec<Option<CacheEntry>>, StoreError> {
        let (namespace, keys) = (namespace.to_owned(), keys.to_vec());
        self.desk.ask(move |db| cache::read(db, &namespace, &keys)).await
    }

    async fn write_cache(&self, namespace: &str, entries: &[CacheEntry]) -> Result<(), StoreError> {
        let (namespace, entries) = (namespace.to_owned(), entries.to_vec());
        self.desk.ask(move |db| cache::write(db, &namespace, &entries)).await
    }

    async fn clear_cache(&self, namespace: &str, scope: &CacheScope) -> Result<u64, StoreError> {
        let (namespace, scope) = (namespace.to_owned(), scope.clone());
        self.desk.ask(move |db| cache::clear(db, &namespace, &scope)).await
    }

    async fn take_limits(
        &self,
        namespace: &str,
        request: &LimitRequest,
    ) -> Result<LimitAnswer, StoreError> {
        let (clock, loaded) = (self.clock, Arc::clone(&self.limits));
        let (namespace, request) = (namespace.to_owned(), request.clone());
        let take = move |db: &_| limits::take(db, &loaded, &namespace, &request, clock.now());
        self.desk.ask(take).await
    }

    async fn set_limit(
        &self,
        namespace: &str,
        name: &str,
        config: Option<LimitConfig>,
    ) -> Result<LimitAnswer, StoreError> {
        let (clock, loaded) = (self.clock, Arc::clone(&self.limits));
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let set =
            move |db: &_| limits::configure(db, &loaded, &namespace, &name, config, clock.now());
        self.desk.ask(set).await
    }

    async fn read_limits(&self, namespace: &str) -> Result<Vec<LimitView>, StoreError> {
        self.read_of_limits(namespace, limit::views).await
    }

    async fn read_holders(
        &self,
        namespace: &str,
        name: &str,
        most: usize,
    ) -> Result<Vec<Holder>, StoreError> {
        let name = name.to_owned();
        let read = move |limits: &Limits<_>| limits.holders(&name).copied().take(most).collect();
        self.read_of_limits(namespace, read).await
    }

    async fn read_places(
        &self,
        namespace: &str,
        holder: Holder,
    ) -> Result<Vec<(Arc<str>, u32)>, StoreError> {
        self.read_of_limits(namespace, move |limits| limit::places(limits, &holder)).await
    }

    async fn limited_runs(&self, namespace: &str) -> Result<Vec<RunId>, StoreError> {
        self.read_of_limits(namespace, limit::runs).await
    }

    async fn limited_namespaces(&self) -> Result<Vec<String>, StoreError> {
        self.desk.ask(limits::namespaces).await
    }

    async fn read_limited(
        &self,
        namespace: &str,
        run: RunId,
    ) -> Result<Vec<(Holder, bool)>, StoreError> {
        self.read_of_limits(namespace, move |limits| limit::read_run(limits, run)).await
    }

    async fn remove(&self, run: RunId, expected: Version) -> Result<Committed, StoreError> {
        self.desk.ask(move |db| runs::remove(db, run, expected)).await
    }

    async fn remove_damaged(&self, run: RunId) -> Result<bool, StoreError> {
        self.desk.ask(move |db| runs::remove_damaged(db, run)).await
    }
}
