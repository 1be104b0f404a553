//! The state of a run and of its steps: what is stored, and nothing that can be derived from it.

use std::sync::Arc;

use crate::{
    reason::{Failure, Reason, StopCause},
    time::Timestamp,
};

/// A step's number in its run: see [`layout`](crate::layout).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepIndex(pub u32);

impl StepIndex {
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

/// The state of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
#[repr(u8)]
pub enum StepState {
    /// A dependency has not ended.
    #[default]
    Waiting = 0,
    /// May start; the run's limits, a pause or a lack of room hold it back.
    Ready = 1,
    /// The latest attempt failed; the next one waits for its delay.
    Delayed = 2,
    /// An attempt was ordered.
    Queued = 3,
    /// The attempt exists and does not run yet.
    Starting = 4,
    /// The attempt runs.
    Running = 5,
    /// The attempt was given up and has not ended yet.
    Stopping = 6,
    /// The latest attempt succeeded, or a rule says that its failure does not matter.
    Succeeded = 7,
    /// The latest attempt failed, and there will be no other.
    Failed = 8,
    /// Was not tried since the run's start or latest retry, and will not be.
    Skipped = 9,
    /// Was tried, and stopped or not tried again because the run was stopped.
    Cancelled = 10,
    /// It holds steps, as groups and loops do, and not all of them have ended.
    Open = 11,
    /// It is an approval, and waits for somebody's word.
    Suspended = 12,
    /// It could start but for its named limits: they were asked for, and it starts as soon as they are granted.
    Blocked = 13,
}

impl StepState {
    /// How many states there are.
    pub const COUNT: usize = 14;

    /// All states, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Waiting,
        Self::Ready,
        Self::Delayed,
        Self::Queued,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
        Self::Open,
        Self::Suspended,
        Self::Blocked,
    ];

    /// Whether only a retry of the run leads out of it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled)
    }

    /// Whether an attempt may exist: it counts against the run's parallelism.
    pub fn is_in_flight(self) -> bool {
        matches!(self, Self::Queued | Self::Starting | Self::Running | Self::Stopping)
    }

    /// Whether its latest attempt holds its step's named limits, or stands in line for them.
    pub fn claims_limits(self) -> bool {
        self == Self::Blocked || self.is_in_flight()
    }
}

/// The state of one step. 48 bytes, the same for every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct StepRecord {
    /// Where the step is.
    pub state: StepState,
    /// Why it is there.
    pub reason: Reason,
    /// Failures of its own since the run's start or latest retry.
    pub failures: u16,
    /// Failures that were not its own.
    pub losses: u16,
    /// The number of the latest attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// The step that `reason` speaks of, where it speaks of one.
    pub cause: Option<StepIndex>,
    /// When the latest attempt was ordered; 0 before. While blocked: since when it waits for its limits.
    pub queued_at: Timestamp,
    /// When the latest attempt was created (while starting) or began to run (from then on, also while stopping); 0 before,
    /// and once it is stopping or over without having run. Of a step that holds others: when it opened. Of an approval: since
    /// when it waits for somebody's word, or did.
    pub started_at: Timestamp,
    /// When the step ended; while delayed, when it is tried again; 0 before.
    pub until: Timestamp,
}

impl StepRecord {
    /// Whether its latest attempt succeeded. A step may have succeeded without, by a rule that says that a failure does not
    /// matter; what earlier attempts put out is not the step's then.
    pub fn latest_succeeded(&self) -> bool {
        self.state == StepState::Succeeded && !matches!(self.reason, Reason::Failure(_))
    }

    /// Of a step that holds others: whether it has opened since the run's start or latest retry.
    pub fn has_opened(&self) -> bool {
        self.started_at > Timestamp(0)
    }
}

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum RunState {
    /// Accepted, not begun.
    #[default]
    Pending = 0,
    /// Steps run or wait to run; a pause does not change that.
    Running = 1,
    /// No attempt starts any more, and the last ones are ending.
    Stopping = 2,
    /// Every step succeeded or was skipped by its own rule.
    Succeeded = 3,
    /// A step failed, or the run's time-out passed.
    Failed = 4,
    /// Somebody cancelled it.
    Cancelled = 5,
    /// All but the exit steps have ended.
    Exiting = 6,
}

