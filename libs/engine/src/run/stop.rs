//! How a run comes to its end before its steps do.

use std::sync::Arc;

use super::{Run, ended::ended_without_attempt};
use crate::{
    output::{AttemptRef, Effect, Output},
    policy::FailureMode,
    reason::{Reason, StopCause},
    record::{RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

impl Run {
    /// Starts nothing any more, and stops what runs. The first cause is the run's; a later one only stops what the first
    /// one let run.
    pub(super) fn stop(&mut self, cause: StopCause, now: Timestamp, out: &mut Output) {
        self.start_nothing_more(cause, now, out);
        for step in self.layout.steps() {
            let state = self.steps[step.at()].state;
            if state.is_in_flight() && state != StepState::Stopping {
                self.give_up(step, Reason::RunStopped(cause), out);
            }
        }
    }

    /// Fails the run, since it would wait for ever for what a lost record told. The first defect is kept.
    pub(super) fn defect(&mut self, defect: &Arc<str>, now: Timestamp, out: &mut Output) {
        self.begin(now, out);
        if self.record.state.is_final() {
            return;
        }
        if self.record.defect.is_none() {
            self.record.defect = Some(defect.clone());
            out.delta.run = true;
        }
        self.stop(StopCause::Defect, now, out);
    }

    /// Has a step's attempt stopped. Whether and when it had begun to run stays known.
    pub(super) fn give_up(&mut self, step: StepIndex, reason: Reason, out: &mut Output) {
        let record = self.steps[step.at()];
        let started_at = match record.state {
            StepState::Running => record.started_at,
            _ => Timestamp(0),
        };
        let stopping = StepRecord { state: StepState::Stopping, reason, started_at, ..record };
        self.set(step, stopping, out);
        let attempt = record.attempt;
        out.effects.push(Effect::Stop(AttemptRef { step, attempt }));
    }

    /// Why an attempt has to go that turns up unordered in place of the one on record, if it has to.
    pub(super) fn unwanted(&self, record: &StepRecord) -> Option<StopCause> {
        // A failure lets run what runs; what then stops the exit steps is more than that.
        let lets_run = self.layout.graph().policy().failure_mode == FailureMode::StopOnFailure
            && self.record.exit_at == Timestamp(0);
        match (record.reason, self.record.stop_cause) {
            (Reason::RunStopped(cause), _) => Some(cause),
            // What stopped the run does not stop its exit steps.
            (_, _) if self.record.state == RunState::Exiting => None,
            (_, Some(StopCause::Failure)) if lets_run => None,
            (_, cause) => cause,
        }
    }

    /// A step has failed for good. What that does to the rest of the run is done once it is known what follows for those
    /// that wait for the step.
    pub(super) fn after_failure(&mut self, step: StepIndex) {
        let graph = self.layout.graph();
        // Exit steps all have their turn, and see what the run has come to without them.
        if graph.is_exit(self.layout.node(step)) {
            return;
        }
        self.is_to_stop |= self.record.state == RunState::Running
            && graph.policy().failure_mode != FailureMode::ContinueOnFailure;
        self.record.failed_step.get_or_insert(step);
    }

    /// The step that failed first, if any has: an exit step, where no other failure is on record.
    pub(super) fn first_failed(&self) -> Option<StepIndex> {
        if self.record.count(StepState::Failed) == 0 {
            return None;
        }
        let record = |step: &StepIndex| &self.steps[step.at()];
        let steps = self.layout.current(&self.steps).flatten().map(StepIndex);
        let failed = steps.filter(|step| record(step).state == StepState::Failed);
        // What holds others has not failed by itself.
        let failed = failed.filter(|step| record(step).reason != Reason::StepFailed);
        failed.min_by_key(|step| record(step).until)
    }

    pub(super) fn stop_after_failure(&mut self, now: Timestamp, out: &mut Output) {
        match self.layout.graph().policy().failure_mode {
            FailureMode::ContinueOnFailure => {}
            FailureMode::StopOnFailure => self.start_nothing_more(StopCause::Failure, now, out),
            FailureMode::FailFast => self.stop(StopCause::Failure, now, out),
        }
    }

    /// Whether attempts are in flight that nobody told to stop.
    pub(super) fn runs_on(&self) -> bool {
        self.record.in_flight() > self.record.count(StepState::Stopping)
    }

    /// Ends all steps that have no attempt in flight.
    fn start_nothing_more(&mut self, cause: StopCause, now: Timestamp, out: &mut Output) {
        let of_exit = match self.record.state {
            RunState::Running => false,
            RunState::Exiting => true,
            _ => return,
        };
        // What the run had come to before its exit steps stays.
        self.record.stop_cause = match self.record.final_state() {
            RunState::Failed if of_exit => self.record.stop_cause.or(Some(StopCause::Failure)),
            RunState::Cancelled if of_exit => Some(StopCause::Cancelled),
            _ => Some(cause),
        };
        self.record.state = RunState::Stopping;
        out.delta.run = true;
        self.derived.begin_no_more(&self.layout, &self.steps);
        let graph = self.layout.graph().clone();
        for step in self.layout.steps() {
            let record = self.steps[step.at()];
            let goes_on = record.state.is_in_flight() || record.state == StepState::Open;
            if record.state.is_final()
                || goes_on
                || graph.is_exit(self.layout.node(step)) != of_exit
            {
                continue;
            }
            if record.state == StepState::Blocked {
                self.leave_line(step, now, out);
            }
            let ended = StepRecord {
                state: ended_without_attempt(&record),
                reason: Reason::RunStopped(cause),
                until: now,
                ..record
            };
            self.set(step, ended, out);
        }
    }
}
