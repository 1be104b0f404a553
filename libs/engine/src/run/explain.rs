//! Why a step does not run, or not yet.

use std::sync::Arc;

use super::{
    Run,
    derived::{Derived, has_begun},
    lines::BLOCKED_MAX,
};
use crate::{
    graph::NodeKind,
    layout::{Holder, Item},
    policy::ClusterIndex,
    reason::Reason,
    record::{RunState, StepIndex, StepState},
    time::Timestamp,
};

/// How many steps, or items, an obstacle names at most.
const NAMED: usize = 10;

/// What keeps a step from running, or from ending. A step may be kept by several things at once. Where steps or items are
/// named, they are the first ones, at most ten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The run has not begun: no scheduler has looked at it.
    RunNotBegun,
    /// Steps that it waits for have not ended.
    Dependencies {
        /// The first ones.
        first: Vec<StepIndex>,
        /// How many there are.
        total: usize,
    },
    /// The group, the branches or the loop that it lies in has not begun, or was begun by a report before its turn.
    HolderNotOpen(StepIndex),
    /// The item that it belongs to has not begun. What keeps the loop from beginning more items comes with it.
    ItemNotBegun {
        /// The item.
        item: Item,
        /// How many items of the loop begin before it.
        before: u32,
    },
    /// As many items of the loop are under way as may be.
    LoopParallelism {
        /// The loop.
        of: StepIndex,
        /// How many items may be under way.
        most: u32,
        /// How many are.
        under_way: u32,
        /// The first ones, by their places in the list.
        first: Vec<u32>,
    },
    /// So many steps that are ready start before more items begin.
    ReadyFirst(usize),
    /// Items of this loop, which lies deeper or comes earlier, begin before.
    LoopFirst(StepIndex),
    /// It is an exit step, and this many steps of the pipeline's own list have not ended.
    StepsNotEnded(u32),
    /// The run is paused since then.
    Paused(Timestamp),
    /// As many attempts of the run are in flight, or about to be, as may be.
    MaxParallelism {
        /// How many may be.
        most: u32,
        /// How many are.
        in_flight: u32,
        /// The steps that they are of, the first ones.
        first: Vec<StepIndex>,
    },
    /// The least time between two starts has not passed; until then.
    StartGap(Timestamp),
    /// The run has a least time between two starts, and the next start is that of this step, which waits for its named limits.
    NextStart(StepIndex),
    /// It could start but for its named limits, and stands in line for them.
    Limits {
        /// Since when.
        since: Timestamp,
        /// All of them, those included that are free.
        names: Arc<[Arc<str>]>,
    },
    /// As many steps of the run with the same named limits stand in line as may; of an item that has not begun: steps of the
    /// items before it wait for that.
    LinesFull(u32),
    /// It may start, and there is no room: schedulers order no more attempts than launchers confirm.
    Room,
    /// Its latest attempt failed, and the next one waits until then.
    Retry {
        /// When it is tried again.
        until: Timestamp,
        /// Why the latest attempt failed.
        reason: Reason,
    },
    /// An attempt was ordered then, and no launcher has said that it exists.
    Launcher(Timestamp),
    /// Its attempt was created then, and does not run yet.
    Starting {
        /// When it was created.
        since: Timestamp,
        /// When it is given up.
        until: Option<Timestamp>,
    },
    /// Its attempt was given up, and has not ended yet.
    Stopping(Reason),
    /// It is an approval, and nobody has given the word.
    Approval {
        /// Since when it waits.
        since: Timestamp,
        /// When it is given up.
        until: Option<Timestamp>,
    },
    /// It holds steps that have not ended.
    Holds {
        /// How many have begun. Of a group, all count as begun.
        open: u32,
        /// The first ones that have not ended.
        first: Vec<StepIndex>,
        /// Of a loop: about how many items have not begun.
        items: u32,
    },
}

impl Run {
    /// What keeps a step from running, or one that holds others from ending; nothing where its attempt runs, and where it has
    /// ended.
    ///
    /// # Panics
    ///
    /// If the run has no such step.
    pub fn explain(&self, step: StepIndex, now: Timestamp) -> Vec<Obstacle> {
        let record = self.steps[step.at()];
        match record.state {
            StepState::Waiting => self.why_waiting(step, now),
            StepState::Ready => {
                let mut obstacles = self.what_holds_back(now);
                if self.finds_line_full(step) {
                    obstacles.push(Obstacle::LinesFull(BLOCKED_MAX));
                }
                or_room(obstacles)
            }
            StepState::Blocked => {
                let names = self.limits(step).cloned().unwrap_or_default();
                vec![Obstacle::Limits { since: record.queued_at, names }]
            }
            StepState::Delayed => {
                let retry = Obstacle::Retry { until: record.until, reason: record.reason };
                [retry].into_iter().chain(self.pause()).collect()
            }
            // A pause takes back what no launcher has created.
            StepState::Queued => {
                [Obstacle::Launcher(record.queued_at)].into_iter().chain(self.pause()).collect()
            }
            StepState::Starting => {
                let policy = self.graph().step_policy(self.layout.node(step));
                let until = policy.startup_timeout_ms.map(|limit| record.started_at.plus(limit));
                vec![Obstacle::Starting { since: record.started_at, until }]
            }
            StepState::Stopping => vec![Obstacle::Stopping(record.reason)],
            StepState::Suspended => {
                let policy = self.graph().step_policy(self.layout.node(step));
                let until = policy.timeout_ms.map(|limit| record.started_at.plus(limit));
                vec![Obstacle::Approval { since: record.started_at, until }]
            }
            StepState::Open => self.why_open(step, now),
            StepState::Running
            | StepState::Succeeded
            | StepState::Failed
            | StepState::Skipped
            | StepState::Cancelled => Vec::new(),
        }
    }

