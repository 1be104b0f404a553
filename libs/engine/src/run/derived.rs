//! What follows from a run's graph and records, kept so that no event costs more than what it changes.

use std::collections::BTreeSet;

use super::timers;
use crate::{
    graph::Graph,
    policy::StepPolicy,
    record::{StepIndex, StepRecord, StepState},
    time::Timestamp,
};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Derived {
    /// For each step, how many of its dependencies have not ended.
    pub(super) waiting_on: Vec<u32>,
    /// The steps in state Ready.
    pub(super) ready: BTreeSet<StepIndex>,
    /// When something is due of a step.
    pub(super) timers: BTreeSet<(Timestamp, StepIndex)>,
    /// How many steps have not ended.
    pub(super) open: u32,
}

impl Derived {
    pub(super) fn of(graph: &Graph, steps: &[StepRecord]) -> Self {
        let mut derived = Self { waiting_on: vec![0; steps.len()], ..Self::default() };
        for (step, record) in graph.steps().zip(steps) {
            if !record.state.is_final() {
                derived.open += 1;
                for dependent in graph.dependents(step) {
                    derived.waiting_on[dependent.at()] += 1;
                }
            }
            if record.state == StepState::Ready {
                derived.ready.insert(step);
            }
            if let Some(due) = timers::due(record, graph.step_policy(step)) {
                derived.timers.insert((due, step));
            }
        }
        derived
    }

    /// Keeps up with a step's change. What its end means for those that wait for it is for the caller to say.
    pub(super) fn follow(
        &mut self,
        step: StepIndex,
        old: &StepRecord,
        new: &StepRecord,
        policy: &StepPolicy,
    ) {
        self.open += u32::from(!new.state.is_final());
        self.open -= u32::from(!old.state.is_final());
        match (old.state == StepState::Ready, new.state == StepState::Ready) {
            (true, false) => drop(self.ready.remove(&step)),
            (false, true) => drop(self.ready.insert(step)),
            (true, true) | (false, false) => {}
        }
        let (was_due, is_due) = (timers::due(old, policy), timers::due(new, policy));
        if was_due != is_due {
            was_due.map(|due| self.timers.remove(&(due, step)));
            is_due.map(|due| self.timers.insert((due, step)));
        }
    }

    /// Bytes on the heap; allocations counted as they are used.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(self.waiting_on.as_slice())
            + self.ready.len() * size_of::<StepIndex>()
            + self.timers.len() * size_of::<(Timestamp, StepIndex)>()
    }
}
