//! What the engine does not know and has to ask: whether a condition holds, and how many items a list has.
//!
//! The language of conditions and references is somebody else's. Whoever compiles a pipeline gives the graph a [`Logic`] that
//! answers from [`Facts`] alone: the same facts always get the same answer, so that the engine stays a pure function.

use std::{fmt, sync::Arc};

use serde_json::Value;

use crate::{
    layout::Layout,
    record::{RunState, StepIndex, StepState},
};

/// Answers what depends on values.
pub trait Logic: fmt::Debug + Send + Sync {
    /// Whether a step's condition holds.
    ///
    /// # Errors
    ///
    /// The condition has no value: why, for people, and with what to do.
    fn condition(&self, step: StepIndex, facts: &dyn Facts) -> Result<bool, String>;

    /// How many items a loop has.
    ///
    /// # Errors
    ///
    /// Its list is none, or too long: why, for people, and with what to do.
    fn items(&self, step: StepIndex, facts: &dyn Facts) -> Result<u32, String>;
}

/// What is known of a run.
pub trait Facts {
    /// Its steps.
    fn layout(&self) -> &Layout;

    /// Where a step is.
    fn state(&self, step: StepIndex) -> StepState;

    /// What a task has put out: an object. None where it has not, or where its outputs are not
    /// [kept](crate::graph::Graph::keeps_outputs).
    fn outputs(&self, step: StepIndex) -> Option<Arc<Value>>;

    /// Where the run is; while its exit steps run, what it has come to without them.
    fn run_state(&self) -> RunState;
}

/// For graphs that ask nothing: conditions hold, and lists are empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLogic;

impl Logic for NoLogic {
    fn condition(&self, _: StepIndex, _: &dyn Facts) -> Result<bool, String> {
        Ok(true)
    }

    fn items(&self, _: StepIndex, _: &dyn Facts) -> Result<u32, String> {
        Ok(0)
    }
}
