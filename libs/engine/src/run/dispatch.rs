//! Which ready steps start, and when.

use super::{Run, derived::Derived};
use crate::{
    output::{AttemptRef, Effect, Output},
    reason::Reason,
    record::{RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

/// How many items begin in one call at most. Where none of them needs an attempt, the run asks to be woken for the rest.
const ITEMS_AT_ONCE: usize = 20_000;

impl Run {
    /// Orders attempts of ready steps, in the order of their indexes: at most `room` of them, and no more than the run's
    /// limits allow. Where no step is ready, items of loops begin: no sooner, so that a loop costs nothing for the items that
    /// there is no room for. A step with named limits is put in line for them instead, which takes room, too: it may be granted
    /// them at once. Tells how much room it took.
    pub fn dispatch(&mut self, room: usize, now: Timestamp, out: &mut Output) -> usize {
        let (mut taken, mut begun) = (0, 0);
        self.begins_more = false;
        while taken < room && self.may_launch() && self.gap_ends().is_none_or(|end| end <= now) {
            let Some(step) = self.next_ready() else {
                if begun == ITEMS_AT_ONCE {
                    self.begins_more = true;
                    break;
                }
                begun += 1;
                self.begin_next_item(now, out);
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
        taken
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

    /// The ready step whose turn it is.
    fn next_ready(&self) -> Option<StepIndex> {
        let Derived { ready, lines, .. } = &self.derived;
        ready.first().copied().into_iter().chain(lines.next()).min()
    }

    fn begin_next_item(&mut self, now: Timestamp, out: &mut Output) {
        if let Some(item) = self.derived.next_item() {
            self.begin_item(item, now, out);
            self.settle(now, out);
        }
    }

    /// Whether a ready step could start but for the gap and for lack of room.
    pub fn may_launch(&self) -> bool {
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
            && (self.next_ready().is_some() || self.derived.next_item().is_some())
    }

    /// How many attempts are ordered of which no launcher has said that they exist.
    pub fn unconfirmed(&self) -> usize {
        self.record.count(StepState::Queued) as usize
    }

    /// When the gap after the latest start ends; none where there is no gap or was no start.
    pub(super) fn gap_ends(&self) -> Option<Timestamp> {
        let gap = self.layout.graph().policy().start_gap_ms;
        (gap > 0 && self.record.last_start_at > Timestamp(0))
            .then(|| self.record.last_start_at.plus(gap))
    }
}
