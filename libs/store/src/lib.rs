//! Where run state is kept: one trait, its implementations, and the conformance suite that each of them passes.
//!
//! ```text
//!   submitter ── create, place_order, delete, reads ──▶ ┌───────┐
//!   scheduler ── active_runs, load, commit ───────────▶ │ Store │
//!   launcher ─── read_steps, read_pipeline, outputs ──▶ └───────┘
//! ```
//!
//! A store keeps, for each run: what was submitted ([`NewRun`], immutable), the engine's records with a version, the
//! attempts that are over, the outputs, and an inbox of orders. **Invariant:** a store decides nothing about runs; it
//! checks versions. What it has answered to is durable.

mod clock;
mod codec;
pub mod conformance;
mod memory;
mod sqlite;

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_engine::{
    event::Order,
    record::{AttemptRecord, RunRecord, StepIndex, StepRecord},
    time::Timestamp,
};
use windlass_proto::id::RunId;

pub use memory::MemoryStore;
pub use sqlite::{OpenError, SqliteStore};

/// What was submitted: never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The run.
    pub id: RunId,
    /// Where it lives.
    pub namespace: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Labels of the run, the pipeline's included.
    pub labels: BTreeMap<String, String>,
    /// The value of every parameter: a JSON object.
    pub arguments_json: String,
    /// A digest of all that was asked for, by which a repeated request is known from another one with the same id.
    pub digest: [u8; 32],
    /// The run that this one repeats.
    pub rerun_of: Option<RunId>,
    /// How many steps there are.
    pub steps: u32,
}

/// A run to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRun {
    /// What was submitted.
    pub submission: Submission,
    /// The encoded `windlass.v1.Pipeline`.
    pub pipeline: Bytes,
    /// The record of a run that has not begun.
    pub record: RunRecord,
}

/// What came of creating a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is there now.
    New,
    /// A run of this id was there, with this digest.
    Existed {
        /// That run's digest.
        digest: [u8; 32],
    },
    /// A run of this id was there and has been removed.
    Removed,
}

/// The version of a run's state: rises by one with every commit. The commit id tells two histories apart that reached
/// the same number, such as before and after a store was set back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Version {
    /// From 1.
    pub number: u64,
    /// Random.
    pub commit: u64,
}

impl Version {
    /// The version of a run that was just created. Nothing can have happened to such a run twice, so that its commit id
    /// need not tell anything apart.
    pub const FIRST: Self = Self { number: 1, commit: 0 };

    /// The version that a commit with this id makes.
    #[must_use]
    pub fn next(self, commit: u64) -> Self {
        Self { number: self.number.saturating_add(1), commit }
    }
}

/// A run as it is read by those who show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunView {
    /// What was submitted.
    pub submission: Arc<Submission>,
    /// When it was accepted, by the store's clock.
    pub created_at: Timestamp,
    /// The version of all that follows.
    pub version: Version,
    /// The run's own state.
    pub record: RunRecord,
}

/// A run as a scheduler loads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRun {
    /// The run's own state.
    pub view: RunView,
    /// The states of all steps.
    pub steps: Vec<StepRecord>,
    /// The encoded pipeline.
    pub pipeline: Bytes,
    /// Orders not yet taken, the oldest first.
    pub orders: Vec<PlacedOrder>,
}

/// An order in a run's inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedOrder {
    /// Rises with every order of the run.
    pub sequence: u64,
    /// What is asked.
    pub order: Order,
}

/// What a scheduler decided about one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The run.
    pub run: RunId,
    /// The version it was computed from.
    pub expected: Version,
    /// A random number for the new version.
    pub commit: u64,
    /// The run's own state.
    pub record: RunRecord,
    /// The steps that changed, ascending, with their new states.
    pub steps: Vec<(StepIndex, StepRecord)>,
    /// Attempts that are over; one that was stored before is replaced.
    pub attempts: Vec<AttemptRecord>,
    /// Outputs of steps, a JSON object each; earlier ones of the same step are replaced.
    pub outputs: Vec<(StepIndex, Arc<str>)>,
    /// Orders up to this sequence have been taken and leave the inbox.
    pub orders_taken: Option<u64>,
}

