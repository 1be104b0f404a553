//! What becomes due by itself: retries, time-outs, gaps.

use super::Run;
use crate::{
    output::Output,
    policy::StepPolicy,
    reason::{FailureReason, Reason, StopCause},
    record::{RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

/// When something is due of a step in this state, if anything is.
pub(super) fn due(record: &StepRecord, policy: &StepPolicy) -> Option<Timestamp> {
    match record.state {
        StepState::Delayed => Some(record.until),
        StepState::Starting => {
            policy.startup_timeout_ms.map(|timeout| record.started_at.plus(timeout))
        }
        StepState::Running | StepState::Suspended => {
            policy.timeout_ms.map(|timeout| record.started_at.plus(timeout))
        }
        StepState::Waiting
        | StepState::Ready
        | StepState::Queued
        | StepState::Stopping
        | StepState::Succeeded
        | StepState::Failed
        | StepState::Skipped
        | StepState::Cancelled
        | StepState::Open
        | StepState::Blocked => None,
    }
}

impl Run {
    /// When the run wants [`Event::Wake`](crate::event::Event::Wake) and a call of [`Run::dispatch`], at the latest.
    ///
    /// A gap that has ended by `now` asks for nothing: the step it held back waits for room, not for time.
    pub fn next_wakeup(&self, now: Timestamp) -> Option<Timestamp> {
        let step = self.derived.timers.first().map(|(due, _)| *due);
        let gap = self.may_launch_any().then(|| self.gap_ends()).flatten().filter(|end| *end > now);
        let looks_again = self.looks_again.iter().any(|cluster| self.may_launch(*cluster));
        let more = looks_again.then_some(now);
        [step, self.deadline(), gap, more].into_iter().flatten().min()
    }

    /// When the run's time-out passes: none while it is paused, and none where nothing is left that could be stopped.
    fn deadline(&self) -> Option<Timestamp> {
        let stoppable = match self.record.state {
            RunState::Running => true,
            RunState::Stopping => self.runs_on(),
            RunState::Pending
            | RunState::Exiting
            | RunState::Succeeded
            | RunState::Failed
            | RunState::Cancelled => false,
        };
        let timeout = self
            .layout
            .graph()
            .policy()
            .timeout_ms
            .filter(|_| stoppable && self.record.paused_at.is_none())?;
        Some(self.record.started_at.plus(timeout).plus(self.record.paused_ms))
    }

    /// Does what is due.
    pub(super) fn wake(&mut self, now: Timestamp, out: &mut Output) {
        // What finds no room now waits for room, not for time.
        self.looks_again.clear();
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.stop(StopCause::TimedOut, now, out);
        }
        while let Some((due, step)) = self.derived.timers.first().copied()
            && due <= now
        {
            self.fire(step, now, out);
        }
    }

    /// Does what is due of one step, after which nothing is.
    fn fire(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        let record = self.steps[step.at()];
        match record.state {
            StepState::Starting => {
                self.give_up(step, Reason::Failure(FailureReason::StartupTimeout), out);
            }
            StepState::Running => self.give_up(step, Reason::Failure(FailureReason::Timeout), out),
            StepState::Suspended => self.wait_no_longer(step, now, out),
            state => {
                debug_assert_eq!(state, StepState::Delayed, "nothing else is due");
                let ready = StepRecord { state: StepState::Ready, until: Timestamp(0), ..record };
                self.set(step, ready, out);
            }
        }
    }
}
