//! Which ready steps start, and when.

use super::Run;
use crate::{
    output::{AttemptRef, Effect, Output},
    policy::ClusterIndex,
    reason::Reason,
    record::{RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

/// How many items begin in one call at most. Where none of them needs an attempt, the run asks to be woken for the rest.
const ITEMS_AT_ONCE: usize = 20_000;

impl Run {
    /// Orders attempts of a cluster's ready steps, in the order of their indexes: at most `room` of them, and no more than the
    /// run's limits allow. Where none of them is ready, items of loops begin in which some may be: no sooner, so that a loop costs
    /// nothing for the items that there is no room for. A step with named limits is put in line for them instead, which takes
    /// room, too: it may be granted them at once. Tells how much room it took.
    ///
    /// What waits for other clusters is passed over. So one that has no room keeps none from starting that has some, but for what
    /// the run's own limits allow all of them together.
    pub fn dispatch(
        &mut self,
        cluster: ClusterIndex,
        room: usize,
        now: Timestamp,
        out: &mut Output,
    ) -> usize {
        let (mut taken, mut begun) = (0, 0);
        let idle = self.idle_but(cluster);
        let goes_on = |run: &Self, taken| {
            taken < room && run.may_launch(cluster) && run.gap_ends().is_none_or(|end| end <= now)
        };
        while goes_on(self, taken) {
            let Some(step) = self.derived.next_ready(cluster) else {
                if begun == ITEMS_AT_ONCE {
                    break;
                }
                begun += 1;
                self.begin_next_item(cluster, now, out);
                continue;
            };
            taken += 1;
            if self.limits(step).is_some() {
                self.block(step, now, out);
                continue;
            }
            let queued = self.next_attempt(step, StepState::Queued, now);
            let attempt = queued.attempt;
            self.set(step, queued, out);
            self.record.last_start_at = now;
            out.effects.push(Effect::Launch(AttemptRef { step, attempt }));
        }
        self.conclude(now, out);
        // Items may be left, or it may be that exit steps have just begun.
        self.looks_again.remove(&cluster);
        self.looks_again.extend(goes_on(self, taken).then_some(cluster));
        self.looks_again.extend(idle.into_iter().filter(|other| self.derived.has_next(*other)));
        taken
    }

    /// The other clusters for which there is nothing to start. Where that changes, their turn may have been before.
    fn idle_but(&self, cluster: ClusterIndex) -> Vec<ClusterIndex> {
        let is_idle = |other: &ClusterIndex| *other != cluster && !self.derived.has_next(*other);
        self.derived.clusters().filter(is_idle).collect()
    }

    /// The record of a step whose next attempt begins its way in this state.
    pub(super) fn next_attempt(
        &self,
        step: StepIndex,
        state: StepState,
        now: Timestamp,
    ) -> StepRecord {
        let record = self.steps[step.at()];
        StepRecord {
            state,
            reason: Reason::None,
            cause: None,
            attempt: record.attempt.saturating_add(1),
            queued_at: now,
            started_at: Timestamp(0),
            until: Timestamp(0),
            ..record
        }
    }

    fn begin_next_item(&mut self, cluster: ClusterIndex, now: Timestamp, out: &mut Output) {
        if let Some(item) = self.derived.next_item(cluster) {
            self.begin_item(item, now, out);
            self.settle(now, out);
        }
    }

    /// Whether a step of a cluster could start but for the gap and for lack of room.
    pub fn may_launch(&self, cluster: ClusterIndex) -> bool {
        self.lets_start() && self.derived.has_next(cluster)
    }

    /// The same, of any cluster.
    pub(super) fn may_launch_any(&self) -> bool {
        self.lets_start() && self.derived.clusters().any(|cluster| self.derived.has_next(cluster))
    }

    /// Whether the run as a whole lets steps start.
    fn lets_start(&self) -> bool {
        let below_limit = self
            .layout
            .graph()
            .policy()
            .max_parallelism
            .is_none_or(|limit| self.record.taken() < limit.get());
        matches!(self.record.state, RunState::Running | RunState::Exiting)
            && self.record.paused_at.is_none()
            && below_limit
            && !self.next_start_is_taken()
    }

    /// How many attempts are ordered of a cluster's launchers of which none has said that they exist.
    pub fn unconfirmed(&self, cluster: ClusterIndex) -> usize {
        self.derived.queue(cluster).map_or(0, |queue| queue.queued as usize)
    }

    /// How many attempts of a cluster may exist.
    pub fn in_flight(&self, cluster: ClusterIndex) -> usize {
        self.derived.queue(cluster).map_or(0, |queue| queue.in_flight as usize)
    }

    /// The cluster whose launchers create the attempts of a step.
    pub fn cluster(&self, step: StepIndex) -> ClusterIndex {
        // Most runs have but one, and nothing has to be looked up.
        match self.graph().clusters() {
            [_] => ClusterIndex::default(),
            _ => self.graph().cluster(self.layout.node(step)),
        }
    }

    /// When the gap after the latest start ends; none where there is no gap or was no start.
    pub(super) fn gap_ends(&self) -> Option<Timestamp> {
        let gap = self.layout.graph().policy().start_gap_ms;
        (gap > 0 && self.record.last_start_at > Timestamp(0))
            .then(|| self.record.last_start_at.plus(gap))
    }
}