/// What came of one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Durable, and the run now has this version.
    Done(Version),
    /// The run had another version than expected, or is gone: nothing was changed.
    Conflict,
}

/// Which runs to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunQuery {
    /// Only of this namespace.
    pub namespace: Option<String>,
    /// Only of this pipeline.
    pub pipeline: Option<String>,
    /// Only with all of these labels.
    pub labels: BTreeMap<String, String>,
    /// Only in one of these states, as clients see them; empty means all.
    pub states: Vec<windlass_proto::v1::RunState>,
    /// Only accepted at or after.
    pub created_after: Option<Timestamp>,
    /// Only accepted before.
    pub created_before: Option<Timestamp>,
    /// Only what comes after this run in the order of the list.
    pub after: Option<RunPosition>,
}

/// A run's place in the list of all runs, which is ordered by time, the newest first, and then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunPosition {
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The run.
    pub run: RunId,
}

/// Where run state is kept.
///
/// Every method either does all it says, durably, or nothing; after [`StoreError::Unknown`] it may have done either. All may be called again.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// The store's time.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// Creates a run, at version 1, and adds it to the active runs of its partition. A crash before the answer: the run is
    /// there as a whole or not at all, and asking again tells which.
    async fn create(&self, run: NewRun) -> Result<Created, StoreError>;

    /// Commits decisions about runs, each under its own version check, all or none of the others' outcomes
    /// notwithstanding. A run whose record is final leaves the active runs; one whose record is not joins them. Answers in
    /// the order asked.
    ///
    /// Steps that a run does not have are refused as damage, and then nothing of the call was done.
    async fn commit(&self, commits: Vec<Commit>) -> Result<Vec<Committed>, StoreError>;

    /// Loads a run as a scheduler needs it.
    async fn load(&self, run: RunId) -> Result<Option<StoredRun>, StoreError>;

    /// The runs of a partition (of `partitions`) that have not ended, or have orders in their inbox.
    async fn active_runs(&self, partition: u32, partitions: u32) -> Result<Vec<RunId>, StoreError>;

    /// Puts an order into a run's inbox. False if there is no such run.
    async fn place_order(&self, run: RunId, order: Order) -> Result<bool, StoreError>;

    /// Reads the orders in a run's inbox, the oldest first.
    async fn read_orders(&self, run: RunId) -> Result<Vec<PlacedOrder>, StoreError>;

    /// Reads a run, its steps left out.
    async fn read_run(&self, run: RunId) -> Result<Option<RunView>, StoreError>;

    /// Reads the encoded pipeline of a run.
    async fn read_pipeline(&self, run: RunId) -> Result<Option<Bytes>, StoreError>;

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

    /// Lists at most `limit` runs, the newest first.
    async fn list_runs(&self, query: &RunQuery, limit: usize) -> Result<Vec<RunView>, StoreError>;

    /// Removes a run that is still at this version, and remembers that it was there: [`Store::create`] will not make it
    /// again. Answers with the version that it had.
    async fn remove(&self, run: RunId, expected: Version) -> Result<Committed, StoreError>;
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
    #[error("the store is damaged: {0}; restore it from a copy, or start with a new one")]
    Damaged(String),
}

impl StoreError {
    /// The answer to a question about a step that the run does not have: whoever asks and what is stored do not agree.
    fn no_such_step(run: RunId, steps: u32, step: StepIndex) -> Self {
        Self::Damaged(format!("run {run} has {steps} steps, and none of index {}", step.0))
    }

    /// Whether the same call may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Unknown(_) => true,
            Self::Damaged(_) => false,
        }
    }
}
