//! What a step waits for: from the end of a step to what that means for those that depend on it.

use super::Run;
use crate::{
    output::Output,
    policy::TriggerRule,
    reason::{Failure, FailureReason, Reason},
    record::{AttemptEnd, AttemptRecord, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

/// A step does not run: why, and because of which step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Skip {
    reason: Reason,
    cause: Option<StepIndex>,
}

impl Run {
    /// Decides upon every step that waits for nothing.
    pub(super) fn trigger_free_steps(&mut self, now: Timestamp, out: &mut Output) {
        for step in self.layout.steps() {
            if self.derived.waiting_on[step.at()] == 0 {
                self.trigger(step, now, out);
            }
        }
    }

    /// Tells the ends of steps to those that wait for them and to what holds them, and so on, until nothing follows any more.
    pub(super) fn spread(&mut self, now: Timestamp, out: &mut Output) {
        while let Some(step) = self.ended.pop() {
            let mut at = 0;
            while let Some(dependent) = self.layout.dependent(step, at) {
                self.release(dependent, now, out);
                at += 1;
            }
            self.leave(step, now, out);
        }
    }

    /// A step waits for one thing less.
    pub(super) fn release(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        if self.steps[step.at()].state.is_final() {
            return;
        }
        let waiting_on = &mut self.derived.waiting_on[step.at()];
        debug_assert!(*waiting_on > 0, "{step:?} waited for nothing");
        *waiting_on = waiting_on.saturating_sub(1);
        if *waiting_on > 0 {
            return;
        }
        if self.steps[step.at()].state == StepState::Open {
            // A report had it open before its time.
            self.release_held(step, now, out);
        } else {
            self.trigger(step, now, out);
        }
    }

    /// Lets a waiting step begin that waits for nothing any more, or skips it.
    fn trigger(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        if self.steps[step.at()].state != StepState::Waiting {
            return;
        }
        let opens_again = self.steps[step.at()].has_opened();
        if !opens_again && let Err(Skip { reason, cause }) = self.verdict(step) {
            return self.skip(step, reason, cause, now, out);
        }
        // Where a failure is about to stop the run, nothing begins any more.
        if self.is_to_stop {
            return;
        }
        if opens_again {
            return self.reopen(step, now, out);
        }
        match self.condition(step) {
            Ok(true) => self.start(step, now, out),
            Ok(false) => self.skip(step, Reason::ConditionFalse, None, now, out),
            Err(why) => self.fail_unattempted(step, why, now, out),
        }
    }

    /// Whether a step's condition holds; a step without one has one that does.
    pub(super) fn condition(&self, step: StepIndex) -> Result<bool, String> {
        let graph = self.layout.graph();
        if graph.step_policy(self.layout.node(step)).has_condition {
            graph.logic().condition(step, self)
        } else {
            Ok(true)
        }
    }

    /// Skips a step and all that it holds.
    pub(super) fn skip(
        &mut self,
        step: StepIndex,
        reason: Reason,
        cause: Option<StepIndex>,
        now: Timestamp,
        out: &mut Output,
    ) {
        let record = self.steps[step.at()];
        let skipped = StepRecord { state: StepState::Skipped, reason, cause, until: now, ..record };
        self.set(step, skipped, out);
        self.skip_held(step, Reason::UpstreamSkipped, now, out);
    }

    /// Fails a step whose condition or list has no value.
    pub(super) fn fail_unattempted(
        &mut self,
        step: StepIndex,
        why: String,
        now: Timestamp,
        out: &mut Output,
    ) {
        self.fail_at_once(step, FailureReason::ExpressionInvalid, why, now, out);
    }

    /// Fails a step for good of which no attempt was made. That is recorded as an attempt that never began.
    pub(super) fn fail_at_once(
        &mut self,
        step: StepIndex,
        reason: FailureReason,
        message: String,
        now: Timestamp,
        out: &mut Output,
    ) {
        let record = self.steps[step.at()];
        let failed = StepRecord {
            state: StepState::Failed,
            reason: Reason::Failure(reason),
            failures: record.failures.saturating_add(1),
            attempt: record.attempt.saturating_add(1),
            until: now,
            ..record
        };
        out.delta.attempts.push(AttemptRecord {
            step,
            attempt: failed.attempt,
            queued_at: Timestamp(0),
            started_at: Timestamp(0),
            ended_at: now,
            end: AttemptEnd::Failed(Failure { reason, message, exit_code: None, signal: None }),
        });
        self.set(step, failed, out);
        self.skip_held(step, Reason::UpstreamFailed, now, out);
        self.after_failure(step);
    }

    /// Skips what lies in a step that has not opened and never will.
    fn skip_held(&mut self, step: StepIndex, reason: Reason, now: Timestamp, out: &mut Output) {
        let mut holders = vec![step];
        while let Some(holder) = holders.pop() {
            for held in self.held(holder) {
                let record = self.steps[held.at()];
                if record.state == StepState::Waiting {
                    let (state, cause) = (StepState::Skipped, Some(step));
                    self.set(held, StepRecord { state, reason, cause, until: now, ..record }, out);
                    holders.push(held);
                }
            }
        }
    }

    fn verdict(&self, step: StepIndex) -> Result<(), Skip> {
        let first =
            |state| self.layout.dependencies(step).find(|on| self.steps[on.at()].state == state);
        let policy = self.layout.graph().step_policy(self.layout.node(step));
        match policy.trigger_rule {
            TriggerRule::AllDone => Ok(()),
            TriggerRule::AllSucceeded => {
                let unlike = [
                    (StepState::Failed, Reason::UpstreamFailed),
                    (StepState::Cancelled, Reason::UpstreamCancelled),
                    (StepState::Skipped, Reason::UpstreamSkipped),
                ];
                unlike.into_iter().try_for_each(|(state, reason)| match first(state) {
                    None => Ok(()),
                    cause => Err(Skip { reason, cause }),
                })
            }
            TriggerRule::AnyFailed => asked_for(first(StepState::Failed)),
            TriggerRule::AnySucceeded => asked_for(first(StepState::Succeeded)),
        }
    }
}

fn asked_for(found: Option<StepIndex>) -> Result<(), Skip> {
    found.map(drop).ok_or(Skip { reason: Reason::TriggerRuleNotMet, cause: None })
}
