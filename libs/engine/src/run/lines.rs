//! The lines for named limits in which steps of a run stand, or want to: kept so that no event costs more than what it changes.
//!
//! Steps with the same limits have a line of their own here, so that many who want one limit are not in the way of others.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::{
    layout::{Holder, Item, Layout},
    policy::{ClusterIndex, LimitsIndex},
    record::{StepIndex, StepState},
};

/// How many steps of a run with the same limits stand in line at most: so many that a limit is not idle while the run asks for
/// more, and so few that a wide run leaves others their turns, and that not too many start at once where a limit is widened.
pub(super) const BLOCKED_MAX: u32 = 100;

/// By their limits, steps that have any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Lines {
    /// Those in state Ready, by their clusters, too; none of the sets is empty.
    ready: BTreeMap<(ClusterIndex, LimitsIndex), BTreeSet<StepIndex>>,
    /// How many are in state Blocked; none of them is 0.
    blocked: BTreeMap<LimitsIndex, u32>,
    /// How many ready ones of a cluster lie in a loop; none of them is 0.
    ready_in: HashMap<(ClusterIndex, StepIndex), u32>,
}

impl Lines {
    /// Keeps up with a step that goes from one state to another.
    pub(super) fn follow(
        &mut self,
        step: StepIndex,
        (cluster, limits): (ClusterIndex, LimitsIndex),
        [old, new]: [StepState; 2],
        layout: &Layout,
    ) {
        if old == new {
            return;
        }
        match [old, new].map(|state| state == StepState::Ready) {
            [true, false] => {
                if let Some(ready) = self.ready.get_mut(&(cluster, limits))
                    && ready.remove(&step)
                    && ready.is_empty()
                {
                    self.ready.remove(&(cluster, limits));
                }
                self.count_in_loops(step, cluster, layout, |count| count - 1);
            }
            [false, true] => {
                self.ready.entry((cluster, limits)).or_default().insert(step);
                self.count_in_loops(step, cluster, layout, |count| count + 1);
            }
            [_, _] => {}
        }
        match [old, new].map(|state| state == StepState::Blocked) {
            [true, false] => {
                let blocked = self.blocked.entry(limits).or_insert(1);
                *blocked -= 1;
                if *blocked == 0 {
                    self.blocked.remove(&limits);
                }
            }
            [false, true] => *self.blocked.entry(limits).or_default() += 1,
            [_, _] => {}
        }
    }

    fn count_in_loops(
        &mut self,
        mut step: StepIndex,
        cluster: ClusterIndex,
        layout: &Layout,
        change: fn(u32) -> u32,
    ) {
        loop {
            step = match layout.holder(step) {
                Holder::Run | Holder::Exit => return,
                Holder::Step(holder) => holder,
                Holder::Item(Item { of, .. }) => {
                    let count = self.ready_in.entry((cluster, of)).or_default();
                    *count = change(*count);
                    if *count == 0 {
                        self.ready_in.remove(&(cluster, of));
                    }
                    of
                }
            };
        }
    }

    /// Of a cluster, the ready step that is to be put in line next.
    pub(super) fn next(&self, cluster: ClusterIndex) -> Option<StepIndex> {
        let open = self.ready_of(cluster).filter(|((_, limits), _)| !self.is_full(*limits));
        open.filter_map(|(_, ready)| ready.first().copied()).min()
    }

    /// Whether no more steps with these limits may be put in line.
    pub(super) fn is_full(&self, limits: LimitsIndex) -> bool {
        self.blocked.get(&limits).is_some_and(|blocked| *blocked >= BLOCKED_MAX)
    }

    /// Whether steps of a cluster wait in a loop for a place in their lines: further items would only add to them.
    pub(super) fn hold_back(&self, cluster: ClusterIndex, of: StepIndex) -> bool {
        self.ready_in.contains_key(&(cluster, of))
    }

    /// How many steps of a cluster with limits are ready.
    pub(super) fn ready_count(&self, cluster: ClusterIndex) -> usize {
        self.ready_of(cluster).map(|(_, ready)| ready.len()).sum()
    }

    fn ready_of(
        &self,
        cluster: ClusterIndex,
    ) -> impl Iterator<Item = (&(ClusterIndex, LimitsIndex), &BTreeSet<StepIndex>)> {
        self.ready.range((cluster, LimitsIndex(0))..=(cluster, LimitsIndex(u32::MAX)))
    }

    /// Bytes on the heap; allocations counted as they are used.
    pub(super) fn heap_bytes(&self) -> usize {
        self.ready.values().map(BTreeSet::len).sum::<usize>() * size_of::<StepIndex>()
            + self.blocked.len() * size_of::<(LimitsIndex, u32)>()
            + self.ready_in.len() * size_of::<(ClusterIndex, StepIndex, u32)>()
    }
}