impl RunState {
    /// Whether only a retry leads out of it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// The state of a run as a whole. Its size does not depend on the graph's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RunRecord {
    /// Where the run is.
    pub state: RunState,
    /// Why nothing starts any more; stays when the run has ended.
    pub stop_cause: Option<StopCause>,
    /// The step whose failure is the run's, the first one in time.
    pub failed_step: Option<StepIndex>,
    /// Since when the run is paused, where it is.
    pub paused_at: Option<Timestamp>,
    /// How long the run was paused since `started_at`, the present pause left out.
    pub paused_ms: u64,
    /// Raised by every pause: launches ordered before it that have not come to anything are not wanted any more.
    pub launch_generation: u32,
    /// How often the run was taken up again.
    pub retries: u32,
    /// When the run, or its latest retry, began; 0 before.
    pub started_at: Timestamp,
    /// When the run ended; 0 before.
    pub ended_at: Timestamp,
    /// When the exit steps began; 0 before, and where there are none.
    pub exit_at: Timestamp,
    /// When the latest attempt was ordered; 0 before.
    pub last_start_at: Timestamp,
    /// How many steps are in each state, by the states' numbers; superseded ones are left out.
    pub counts: [u32; StepState::COUNT],
    /// What could not be understood, where that stopped the run.
    pub defect: Option<Arc<str>>,
}

impl RunRecord {
    /// How many steps are in a state.
    pub fn count(&self, state: StepState) -> u32 {
        self.counts[state as usize]
    }

    /// Ends a run of which nothing can be decided any more, since what is stored of it cannot be read. Its steps stay as they
    /// are. False where the run has ended already.
    pub fn condemn(&mut self, defect: Arc<str>, now: Timestamp) -> bool {
        if self.state.is_final() {
            return false;
        }
        self.state = RunState::Failed;
        self.stop_cause = Some(StopCause::Defect);
        self.ended_at = now;
        self.paused_at = None;
        self.defect = Some(defect);
        true
    }

    /// The state in which the run ends as things are; while its exit steps run, in which it ends if they succeed.
    pub(crate) fn final_state(&self) -> RunState {
        match self.stop_cause {
            Some(StopCause::Cancelled) => RunState::Cancelled,
            Some(StopCause::Failure | StopCause::TimedOut | StopCause::Defect) => RunState::Failed,
            None if self.failed_step.is_some() => RunState::Failed,
            None => RunState::Succeeded,
        }
    }

    /// Where the run is, as its exit steps see it: what it has come to without them.
    pub fn outcome(&self) -> RunState {
        match self.state {
            RunState::Exiting => self.final_state(),
            state => state,
        }
    }

    /// How many attempts count against the run's parallelism: those that may exist, and those that are to start as soon as
    /// their limits are granted. Were these left out, they might have to wait once more while they hold limits.
    pub fn taken(&self) -> u32 {
        self.in_flight() + self.count(StepState::Blocked)
    }

    /// How many attempts may exist.
    pub fn in_flight(&self) -> u32 {
        StepState::ALL
            .into_iter()
            .filter(|state| state.is_in_flight())
            .map(|state| self.count(state))
            .sum()
    }
}

/// An attempt that is over, kept where the step's own record does not say it all: every attempt but a latest one that
/// succeeded by itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AttemptRecord {
    /// The step.
    pub step: StepIndex,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// When it was ordered.
    pub queued_at: Timestamp,
    /// When it began to run; 0 where it did not.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub end: AttemptEnd,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AttemptEnd {
    /// Well.
    Succeeded,
    /// By a failure.
    Failed(Failure),
    /// Stopped because the run was.
    Cancelled(StopCause),
    /// Before it existed.
    Withdrawn,
    /// Well, without being created: a result was taken that was kept before.
    Cached(CacheSource),
}

/// Where a result came from that was taken. Names that mean nothing to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheSource {
    /// The run.
    pub run: String,
    /// The path of its step.
    pub step: String,
    /// When that step ended.
    pub ended_at: Timestamp,
}
