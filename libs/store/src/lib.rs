//! Where run state is kept: one trait, its implementations, and the conformance suite that each of them passes.
//!
//! ```text
//!   submitter ── create, place_order, remove, clear_cache, reads ──▶ ┌───────┐
//!   scheduler ── active_runs, load, commit, share, write_cache ────▶ │ Store │
//!   launcher ─── read_steps, read_pipeline, claim, read_cache ─────▶ └───────┘
//! ```
//!
//! A store keeps, for each run: what was submitted ([`NewRun`], immutable), what retries have changed of that
//! ([`Amendment`]), the engine's records with a version, how its loops have expanded, the attempts that are over, the
//! outputs, the claims of attempts, and an inbox of orders. Besides
//! runs it keeps results of steps that outlive them ([`CacheEntry`]), who holds and waits for the named limits of each
//! namespace ([`LimitRequest`]), and what replicas share: the number of partitions, and who serves what for how long.
//! **Invariant:** a store decides nothing about runs; it checks versions, and grants limits by the rules of
//! [`windlass_engine::limits`]. What it has answered to is durable.

mod cache;
mod clock;
mod codec;
pub mod conformance;
mod group;
mod growth;
mod limit;
mod memory;
mod passed_over;
mod redis;
mod run;
mod sqlite;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;
use windlass_engine::{
    event::Order,
    layout::Expansion,
    limits::LimitConfig,
    record::{AttemptRecord, RunRecord, StepIndex, StepRecord},
    time::Timestamp,
};
use windlass_proto::{cache_key::CacheKey, id::RunId};

pub use cache::{CACHE_ENTRIES, CACHE_TTL, CacheEntry, CacheScope};
pub use group::{ShareRequest, Shares};
pub use limit::{GRANTS_AT_ONCE, Holder, LimitAnswer, LimitAsk, LimitRequest, LimitView};
pub use memory::MemoryStore;
pub use redis::{
    Durability, RedisConfig, RedisMode, RedisOpenError, RedisPassword, RedisStore, RedisTls,
};
pub use run::{
    Amendment, Commit, Committed, Created, FinishedRun, FinishedRuns, INBOX_BYTES_MAX, NewRun,
    ORDER_BYTES_MAX, Placed, PlacedOrder, RunPosition, RunQuery, RunView, StoredRun, Submission,
    Version,
};
pub use sqlite::{OpenError, SqliteStore};

/// One life of what a store has acknowledged. Another one means that some of it may be gone: the server was restarted and
/// its log may have lost its end, or another server took over. Only to be compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Incarnation(pub String);

/// What a store has been since it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// Into how many partitions runs are divided.
    pub partitions: u32,
    /// Tells this store from any other one, also from one that is empty and in its place. No space is in it.
    pub id: String,
}

impl Installation {
    /// What to offer to a store that may be new.
    pub fn new(partitions: u32) -> Self {
        Self { partitions, id: Uuid::new_v4().simple().to_string() }
    }
}

