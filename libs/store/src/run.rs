//! What is stored of runs, and how it is asked for.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use windlass_engine::{
    event::Order,
    layout::Expansion,
    policy::LimitChanges,
    record::{AttemptRecord, RunRecord, StepIndex, StepRecord},
    time::Timestamp,
};
use windlass_proto::{convert, id::RunId, v1};

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
    /// The value of every parameter: a JSON object. A retry may change it: see [`RunView::arguments_json`].
    pub arguments_json: String,
    /// A digest of all that was asked for, by which a repeated request is known from another one with the same id.
    pub digest: [u8; 32],
    /// The run that this one repeats.
    pub rerun_of: Option<RunId>,
    /// No results of its steps are taken or kept.
    pub no_cache: bool,
    /// The pipeline's priority, from -1000 to 1000. Runs of programs that did not store it have 0 here.
    pub priority: i32,
    /// How many steps it begins with; its loops add others.
    pub steps: u32,
}

/// What retries have changed of a run since it was submitted: all that is other than it was then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Amendment {
    /// The value of every parameter: a JSON object; none where those hold that were submitted.
    pub arguments_json: Option<String>,
    /// The limits that are other than the pipeline's.
    pub limits: LimitChanges,
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
    /// How many steps it has, those included that its loops have added.
    pub step_count: u32,
    /// What was changed of it since it was submitted.
    pub amendment: Option<Arc<Amendment>>,
}

impl RunView {
    /// The value that every parameter has now: a JSON object.
    pub fn arguments_json(&self) -> &str {
        let amended = self.amendment.as_ref().and_then(|it| it.arguments_json.as_deref());
        amended.unwrap_or(&self.submission.arguments_json)
    }

    /// The limits that are other than the pipeline's.
    pub fn limit_changes(&self) -> LimitChanges {
        self.amendment.as_ref().map(|it| it.limits).unwrap_or_default()
    }
}

/// A run as a scheduler loads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRun {
    /// The run's own state.
    pub view: RunView,
    /// The states of all steps.
    pub steps: Vec<StepRecord>,
    /// How its loops have expanded: all of them, in the order in which they came.
    pub expansions: Vec<Expansion>,
    /// The encoded pipeline.
    pub pipeline: Bytes,
    /// Orders not yet taken, the oldest first.
    pub orders: Vec<PlacedOrder>,
}

/// The most bytes that an order may have, as the message `windlass.v1.Order`: as much as an approval may say, whatever it is
/// written in.
pub const ORDER_BYTES_MAX: usize = 20 << 10;

/// The most bytes that the orders in a run's inbox may have together, each counting for 8 more than it has. The inbox is read
/// with a run's state, and so is to be short.
pub const INBOX_BYTES_MAX: usize = 256 << 10;

/// What is kept of an order beside it: its sequence and its size.
pub(crate) const ORDER_OVERHEAD: usize = 8;

/// What came of placing an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It waits in the run's inbox.
    Waiting,
    /// There is no such run.
    NoRun,
    /// It has more than [`ORDER_BYTES_MAX`]: it was not placed.
    TooLarge,
    /// So many orders wait that the inbox would have more than [`INBOX_BYTES_MAX`]: it was not placed, and may be later.
    Full,
}

impl Placed {
    /// What comes of an order of this size where those that wait have so many bytes, if it has to be refused.
    pub(crate) fn refused(size: usize, waiting: usize) -> Option<Self> {
        if size > ORDER_BYTES_MAX {
            Some(Self::TooLarge)
        } else if waiting + size + ORDER_OVERHEAD > INBOX_BYTES_MAX {
            Some(Self::Full)
        } else {
            None
        }
    }
}

/// An order in a run's inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Loops that have expanded, in order: added to those that are stored.
    pub expansions: Vec<Expansion>,
    /// How many steps the run has from now on. Those that are new, and not among `steps`, have the default record. A run does
    /// not shrink: a lower number than before leaves it as it is, so that 0 is for who cannot know.
    pub step_count: u32,
    /// Orders up to this sequence have been taken and leave the inbox.
    pub orders_taken: Option<u64>,
    /// What a retry that was followed has changed of the run, in place of what earlier ones have. It comes with a record that
    /// counts that retry: of a run that was never retried, no amendment is read.
    pub amendment: Option<Arc<Amendment>>,
}

/// What came of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// Durable, and the run now has this version.
    Done(Version),
    /// The run had another version than expected, or is gone: nothing was changed.
    Conflict,
    /// What the commit would change of the run cannot be understood, for this reason: nothing was changed.
    Damaged(String),
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
    pub states: Vec<v1::RunState>,
    /// Only accepted at or after.
    pub created_after: Option<Timestamp>,
    /// Only accepted before.
    pub created_before: Option<Timestamp>,
    /// Only what comes after this run in the order of the list.
    pub after: Option<RunPosition>,
}

impl RunQuery {
    /// Whether a run is asked for; its place left aside.
    pub(crate) fn matches(&self, view: &RunView) -> bool {
        let submission = &view.submission;
        let has_label = |(name, value)| submission.labels.get(name) == Some(value);
        self.namespace.as_ref().is_none_or(|namespace| *namespace == submission.namespace)
            && self.pipeline.as_ref().is_none_or(|pipeline| *pipeline == submission.pipeline)
            && self.labels.iter().all(has_label)
            && (self.states.is_empty() || self.states.contains(&convert::run_state(&view.record)))
            && self.created_after.is_none_or(|time| view.created_at >= time)
            && self.created_before.is_none_or(|time| view.created_at < time)
    }
}

/// A run's place in the list of all runs, which is ordered by time, the newest first, and then by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunPosition {
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The run.
    pub run: RunId,
}

/// The runs that have ended, as they are found by who removes them in time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FinishedRuns {
    /// How many there are in all.
    pub total: u64,
    /// Those that ended first, the first of them first.
    pub oldest: Vec<FinishedRun>,
}

/// A run that has ended and whose inbox is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishedRun {
    /// The run.
    pub run: RunId,
    /// The version in which it has ended: what to give to [`Store::remove`](crate::Store::remove).
    pub version: Version,
    /// When it ended, as its record says.
    pub ended_at: Timestamp,
}
