//! What follows from a run's graph and records, kept so that no event costs more than what it changes.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use super::{lines::Lines, queue::Queue, timers};
use crate::{
    graph::NodeKind,
    layout::{Expansion, Holder, Item, Layout},
    policy::{ClusterIndex, StepPolicy},
    record::{RunRecord, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Derived {
    /// For each step that has not ended, for how many things it waits: dependencies that have not ended, and that what holds
    /// it opens. 0 for all others.
    pub(super) waiting_on: Vec<u32>,
    /// What waits for room, for each cluster of the graph.
    queues: Vec<Queue>,
    /// The steps that have named limits, ready and in line.
    pub(super) lines: Lines,
    /// When something is due of a step.
    pub(super) timers: BTreeSet<(Timestamp, StepIndex)>,
    /// How many of the pipeline's steps have not ended, and how many of its exit steps.
    pub(super) main_open: u32,
    pub(super) exit_open: u32,
    /// What happens within the steps that are open.
    inside: HashMap<StepIndex, Inside>,
    /// Of loops with a limit: how much of each item that is under way has not ended.
    items: HashMap<Item, u32>,
}

/// What happens within a step that is open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Inside {
    /// How much of what it holds has begun and not ended; of groups, all counts as begun.
    open: u32,
    /// Of a loop: the first item that has not begun, and how many there are.
    next_item: u32,
    items: u32,
    /// Of a loop with a limit: how many items are under way.
    under_way: u32,
}

impl Derived {
    pub(super) fn of(layout: &Layout, record: &RunRecord, steps: &[StepRecord]) -> Self {
        let queues = vec![Queue::default(); layout.graph().clusters().len()];
        let mut derived = Self { waiting_on: vec![0; steps.len()], queues, ..Self::default() };
        let mut latest: Option<(Item, bool)> = None;
        for step in layout.current(steps).flatten().map(StepIndex) {
            let is_held_back = match layout.holder(step) {
                Holder::Run => false,
                Holder::Exit => record.exit_at == Timestamp(0),
                // What a report has opened before its time waits still.
                Holder::Step(holder) => {
                    steps[holder.at()].state == StepState::Waiting
                        || derived.waiting_on[holder.at()] > 0
                }
                Holder::Item(item) => {
                    // The steps of an item follow each other: it is looked at once.
                    let known = latest.filter(|(of, _)| *of == item);
                    let known = known.unwrap_or_else(|| (item, has_begun(item, layout, steps)));
                    latest = Some(known);
                    !known.1
                }
            };
            derived.add(step, is_held_back, layout, steps);
        }
        derived
    }

    /// Takes in one step. The counts of what holds it are taken by what holds it.
    fn add(&mut self, step: StepIndex, is_held_back: bool, layout: &Layout, steps: &[StepRecord]) {
        let this = &steps[step.at()];
        if !this.state.is_final() {
            let waits_for = |on: &StepIndex| !steps[on.at()].state.is_final();
            let dependencies = layout.dependencies(step).filter(waits_for).count() as u32;
            self.waiting_on[step.at()] = dependencies + u32::from(is_held_back);
            match layout.holder(step) {
                Holder::Run => self.main_open += 1,
                Holder::Exit => self.exit_open += 1,
                Holder::Step(_) | Holder::Item(_) => {}
            }
        }
        let policy = layout.graph().step_policy(layout.node(step));
        self.follow_queue(step, policy, [StepState::Waiting, this.state], layout);
        if let Some(due) = timers::due(this, policy) {
            self.timers.insert((due, step));
        }
        if this.state == StepState::Open {
            self.opened(step, layout, steps);
        }
    }

    /// Keeps up with a step's change. What its end means for those that wait for it is for the caller to say.
    pub(super) fn follow(
        &mut self,
        step: StepIndex,
        old: &StepRecord,
        new: &StepRecord,
        layout: &Layout,
        steps: &[StepRecord],
    ) {
        let policy = layout.graph().step_policy(layout.node(step));
        self.follow_queue(step, policy, [old.state, new.state], layout);
        let (was_due, is_due) = (timers::due(old, policy), timers::due(new, policy));
        if was_due != is_due {
            was_due.map(|due| self.timers.remove(&(due, step)));
            is_due.map(|due| self.timers.insert((due, step)));
        }
        match (old.state == StepState::Open, new.state == StepState::Open) {
            (true, false) => self.closed(step, layout),
            (false, true) => self.opened(step, layout, steps),
            (true, true) | (false, false) => {}
        }
        if new.state.is_final() && !old.state.is_final() {
            self.waiting_on[step.at()] = 0;
            self.ended(step, layout);
        }
    }

    /// Keeps up with who is ready and who stands in line.
    fn follow_queue(
        &mut self,
        step: StepIndex,
        policy: &StepPolicy,
        states: [StepState; 2],
        layout: &Layout,
    ) {
        if let Some(limits) = policy.limits {
            self.lines.follow(step, (policy.cluster, limits), states, layout);
        }
        if let Some(queue) = self.queues.get_mut(policy.cluster.at()) {
            queue.follow(step, states, policy.limits.is_some());
        }
    }

    /// What waits for a cluster without named limits; none where the graph has no such cluster.
    pub(super) fn queue(&self, cluster: ClusterIndex) -> Option<&Queue> {
        self.queues.get(cluster.at())
    }

    /// All clusters.
    pub(super) fn clusters(&self) -> impl Iterator<Item = ClusterIndex> + use<> {
        (0..self.queues.len() as u32).map(ClusterIndex)
    }

    /// How many steps of a cluster are ready.
    pub(super) fn ready_count(&self, cluster: ClusterIndex) -> usize {
        self.queue(cluster).map_or(0, |queue| queue.ready.len()) + self.lines.ready_count(cluster)
    }

    /// The ready step of a cluster whose turn it is.
    pub(super) fn next_ready(&self, cluster: ClusterIndex) -> Option<StepIndex> {
        let free = self.queue(cluster)?.ready.first().copied();
        free.into_iter().chain(self.lines.next(cluster)).min()
    }

    /// Whether a step of a cluster is ready whose turn may come, or an item may begin in which one may be.
    pub(super) fn has_next(&self, cluster: ClusterIndex) -> bool {
        self.next_ready(cluster).is_some() || self.next_item(cluster).is_some()
    }

    /// Looks at what an open step holds.
    fn opened(&mut self, step: StepIndex, layout: &Layout, steps: &[StepRecord]) {
        let NodeKind::Loop { max_parallelism, .. } = layout.kind(step) else {
            let open = count_open(layout.held(step), steps);
            self.inside.insert(step, Inside { open, ..Inside::default() });
            return;
        };
        let items = layout.expansion(step).map_or(0, |expansion| expansion.items);
        let mut inside = Inside { items, next_item: items, ..Inside::default() };
        for index in 0..items {
            let item = Item { of: step, index };
            if !has_begun(item, layout, steps) {
                inside.next_item = inside.next_item.min(index);
                continue;
            }
            let open = count_open(layout.top_of(item).map(StepIndex), steps);
            inside.open += open;
            if max_parallelism.is_some() && open > 0 {
                inside.under_way += 1;
                self.items.insert(item, open);
            }
        }
        self.inside.insert(step, inside);
        self.offer(step, layout);
    }

    fn closed(&mut self, step: StepIndex, layout: &Layout) {
        self.inside.remove(&step);
        self.offer(step, layout);
    }

    /// Counts a step that has ended out of what holds it.
    fn ended(&mut self, step: StepIndex, layout: &Layout) {
        match layout.holder(step) {
            Holder::Run => self.main_open -= 1,
            Holder::Exit => self.exit_open -= 1,
            Holder::Step(holder) => {
                if let Some(inside) = self.inside.get_mut(&holder) {
                    inside.open -= 1;
                }
            }
            Holder::Item(item) => {
                let Some(inside) = self.inside.get_mut(&item.of) else {
                    return;
                };
                inside.open -= 1;
                if let Some(open) = self.items.get_mut(&item) {
                    *open -= 1;
                    if *open == 0 {
                        self.items.remove(&item);
                        inside.under_way -= 1;
                        self.offer(item.of, layout);
                    }
                }
            }
        }
    }

    /// Whether an open step has nothing left that could begin or end.
    pub(super) fn is_done(&self, step: StepIndex) -> bool {
        let done = |inside: &Inside| inside.open == 0 && inside.next_item == inside.items;
        self.inside.get(&step).is_some_and(done)
    }

    /// Of an open step: how many of the steps that it holds have begun and not ended, and about how many items have not begun.
    pub(super) fn inside(&self, step: StepIndex) -> (u32, u32) {
        let inside = self.inside.get(&step);
        inside.map_or((0, 0), |inside| (inside.open, inside.items - inside.next_item))
    }

    /// Of an open loop with a limit: how many items are under way.
    pub(super) fn under_way(&self, step: StepIndex) -> u32 {
        self.inside.get(&step).map_or(0, |inside| inside.under_way)
    }

    /// The first of those items, by their places in the list: at most so many.
    pub(super) fn items_under_way(&self, step: StepIndex, most: usize) -> Vec<u32> {
        let of_step = self.items.keys().filter(|item| item.of == step);
        let mut items: Vec<u32> = of_step.map(|item| item.index).collect();
        items.sort_unstable();
        items.truncate(most);
        items
    }

    /// Of an open loop: the first item that has not begun.
    pub(super) fn next_item_of(&self, step: StepIndex) -> Option<u32> {
        let inside = self.inside.get(&step)?;
        (inside.next_item < inside.items).then_some(inside.next_item)
    }

    /// Makes room for the steps of an expansion: they wait for what they depend on, and for what holds them.
    pub(super) fn expanded(&mut self, expansion: &Expansion, layout: &Layout) {
        let Some(item) = (expansion.items > 0).then_some(Item { of: expansion.step, index: 0 })
        else {
            return;
        };
        let waits_for = |step| layout.dependencies(StepIndex(step)).count() as u32 + 1;
        let pattern: Vec<u32> = layout.steps_of(item).map(waits_for).collect();
        self.waiting_on.reserve(pattern.len() * expansion.items as usize);
        for _ in 0..expansion.items {
            self.waiting_on.extend_from_slice(&pattern);
        }
    }

    /// The loop of which an item is to begin for a cluster, and that item.
    pub(super) fn next_item(&self, cluster: ClusterIndex) -> Option<Item> {
        let mut loops = self.queue(cluster)?.loops.iter();
        // Some only wait for places in lines that others have filled.
        let (_, step) = loops.find(|(_, step)| !self.lines.hold_back(cluster, *step))?;
        let index = self.inside.get(step)?.next_item;
        Some(Item { of: *step, index })
    }

    /// An item begins.
    pub(super) fn begun(&mut self, item: Item, layout: &Layout, steps: &[StepRecord]) {
        let Some(inside) = self.inside.get_mut(&item.of) else {
            return;
        };
        let open = count_open(layout.top_of(item).map(StepIndex), steps);
        inside.open += open;
        // After a retry, later items may have nothing left to do.
        while inside.next_item == item.index
            || (inside.next_item < inside.items
                && has_begun(Item { of: item.of, index: inside.next_item }, layout, steps))
        {
            inside.next_item += 1;
        }
        if let NodeKind::Loop { max_parallelism: Some(_), .. } = layout.kind(item.of) {
            inside.under_way += 1;
            self.items.insert(item, open);
        }
        self.offer(item.of, layout);
    }

    /// All items of all open loops count as begun, since nothing will begin any more.
    pub(super) fn begin_no_more(&mut self, layout: &Layout, steps: &[StepRecord]) {
        for (step, inside) in &mut self.inside {
            if inside.next_item < inside.items {
                inside.open = count_open(layout.held(*step), steps);
                inside.next_item = inside.items;
            }
        }
        for queue in &mut self.queues {
            queue.loops.clear();
        }
    }

    /// Puts a loop among those of which another item may begin, or takes it out.
    fn offer(&mut self, step: StepIndex, layout: &Layout) {
        let node = layout.node(step);
        let NodeKind::Loop { max_parallelism, .. } = layout.graph().kind(node) else {
            return;
        };
        let may_begin = self.inside.get(&step).is_some_and(|inside| {
            let has_room = max_parallelism.is_none_or(|most| inside.under_way < most.get());
            inside.next_item < inside.items && has_room
        });
        let entry = (Reverse(layout.graph().depth(node)), step);
        for cluster in layout.graph().item_clusters(node) {
            match self.queues.get_mut(cluster.at()) {
                Some(queue) if may_begin => drop(queue.loops.insert(entry)),
                Some(queue) => drop(queue.loops.remove(&entry)),
                None => {}
            }
        }
    }

    /// Bytes on the heap; allocations counted as they are used.
    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(self.waiting_on.as_slice())
            + size_of_val(self.queues.as_slice())
            + self.queues.iter().map(Queue::heap_bytes).sum::<usize>()
            + self.lines.heap_bytes()
            + self.timers.len() * size_of::<(Timestamp, StepIndex)>()
            + self.inside.len() * size_of::<(StepIndex, Inside)>()
            + self.items.len() * size_of::<(Item, u32)>()
    }
}

/// Whether an item of a loop has begun since the run's start or latest retry, or has nothing left to begin for: while something
/// in it waits for something else in it, that one has begun.
pub(super) fn has_begun(item: Item, layout: &Layout, steps: &[StepRecord]) -> bool {
    let mut waits = false;
    for step in layout.top_of(item) {
        match steps[step as usize].state {
            StepState::Waiting => waits = true,
            state if state.is_final() => {}
            _ => return true,
        }
    }
    !waits
}

fn count_open(of: impl Iterator<Item = StepIndex>, steps: &[StepRecord]) -> u32 {
    of.filter(|step| !steps[step.at()].state.is_final()).count() as u32
}