    /// The steps that neither run nor have ended, those first that are closest to running: at most so many. A step that has
    /// begun and holds others counts as running.
    pub fn held_up(&self, most: usize) -> Vec<StepIndex> {
        let mut by_distance: [Vec<StepIndex>; DISTANCES] = Default::default();
        for step in self.layout.current(&self.steps).flatten().map(StepIndex) {
            let Some(nearest) = nearest_possible(self.steps[step.at()].state) else { continue };
            // Where as many are known that are closer, it need not be known how far off this one is.
            if by_distance[..=nearest].iter().map(Vec::len).sum::<usize>() >= most {
                continue;
            }
            let distance = if nearest == WAITS { self.distance_of_waiting(step) } else { nearest };
            if by_distance[distance].len() < most {
                by_distance[distance].push(step);
            }
        }
        by_distance.into_iter().flatten().take(most).collect()
    }

    /// How many steps neither run nor have ended.
    pub fn held_up_count(&self) -> u32 {
        let is_held_up = |state: &StepState| nearest_possible(*state).is_some();
        StepState::ALL.into_iter().filter(is_held_up).map(|state| self.record.count(state)).sum()
    }

    fn distance_of_waiting(&self, step: StepIndex) -> usize {
        match self.layout.holder(step) {
            Holder::Run => WAITS,
            Holder::Exit if self.record.exit_at > Timestamp(0) => WAITS,
            Holder::Step(holder) if self.lets_begin(holder) => WAITS,
            Holder::Item(item) if !self.lets_begin(item.of) => NOT_NEXT,
            Holder::Item(item) if has_begun(item, &self.layout, &self.steps) => WAITS,
            Holder::Item(item) if self.derived.next_item_of(item.of) == Some(item.index) => {
                NEXT_ITEM
            }
            Holder::Exit | Holder::Step(_) | Holder::Item(_) => NOT_NEXT,
        }
    }

