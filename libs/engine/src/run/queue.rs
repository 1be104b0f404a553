//! What of a run waits for the launchers of one cluster, kept apart from what waits for others: so nothing is looked at that
//! there is no room for.

use std::{cmp::Reverse, collections::BTreeSet};

use crate::record::{StepIndex, StepState};

/// What waits for one cluster, and what is under way there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Queue {
    /// The steps in state Ready that have no named limits.
    pub(super) ready: BTreeSet<StepIndex>,
    /// The loops of which another item may begin with a step of this cluster, those that lie deepest first: what has begun is to
    /// end before more begins.
    pub(super) loops: BTreeSet<(Reverse<u32>, StepIndex)>,
    /// How many steps are in state Queued.
    pub(super) queued: u32,
    /// How many have an attempt that may exist.
    pub(super) in_flight: u32,
}

impl Queue {
    /// Keeps up with a step that goes from one state to another.
    pub(super) fn follow(&mut self, step: StepIndex, [old, new]: [StepState; 2], is_limited: bool) {
        let is_queued = |state| u32::from(state == StepState::Queued);
        self.queued = self.queued + is_queued(new) - is_queued(old);
        let is_in_flight = |state: StepState| u32::from(state.is_in_flight());
        self.in_flight = self.in_flight + is_in_flight(new) - is_in_flight(old);
        match [old, new].map(|state| state == StepState::Ready) {
            _ if is_limited => {}
            [true, false] => drop(self.ready.remove(&step)),
            [false, true] => drop(self.ready.insert(step)),
            [true, true] | [false, false] => {}
        }
    }

    /// Bytes on the heap; allocations counted as they are used.
    pub(super) fn heap_bytes(&self) -> usize {
        self.ready.len() * size_of::<StepIndex>()
            + self.loops.len() * size_of::<(Reverse<u32>, StepIndex)>()
    }
}
