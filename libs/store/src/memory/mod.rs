//! A store within one process, which ends with it: for tests, and for runs that nobody needs to see again.

mod cache;
mod limits;
mod list;
mod run;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
    group::Groups, limit,
};
use cache::Results;
use limits::Namespaces;
use list::Place;
use run::Run;

/// A store within one process. Removed runs are remembered as long as it lives, at 30 bytes each.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Clock,
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    runs: HashMap<RunId, Run>,
    /// All runs, in the order of the list.
    list: BTreeSet<Place>,
    /// Those that have not ended or have orders in their inbox.
    active: HashSet<RunId>,
    /// All others, by when they ended.
    finished: BTreeSet<(Timestamp, RunId)>,
    removed: HashSet<RunId>,
    /// How many there are, once that was recorded.
    installation: Option<Installation>,
    groups: Groups,
    results: Results,
    limits: Namespaces,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self { clock: Clock::start(Timestamp::default()), contents: Mutex::default() }
    }

    /// Nothing in here panics half way through a change.
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, run: RunId, read: impl FnOnce(&Run) -> T) -> Option<T> {
        self.contents().runs.get(&run).map(read)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Contents {
    fn create(&mut self, run: NewRun, now: Timestamp) -> Created {
        let id = run.submission.id;
        if let Some(existing) = self.runs.get(&id) {
            return Created::Existed { digest: existing.view().submission.digest };
        }
        if self.removed.contains(&id) {
            return Created::Removed;
        }
        self.list.insert(Place::new(now, id));
        self.runs.insert(id, Run::new(run, now));
        self.settle_active(id);
        Created::New
    }

    fn commit(&mut self, commit: Commit) -> Committed {
        let id = commit.run;
        let Some(run) = self.runs.get_mut(&id).filter(|run| run.view().version == commit.expected)
        else {
            return Committed::Conflict;
        };
        let ended_at = run.view().record.ended_at;
        match run.apply(commit) {
            Ok(version) => {
                self.finished.remove(&(ended_at, id));
                self.settle_active(id);
                Committed::Done(version)
            }
            Err(why) => Committed::Damaged(why),
        }
    }

    fn place_order(&mut self, id: RunId, order: Order) -> Placed {
        let Some(run) = self.runs.get_mut(&id) else {
            return Placed::NoRun;
        };
        let ended_at = run.view().record.ended_at;
        let placed = run.place_order(order);
        if placed == Placed::Waiting {
            self.finished.remove(&(ended_at, id));
            self.settle_active(id);
        }
        placed
    }

    /// Puts a run among the active or the finished ones, of which it is neither or was the former.
    fn settle_active(&mut self, id: RunId) {
        let Some(run) = self.runs.get(&id) else { return };
        if run.is_active() {
            self.active.insert(id);
        } else {
            self.active.remove(&id);
            self.finished.insert((run.view().record.ended_at, id));
        }
    }

    /// Takes a run out, for the caller to drop when the lock is free: it may be large.
    fn remove(&mut self, id: RunId, expected: Version) -> Option<Run> {
        self.runs.get(&id).filter(|run| run.view().version == expected)?;
        let run = self.runs.remove(&id)?;
        self.list.remove(&Place::new(run.view().created_at, id));
        self.active.remove(&id);
        self.finished.remove(&(run.view().record.ended_at, id));
        self.removed.insert(id);
        Some(run)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.clock.now())
    }

    async fn install(&self, offer: Installation) -> Result<Installation, StoreError> {
        Ok(self.contents().installation.get_or_insert(offer).clone())
    }

    async fn incarnation(&self) -> Result<Incarnation, StoreError> {
        Ok(Incarnation("memory".into()))
    }

    async fn create(&self, run: NewRun) -> Result<Created, StoreError> {
        Ok(self.contents().create(run, self.clock.now()))
    }

    async fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Committed>, StoreError> {
        let mut contents = self.contents();
        Ok(commits.into_iter().map(|commit| contents.commit(commit)).collect())
    }

    async fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError> {
        Ok(self.read(run, Run::load))
    }

    async fn active_runs(&self, partition: u32, partitions: u32) -> Result<Vec<RunId>, StoreError> {
        let contents = self.contents();
        let of_partition = |run: &RunId| run.partition(partitions) == partition;
        Ok(contents.active.iter().copied().filter(of_partition).collect())
    }

    async fn place_order(&self, run: RunId, order: Order) -> Result<Placed, StoreError> {
        Ok(self.contents().place_order(run, order))
    }

    async fn read_orders(&self, run: RunId) -> Result<Vec<PlacedOrder>, StoreError> {
        Ok(self.read(run, Run::orders).unwrap_or_default())
    }

    async fn read_run(&self, run: RunId) -> Result<Option<RunView>, StoreError> {
        Ok(self.read(run, |run| run.view().clone()))
    }

    async fn read_record(&self, run: RunId) -> Result<Option<(Version, RunRecord)>, StoreError> {
        Ok(self.read(run, |run| (run.view().version, run.view().record.clone())))
    }

    async fn read_pipeline(&self, run: RunId) -> Result<Option<Bytes>, StoreError> {
        Ok(self.read(run, Run::pipeline))
    }

    async fn read_expansions(
        &self,
        run: RunId,
        from: usize,
    ) -> Result<Option<Vec<Expansion>>, StoreError> {
        Ok(self.read(run, |run| run.expansions(from)))
    }

    async fn read_step_range(
        &self,
        run: RunId,
        range: Range<u32>,
    ) -> Result<Option<(RunView, Vec<StepRecord>)>, StoreError> {
        Ok(self.read(run, |run| (run.view().clone(), run.step_range(range))))
    }

    async fn read_steps(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<Option<(RunView, Vec<StepRecord>)>, StoreError> {
        self.read(run, |run| Ok((run.view().clone(), run.steps(steps)?))).transpose()
    }

    async fn read_attempts(
        &self,
        run: RunId,
        step: StepIndex,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        Ok(self.read(run, |run| run.attempts(step)).unwrap_or_default())
    }

    async fn read_latest_attempts(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<BTreeMap<StepIndex, AttemptRecord>, StoreError> {
        Ok(self.read(run, |run| run.latest_attempts(steps)).unwrap_or_default())
    }

    async fn read_outputs(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<BTreeMap<StepIndex, Arc<str>>, StoreError> {
        Ok(self.read(run, |run| run.outputs(steps)).unwrap_or_default())
    }

    async fn list_runs(&self, query: &RunQuery, limit: usize) -> Result<Vec<RunView>, StoreError> {
        Ok(self.contents().list(query, limit))
    }

    async fn finished_runs(&self, limit: usize) -> Result<FinishedRuns, StoreError> {
        Ok(self.contents().finished(limit))
    }

    async fn claim(
        &self,
        run: RunId,
        holder: &str,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Option<Vec<Arc<str>>>, StoreError> {
        Ok(self.contents().runs.get_mut(&run).map(|run| run.claim(holder, attempts)))
    }

    async fn read_claims(
        &self,
        run: RunId,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Vec<Option<Arc<str>>>, StoreError> {
        let claims = self.read(run, |run| run.claims(attempts));
        Ok(claims.unwrap_or_else(|| vec![None; attempts.len()]))
    }

    async fn share(&self, request: &ShareRequest) -> Result<Shares, StoreError> {
        let mut contents = self.contents();
        // Read under the lock, so that time does not go back between two requests.
        let now = self.clock.now();
        Ok(contents.groups.share(request, now))
    }

    async fn read_members(&self, group: &str) -> Result<BTreeSet<String>, StoreError> {
        let contents = self.contents();
        Ok(contents.groups.members(group, self.clock.now()))
    }

    async fn read_cache(
        &self,
        namespace: &str,
        keys: &[CacheKey],
    ) -> Result<Vec<Option<CacheEntry>>, StoreError> {
        Ok(self.contents().results.read(namespace, keys))
    }

    async fn write_cache(&self, namespace: &str, entries: &[CacheEntry]) -> Result<(), StoreError> {
        self.contents().results.write(namespace, entries);
        Ok(())
    }

    async fn clear_cache(&self, namespace: &str, scope: &CacheScope) -> Result<u64, StoreError> {
        Ok(self.contents().results.clear(namespace, scope))
    }

    async fn take_limits(
        &self,
        namespace: &str,
        request: &LimitRequest,
    ) -> Result<LimitAnswer, StoreError> {
        Ok(self.contents().limits.take(namespace, request, self.clock.now()))
    }

    async fn set_limit(
        &self,
        namespace: &str,
        name: &str,
        config: Option<LimitConfig>,
    ) -> Result<LimitAnswer, StoreError> {
        Ok(self.contents().limits.configure(namespace, name, config, self.clock.now()))
    }

    async fn read_limits(&self, namespace: &str) -> Result<Vec<LimitView>, StoreError> {
        Ok(self.contents().limits.read(namespace, limit::views))
    }

    async fn read_holders(
        &self,
        namespace: &str,
        name: &str,
        most: usize,
    ) -> Result<Vec<Holder>, StoreError> {
        let read = |limits: &Limits<Holder>| limits.holders(name).copied().take(most).collect();
        Ok(self.contents().limits.read(namespace, read))
    }

    async fn read_places(
        &self,
        namespace: &str,
        holder: Holder,
    ) -> Result<Vec<(Arc<str>, u32)>, StoreError> {
        Ok(self.contents().limits.read(namespace, |limits| limit::places(limits, &holder)))
    }

    async fn limited_runs(&self, namespace: &str) -> Result<Vec<RunId>, StoreError> {
        Ok(self.contents().limits.read(namespace, limit::runs))
    }

    async fn limited_namespaces(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.contents().limits.namespaces())
    }

    async fn read_limited(
        &self,
        namespace: &str,
        run: RunId,
    ) -> Result<Vec<(Holder, bool)>, StoreError> {
        Ok(self.contents().limits.read(namespace, |limits| limit::read_run(limits, run)))
    }

    async fn remove(&self, run: RunId, expected: Version) -> Result<Committed, StoreError> {
        let removed = self.contents().remove(run, expected);
        Ok(removed.map_or(Committed::Conflict, |_| Committed::Done(expected)))
    }

    /// Nothing in here can be damaged.
    async fn remove_damaged(&self, _run: RunId) -> Result<bool, StoreError> {
        Ok(false)
    }
}