/// Where run state is kept.
///
/// Every method either does all it says, durably, or nothing; after [`StoreError::Unknown`] it may have done either. All may be called again.
///
/// What is damaged, or missing, of one run harms that run alone: questions about it are answered with
/// [`StoreError::Damaged`], and where many runs are looked at it is passed over, and named in the log once.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// The store's time.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// Records what is offered at the first call, for ever, and answers with what is recorded. Who is answered with another
    /// number of partitions than its own must not go on: it would look for runs where they are not.
    async fn install(&self, offer: Installation) -> Result<Installation, StoreError>;

    /// Which life of the store this is. A store that never loses what it acknowledged has one.
    async fn incarnation(&self) -> Result<Incarnation, StoreError>;

    /// Creates a run, at version 1, and adds it to the active runs of its partition. A crash before the answer: the run is
    /// there as a whole or not at all, and asking again tells which.
    async fn create(&self, run: NewRun) -> Result<Created, StoreError>;

    /// Commits decisions about runs, each under its own version check, all or none of the others' outcomes
    /// notwithstanding. A run whose record is final leaves the active runs; one whose record is not joins them. Answers in
    /// the order asked.
    ///
    /// What is damaged of one run changes nothing for the others: its own commit is answered with
    /// [`Committed::Damaged`]. Only what the commit would change is looked at, so that a run can be failed whose steps
    /// cannot be read. A commit to steps that the run does not have, those included that it adds, is answered in the same
    /// way; and so is one that adds more than [`STEPS_MAX`](windlass_engine::layout::STEPS_MAX) allows.
    async fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Committed>, StoreError>;

    /// Loads a run as a scheduler needs it.
    async fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError>;

    /// The runs of a partition (of `partitions`) that have not ended, or have orders in their inbox.
    async fn active_runs(&self, partition: u32, partitions: u32) -> Result<Vec<RunId>, StoreError>;

    /// Puts an order into a run's inbox, where there is room in it.
    async fn place_order(&self, run: RunId, order: Order) -> Result<Placed, StoreError>;

    /// Reads the orders in a run's inbox, the oldest first.
    async fn read_orders(&self, run: RunId) -> Result<Vec<PlacedOrder>, StoreError>;

    /// Reads a run, its steps left out.
    async fn read_run(&self, run: RunId) -> Result<Option<RunView>, StoreError>;

    /// Reads a run's own state and nothing else of it: also where the rest cannot be read.
    async fn read_record(&self, run: RunId) -> Result<Option<(Version, RunRecord)>, StoreError>;

    /// Reads the encoded pipeline of a run.
    async fn read_pipeline(&self, run: RunId) -> Result<Option<Bytes>, StoreError>;

    /// Reads how a run's loops have expanded, from the `from`-th expansion on, in the order in which they came. None of them
    /// ever changes, and others are added behind them: a reader keeps what it has read.
    async fn read_expansions(
        &self,
        run: RunId,
        from: usize,
    ) -> Result<Option<Vec<Expansion>>, StoreError>;

    /// Reads the run and the states of a range of its steps, both of the same version; steps beyond the last are left out.
    async fn read_step_range(
        &self,
        run: RunId,
        range: Range<u32>,
    ) -> Result<Option<(RunView, Vec<StepRecord>)>, StoreError>;

    /// The same for steps by name: one state for each, in the order asked; unknown ones are refused as damage.
    async fn read_steps(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<Option<(RunView, Vec<StepRecord>)>, StoreError>;

    /// Reads the attempts of one step that are over and stored on their own (see [`AttemptRecord`]), ascending.
    async fn read_attempts(
        &self,
        run: RunId,
        step: StepIndex,
    ) -> Result<Vec<AttemptRecord>, StoreError>;

    /// Reads the latest stored attempt of each of these steps that has one.
    async fn read_latest_attempts(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<BTreeMap<StepIndex, AttemptRecord>, StoreError>;

    /// Reads the outputs of those of these steps that have any.
    async fn read_outputs(
        &self,
        run: RunId,
        steps: &[StepIndex],
    ) -> Result<BTreeMap<StepIndex, Arc<str>>, StoreError>;

    /// Lists at most `limit` runs, the newest first. Fewer mean that there are no others that can be read.
    async fn list_runs(&self, query: &RunQuery, limit: usize) -> Result<Vec<RunView>, StoreError>;

    /// The runs whose record is final and whose inbox is empty: how many there are, and at most `limit` of those that
    /// ended first, by time and then by id. What ends or is taken up again meanwhile may be in it or not. One that cannot
    /// be read may be passed over, and is not counted then.
    async fn finished_runs(&self, limit: usize) -> Result<FinishedRuns, StoreError>;

    /// Claims attempts, each a step and the attempt's number, for a holder, such as a host. Who claims an attempt first has
    /// it until the run is removed. Answers with who holds each, in the order asked; with none if there is no such run.
    ///
    /// This is for runtimes without names that all hosts share: who holds the claim may create the attempt, and nobody
    /// else. Whether the run has such an attempt is not looked at.
    ///
    /// A store that came back without its latest claims would give them to others. For some time after such a restart it
    /// is *settling*: it answers this with [`StoreError::Unavailable`], so that holders
    /// [assert](Self::assert_claims) first what they have.
    async fn claim(
        &self,
        run: RunId,
        holder: &str,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Option<Vec<Arc<str>>>, StoreError>;

    /// The same for attempts that the holder has created and still knows of. Allowed also while the store is settling; to a
    /// store that never is, it is the same.
    async fn assert_claims(
        &self,
        run: RunId,
        holder: &str,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Option<Vec<Arc<str>>>, StoreError> {
        self.claim(run, holder, attempts).await
    }

    /// Reads who holds each of these attempts, in the order asked.
    async fn read_claims(
        &self,
        run: RunId,
        attempts: &[(StepIndex, u32)],
    ) -> Result<Vec<Option<Arc<str>>>, StoreError>;

    /// Takes part in a group whose members share leases among themselves, in one step: see [`ShareRequest`]. Nobody has a
    /// lease that another one has, by the store's clock.
    async fn share(&self, request: &ShareRequest) -> Result<Shares, StoreError>;

    /// Reads who is in a group, without taking part in it; those left out that are leaving, and those whose time is over.
    async fn read_members(&self, group: &str) -> Result<BTreeSet<String>, StoreError>;

    /// Reads the results that are kept in a namespace under these keys: for each, in the order asked, its result or none.
    /// How old it may be is up to who asks. One that cannot be read counts as none.
    async fn read_cache(
        &self,
        namespace: &str,
        keys: &[CacheKey],
    ) -> Result<Vec<Option<CacheEntry>>, StoreError>;

    /// Keeps results in a namespace, each in place of the one that its key had; together at most [`CACHE_ENTRIES`], the oldest
    /// of which go first, and none for much longer than [`CACHE_TTL`]. That their runs are removed changes nothing for them.
    ///
    /// Not all or nothing: after an error some may be kept, and others not.
    async fn write_cache(&self, namespace: &str, entries: &[CacheEntry]) -> Result<(), StoreError>;

    /// Forgets results of a namespace, and tells how many there were. What is kept meanwhile may stay.
    async fn clear_cache(&self, namespace: &str, scope: &CacheScope) -> Result<u64, StoreError>;

    /// Takes and gives back places of the limits of a namespace, by the store's clock, and grants what has become possible to
    /// all who wait there. An empty request only does the latter.
    ///
    /// Not all or nothing: after an error some of it may be done, in the order of the request; and who was granted something
    /// meanwhile is told so where it asks again. Asking for the same again changes nothing.
    ///
    /// While a store is settling (see [`Self::claim`]) all is noted and nothing is granted. That a start was lost is not known
    /// again afterwards, so that a rate may be exceeded by as many as were lost. A limit that is damaged is
    /// [`StoreError::Damaged`] here, for all of its namespace, and nowhere else.
    async fn take_limits(
        &self,
        namespace: &str,
        request: &LimitRequest,
    ) -> Result<LimitAnswer, StoreError>;

    /// Configures a limit of a namespace, or forgets its configuration, and grants what that allows.
    async fn set_limit(
        &self,
        namespace: &str,
        name: &str,
        config: Option<LimitConfig>,
    ) -> Result<LimitAnswer, StoreError>;

    /// Reads the limits of a namespace that are configured, held or waited for, by name.
    async fn read_limits(&self, namespace: &str) -> Result<Vec<LimitView>, StoreError>;

    /// Reads who holds a limit, the longest first: `most` at most.
    async fn read_holders(
        &self,
        namespace: &str,
        name: &str,
        most: usize,
    ) -> Result<Vec<Holder>, StoreError>;

    /// Reads where somebody stands who waits: for each of its limits, how many stand before it. Nothing where it does not wait.
    async fn read_places(
        &self,
        namespace: &str,
        holder: Holder,
    ) -> Result<Vec<(Arc<str>, u32)>, StoreError>;

    /// Reads which runs hold or wait for limits of a namespace, by id. What changes meanwhile may be in it or not.
    async fn limited_runs(&self, namespace: &str) -> Result<Vec<RunId>, StoreError>;

    /// Reads the namespaces in which anybody holds or waits for limits, and perhaps some where nobody does any more.
    async fn limited_namespaces(&self) -> Result<Vec<String>, StoreError>;

    /// Reads who of a run holds limits of a namespace, and who waits (false), by step and attempt.
    async fn read_limited(
        &self,
        namespace: &str,
        run: RunId,
    ) -> Result<Vec<(Holder, bool)>, StoreError>;

    /// Removes a run that is still at this version, and remembers that it was there: [`Store::create`] will not make it
    /// again. Answers with the version that it had.
    async fn remove(&self, run: RunId, expected: Version) -> Result<Committed, StoreError>;

    /// Removes a run that [cannot be read](Self::read_run), which has no version to be trusted, with all that is found of
    /// it. Remembers that it was there. False where there is nothing of it, or where it can be read.
    async fn remove_damaged(&self, run: RunId) -> Result<bool, StoreError>;
}

fn no_such_step(run: RunId, steps: u32, step: StepIndex) -> String {
    format!("run {run} has {steps} steps, and none of index {}", step.0)
}

/// Why a store could not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or has no room: nothing was done, and a later try may work.
    #[error("the store cannot do this now: {0}")]
    Unavailable(String),
    /// Nobody knows whether it was done.
    #[error("the store did not say whether it did this: {0}; reading again will tell")]
    Unknown(String),
    /// What is stored cannot be understood.
    #[error(
        "what is stored is damaged: {0}; restore it from a copy, or delete the run that it is of"
    )]
    Damaged(String),
}

impl StoreError {
    /// The answer to a question about a step that the run does not have: whoever asks and what is stored do not agree.
    fn no_such_step(run: RunId, steps: u32, step: StepIndex) -> Self {
        Self::Damaged(no_such_step(run, steps, step))
    }

    /// Whether the same call may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Unknown(_) => true,
            Self::Damaged(_) => false,
        }
    }
}
