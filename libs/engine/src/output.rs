//! What comes out of the engine.

use std::sync::Arc;

use crate::{
    layout::Expansion,
    record::{AttemptRecord, StepIndex},
};

/// What some calls of the engine decided, to be committed as one and then carried out.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Output {
    /// What changed in the state.
    pub delta: Delta,
    /// What must be done once the delta is durable, in order.
    pub effects: Vec<Effect>,
}

/// What changed in a run's state. The records themselves are read from the run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The run's own record changed.
    pub run: bool,
    /// The steps whose records changed; may name a step more than once until [`Delta::settle`].
    pub steps: Vec<StepIndex>,
    /// Attempts that are over.
    pub attempts: Vec<AttemptRecord>,
    /// Outputs of steps that succeeded: a JSON object each.
    pub outputs: Vec<(StepIndex, Arc<str>)>,
    /// Loops that got their items. Their steps' records are new, and as they are by default where `steps` does not name them.
    pub expansions: Vec<Expansion>,
}

impl Delta {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        !self.run
            && self.steps.is_empty()
            && self.attempts.is_empty()
            && self.outputs.is_empty()
            && self.expansions.is_empty()
    }

    /// Sorts the steps and names each once.
    pub fn settle(&mut self) {
        self.steps.sort_unstable();
        self.steps.dedup();
    }
}

/// What must be done in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Create the attempt.
    Launch(AttemptRef),
    /// End the attempt.
    Stop(AttemptRef),
    /// Have the attempt's present phase reported.
    Probe(AttemptRef),
    /// Ask for the step's named limits, all or none, for the attempt, which starts when they are granted: see
    /// [`Event::Granted`](crate::event::Event::Granted). To ask again changes nothing.
    Acquire(AttemptRef),
    /// Have it known that the attempt holds the step's named limits, whoever else does: it may exist.
    Hold(AttemptRef),
    /// Give back the named limits that the attempt holds or stands in line for. To give back again changes nothing.
    Release(AttemptRef),
}

impl Effect {
    /// The attempt that it is about.
    pub fn attempt(self) -> AttemptRef {
        match self {
            Self::Launch(it)
            | Self::Stop(it)
            | Self::Probe(it)
            | Self::Acquire(it)
            | Self::Hold(it)
            | Self::Release(it) => it,
        }
    }
}

/// An attempt of the run at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptRef {
    /// The step.
    pub step: StepIndex,
    /// The attempt's number, from 1.
    pub attempt: u32,
}
