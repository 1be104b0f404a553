//! What goes into the engine.

use std::sync::Arc;

use crate::{
    output::AttemptRef,
    policy::LimitChanges,
    reason::Failure,
    record::{CacheSource, StepIndex},
    time::Timestamp,
};

/// A fact that the engine decides upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The run exists; begin it. Ignored where it has begun.
    Submitted,
    /// A user's order.
    Order(Order),
    /// What a launcher saw of an attempt.
    Report(AttemptReport),
    /// A record about the run was refused for a reason that will not change: what it told is lost for good. The text says
    /// which, and why.
    Defect(Arc<str>),
    /// The named limits are held that were asked for on behalf of the attempt.
    Granted(AttemptRef),
    /// Time has passed: see what is due.
    Wake,
}

/// What a user may ask of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Stop it.
    Cancel,
    /// Start no attempt until it is resumed.
    Pause,
    /// End a pause.
    Resume,
    /// Take up an ended run again: what did not succeed, and what depends on it.
    Retry {
        /// Also this step and what depends on it, whatever it had come to; then a run that succeeded is taken up, too.
        from: Option<StepIndex>,
        /// What is to be other than it was. The engine takes the run up as its graph is: who follows the order has given the
        /// run a new graph before, with [`Run::amend`](crate::run::Run::amend).
        changes: Option<Arc<RunChanges>>,
    },
    /// Let an approval succeed, or fail.
    Decide(Decision),
}

/// What a retry changes of what its run was submitted with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunChanges {
    /// New values of parameters: a JSON object, or empty where there are none. The engine does not look into it.
    pub arguments_json: Arc<str>,
    /// New limits.
    pub limits: LimitChanges,
}

/// Somebody's word on an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The approval.
    pub step: StepIndex,
    /// Whether it is given.
    pub approved: bool,
    /// Who has decided.
    pub by: Arc<str>,
    /// For people; may be empty.
    pub comment: Arc<str>,
}

/// What is known of an attempt. One report may tell several phases at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptReport {
    /// The step.
    pub step: StepIndex,
    /// The attempt's number, from 1.
    pub attempt: u32,
    /// How far it is.
    pub phase: AttemptPhase,
    /// When it was created, where that is known.
    pub created_at: Option<Timestamp>,
    /// When it began to run, where it did and that is known.
    pub started_at: Option<Timestamp>,
    /// When it ended, where it did and that is known.
    pub ended_at: Option<Timestamp>,
}

/// How far an attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptPhase {
    /// It exists and does not run yet.
    Starting,
    /// It runs.
    Running,
    /// It ended by itself, well. The text is a JSON object: the outputs, where it wrote any.
    Succeeded(Option<Arc<str>>),
    /// It ended by itself, or vanished.
    Failed(Failure),
    /// It ended because it was told to.
    Stopped,
    /// It was never created, and never will be.
    NotCreated,
    /// It was never created, and never will be, since a result was taken that was kept before: the outputs, where there are
    /// any, and where they came from.
    Cached(Option<Arc<str>>, CacheSource),
}
