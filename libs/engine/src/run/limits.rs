//! Named limits, which runs share: when they are asked for, and when they are given back.
//!
//! They are asked for when a step could start otherwise, and held for as long as its attempt may exist. So no run holds
//! limits that only waits. Who is granted what is decided by [`limits`](crate::limits), for all runs of a namespace.

use std::sync::Arc;

use super::{Run, ended::push_attempt};
use crate::{
    output::{AttemptRef, Effect, Output},
    reason::Reason,
    record::{AttemptEnd, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

impl Run {
    /// The named limits of a step; none where it has none.
    pub fn limits(&self, step: StepIndex) -> Option<&Arc<[Arc<str>]>> {
        self.graph().limits(self.layout.node(step))
    }

    /// The attempts that hold their steps' named limits, or stand in line for them. Others that do have to give them back, unless
    /// somebody else has gone on with the run meanwhile.
    pub fn limit_claims(&self) -> impl Iterator<Item = AttemptRef> + '_ {
        let steps = self.layout.steps().filter(|_| self.graph().has_limits());
        let claims = |step: &StepIndex| self.steps[step.at()].state.claims_limits();
        let with_limits = steps.filter(move |step| claims(step) && self.limits(*step).is_some());
        with_limits.map(|step| AttemptRef { step, attempt: self.steps[step.at()].attempt })
    }

    /// Whether an attempt neither holds its step's named limits nor stands in line for them, nor ever will again. Of one that
    /// the run does not know yet that is not so: this may be a copy that somebody else's commit has left behind.
    pub fn has_given_back(&self, attempt: AttemptRef) -> bool {
        if self.record.state.is_final() {
            return true;
        }
        self.steps.get(attempt.step.at()).is_some_and(|record| {
            let claims = record.state.claims_limits() && self.limits(attempt.step).is_some();
            attempt.attempt < record.attempt || (attempt.attempt == record.attempt && !claims)
        })
    }

    /// Puts a step in line for its limits.
    pub(super) fn block(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        let record = self.next_attempt(step, StepState::Blocked, now);
        self.set(step, record, out);
    }

    /// An attempt has its limits: it starts, or gives them back where it is not wanted any more.
    pub(super) fn granted(&mut self, attempt: AttemptRef, now: Timestamp, out: &mut Output) {
        let is_blocked = |record: &StepRecord| {
            record.attempt == attempt.attempt && record.state == StepState::Blocked
        };
        match self.steps.get(attempt.step.at()).copied() {
            Some(record) if is_blocked(&record) && !self.record.state.is_final() => {
                let queued = StepRecord { state: StepState::Queued, queued_at: now, ..record };
                self.set(attempt.step, queued, out);
                self.record.last_start_at = now;
                out.effects.push(Effect::Launch(attempt));
            }
            _ if self.has_given_back(attempt) => out.effects.push(Effect::Release(attempt)),
            _ => {}
        }
    }

    /// Has all steps leave their lines.
    pub(super) fn unblock(&mut self, now: Timestamp, out: &mut Output) {
        if self.record.count(StepState::Blocked) == 0 {
            return;
        }
        for step in self.layout.steps() {
            let record = self.steps[step.at()];
            if record.state == StepState::Blocked {
                self.leave_line(step, now, out);
                let state = StepState::Ready;
                self.set(step, StepRecord { state, reason: Reason::Withdrawn, ..record }, out);
            }
        }
    }

    /// Puts away the attempt of a blocked step: it will not come to exist.
    pub(super) fn leave_line(&self, step: StepIndex, now: Timestamp, out: &mut Output) {
        let record = StepRecord { until: now, ..self.steps[step.at()] };
        push_attempt(step, &record, AttemptEnd::Withdrawn, out);
    }

    /// Asks for limits and gives them back, as a step goes from one state to the next.
    pub(super) fn follow_limits(
        &self,
        step: StepIndex,
        old: &StepRecord,
        new: &StepRecord,
        out: &mut Output,
    ) {
        if !self.graph().has_limits() || self.limits(step).is_none() {
            return;
        }
        let claim = |record: &StepRecord| {
            record.state.claims_limits().then_some(AttemptRef { step, attempt: record.attempt })
        };
        let (before, after) = (claim(old), claim(new));
        if before == after {
            return;
        }
        out.effects.extend(before.map(Effect::Release));
        out.effects.extend(after.map(|attempt| match new.state {
            StepState::Blocked => Effect::Acquire(attempt),
            // It turned up without having been granted anything.
            _ => Effect::Hold(attempt),
        }));
    }

    /// Whether a step has limits for which as many stand in line as may.
    pub(super) fn finds_line_full(&self, step: StepIndex) -> bool {
        let limits = self.graph().step_policy(self.layout.node(step)).limits;
        limits.is_some_and(|limits| self.derived.lines.is_full(limits))
    }

    /// Whether a step that waits for its limits has the next start. Only where starts have a gap between them: a grant may
    /// come at any time, and must not be late for it.
    pub(super) fn next_start_is_taken(&self) -> bool {
        self.graph().policy().start_gap_ms > 0 && self.record.count(StepState::Blocked) > 0
    }
}
