//! Which ready steps start, and when.

use super::Run;
use crate::{
    output::{AttemptRef, Effect, Output},
    reason::Reason,
    record::{RunState, StepRecord, StepState},
    time::Timestamp,
};

/// How many items begin in one call at most. Where none of them needs an attempt, the run asks to be woken for the rest.
const ITEMS_AT_ONCE: usize = 20_000;

impl Run {
    /// Orders attempts of ready steps, in the order of their indexes: at most `room` of them, and no more than the run's
    /// limits allow. Where no step is ready, items of loops begin: no sooner, so that a loop costs nothing for the items that
    /// there is no room for. Tells how many attempts it ordered.
    pub fn dispatch(&mut self, room: usize, now: Timestamp, out: &mut Output) -> usize {
        let (mut launched, mut begun) = (0, 0);
        self.begins_more = false;
        while launched < room && self.may_launch() && self.gap_ends().is_none_or(|end| end <= now) {
            let Some(step) = self.derived.ready.first().copied() else {
                if begun == ITEMS_AT_ONCE {
                    self.begins_more = true;
                    break;
                }
                begun += 1;
                self.begin_next_item(now, out);
                continue;
            };
            let record = self.steps[step.at()];
            let attempt = record.attempt.saturating_add(1);
            let queued = StepRecord {
                state: StepState::Queued,
                reason: Reason::None,
                cause: None,
                attempt,
                queued_at: now,
                started_at: Timestamp(0),
                until: Timestamp(0),
                ..record
            };
            self.set(step, queued, out);
            self.record.last_start_at = now;
            out.effects.push(Effect::Launch(AttemptRef { step, attempt }));
            launched += 1;
        }
        self.conclude(now, out);
        launched
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
            .is_none_or(|limit| self.record.in_flight() < limit.get());
        matches!(self.record.state, RunState::Running | RunState::Exiting)
            && self.record.paused_at.is_none()
            && !(self.derived.ready.is_empty() && self.derived.loops.is_empty())
            && below_limit
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