    fn why_waiting(&self, step: StepIndex, now: Timestamp) -> Vec<Obstacle> {
        if self.record.state == RunState::Pending {
            return vec![Obstacle::RunNotBegun];
        }
        let mut obstacles = self.why_held_back(step, now);
        let open = || {
            let dependencies = self.layout.dependencies(step);
            dependencies.filter(|on| !self.steps[on.at()].state.is_final())
        };
        let total = open().count();
        if total > 0 {
            let first = open().take(NAMED).collect();
            obstacles.push(Obstacle::Dependencies { first, total });
        }
        if !obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::Paused(_))) {
            obstacles.extend(self.pause());
        }
        obstacles
    }

    /// Why what holds a step does not let it begin, if it does not.
    fn why_held_back(&self, step: StepIndex, now: Timestamp) -> Vec<Obstacle> {
        let holder = self.layout.holder(step);
        if let Holder::Step(around) | Holder::Item(Item { of: around, .. }) = holder
            && !self.lets_begin(around)
        {
            return vec![Obstacle::HolderNotOpen(around)];
        }
        match holder {
            Holder::Exit if self.record.exit_at == Timestamp(0) => {
                vec![Obstacle::StepsNotEnded(self.derived.main_open)]
            }
            Holder::Item(item) if !has_begun(item, &self.layout, &self.steps) => {
                self.why_item_waits(item, now)
            }
            Holder::Run | Holder::Exit | Holder::Step(_) | Holder::Item(_) => Vec::new(),
        }
    }

    /// Whether what a step holds may begin as far as that step goes: one that a report has opened before its turn waits still.
    fn lets_begin(&self, holder: StepIndex) -> bool {
        let waits = match self.layout.kind(holder) {
            // Its items may begin, since one is known to have.
            NodeKind::Loop { .. } => false,
            NodeKind::Task | NodeKind::Approval | NodeKind::Group(_) | NodeKind::Choice(_) => {
                self.derived.waiting_on[holder.at()] > 0
            }
        };
        self.steps[holder.at()].state == StepState::Open && !waits
    }

    fn why_item_waits(&self, item: Item, now: Timestamp) -> Vec<Obstacle> {
        let next = self.derived.next_item_of(item.of).unwrap_or(item.index);
        let is_before = |index: &u32| {
            !has_begun(Item { of: item.of, index: *index }, &self.layout, &self.steps)
        };
        let before = (next..item.index).filter(is_before).count() as u32;
        let mut obstacles = vec![Obstacle::ItemNotBegun { item, before }];
        if let NodeKind::Loop { max_parallelism: Some(most), .. } = self.layout.kind(item.of)
            && self.derived.under_way(item.of) >= most.get()
        {
            obstacles.push(Obstacle::LoopParallelism {
                of: item.of,
                most: most.get(),
                under_way: self.derived.under_way(item.of),
                first: self.derived.items_under_way(item.of, NAMED),
            });
            return obstacles;
        }
        let mut others = self.what_holds_back(now);
        let cluster = self.nearest_cluster(item.of);
        if self.derived.lines.hold_back(cluster, item.of) {
            obstacles.push(Obstacle::LinesFull(BLOCKED_MAX));
            obstacles.extend(others);
            return obstacles;
        }
        let ready = self.derived.ready_count(cluster);
        if others.is_empty() && ready > 0 {
            others.push(Obstacle::ReadyFirst(ready));
        }
        let first = self.derived.next_item(cluster).map(|item| item.of);
        others.extend(first.filter(|first| *first != item.of).map(Obstacle::LoopFirst));
        obstacles.extend(or_room(others));
        obstacles
    }

    /// Of the clusters in which a loop's items may begin, the one for which the least has to start before.
    fn nearest_cluster(&self, of: StepIndex) -> ClusterIndex {
        let Derived { lines, .. } = &self.derived;
        let clusters = self.graph().item_clusters(self.layout.node(of)).iter().copied();
        let nearest = clusters.min_by_key(|cluster| {
            (lines.hold_back(*cluster, of), self.derived.ready_count(*cluster))
        });
        nearest.unwrap_or_default()
    }

    fn why_open(&self, step: StepIndex, now: Timestamp) -> Vec<Obstacle> {
        let mut obstacles = if self.derived.waiting_on[step.at()] > 0 {
            self.why_waiting(step, now)
        } else {
            Vec::new()
        };
        let (open, items) = self.derived.inside(step);
        let held = self.layout.held(step);
        let first = held.filter(|held| !self.steps[held.at()].state.is_final()).take(NAMED);
        obstacles.push(Obstacle::Holds { open, first: first.collect(), items });
        obstacles
    }

    /// What keeps all steps of the run from starting.
    fn what_holds_back(&self, now: Timestamp) -> Vec<Obstacle> {
        let mut obstacles: Vec<_> = self.pause().into_iter().collect();
        let in_flight = self.record.taken();
        let most = self.graph().policy().max_parallelism;
        if let Some(most) = most.filter(|most| in_flight >= most.get()) {
            let holders =
                self.layout.steps().filter(|it| self.steps[it.at()].state.claims_limits());
            let first = holders.take(NAMED.min(in_flight as usize)).collect();
            obstacles.push(Obstacle::MaxParallelism { most: most.get(), in_flight, first });
        }
        if self.next_start_is_taken() {
            let blocked = |step: &StepIndex| self.steps[step.at()].state == StepState::Blocked;
            obstacles.extend(self.layout.steps().find(blocked).map(Obstacle::NextStart));
        }
        obstacles.extend(self.gap_ends().filter(|end| *end > now).map(Obstacle::StartGap));
        obstacles
    }

    fn pause(&self) -> Option<Obstacle> {
        self.record.paused_at.map(Obstacle::Paused)
    }
}

/// What has no other obstacle waits for room.
fn or_room(mut obstacles: Vec<Obstacle>) -> Vec<Obstacle> {
    if obstacles.is_empty() {
        obstacles.push(Obstacle::Room);
    }
    obstacles
}

/// How far a step is from running, the closest first: its attempt exists, was ordered, may be ordered; it waits for somebody's
/// word or for its delay; its attempt has to go first; it waits for other steps, or for its item, which is the next one; or it
/// lies in what has not begun.
const DISTANCES: usize = 9;
const WAITS: usize = 6;
const NEXT_ITEM: usize = 7;
const NOT_NEXT: usize = 8;

/// How close to running a step in this state can be; none where it runs or has ended.
fn nearest_possible(state: StepState) -> Option<usize> {
    match state {
        StepState::Starting => Some(0),
        StepState::Queued => Some(1),
        StepState::Blocked | StepState::Ready => Some(2),
        StepState::Suspended => Some(3),
        StepState::Delayed => Some(4),
        StepState::Stopping => Some(5),
        StepState::Waiting => Some(WAITS),
        StepState::Running
        | StepState::Open
        | StepState::Succeeded
        | StepState::Failed
        | StepState::Skipped
        | StepState::Cancelled => None,
    }
}
