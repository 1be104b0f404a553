//! What the run tells those who answer for conditions and lists.

use std::sync::Arc;

use serde_json::Value;

use super::Run;
use crate::{
    layout::Layout,
    logic::Facts,
    record::{RunState, StepIndex, StepState},
};

impl Facts for Run {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn state(&self, step: StepIndex) -> StepState {
        self.steps[step.at()].state
    }

    fn outputs(&self, step: StepIndex) -> Option<Arc<Value>> {
        self.outputs.get(&step).cloned()
    }

    fn run_state(&self) -> RunState {
        self.record.outcome()
    }
}
