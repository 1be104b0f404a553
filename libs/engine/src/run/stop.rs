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
        for step in self.graph.steps() {
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
        let lets_run = self.graph.policy().failure_mode == FailureMode::StopOnFailure;
        match (record.reason, self.record.stop_cause) {
            (Reason::RunStopped(cause), _) => Some(cause),
            (_, Some(StopCause::Failure)) if lets_run => None,
            (_, cause) => cause,
        }
    }

    /// What the final failure of a step does to the rest of the run.
    pub(super) fn after_failure(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        self.record.failed_step.get_or_insert(step);
        match self.graph.policy().failure_mode {
            FailureMode::ContinueOnFailure => {}
            FailureMode::StopOnFailure => self.start_nothing_more(StopCause::Failure, now, out),
            FailureMode::FailFast => {
                if self.record.state == RunState::Running {
                    self.stop(StopCause::Failure, now, out);
                }
            }
        }
    }

    /// Whether attempts are in flight that nobody told to stop.
    pub(super) fn runs_on(&self) -> bool {
        self.record.in_flight() > self.record.count(StepState::Stopping)
    }

    /// The state in which the run ends, once all its steps have.
    pub(super) fn final_state(&self) -> RunState {
        match self.record.stop_cause {
            Some(StopCause::Cancelled) => RunState::Cancelled,
            Some(StopCause::Failure | StopCause::TimedOut | StopCause::Defect) => RunState::Failed,
            None if self.record.count(StepState::Failed) > 0 => RunState::Failed,
            None => RunState::Succeeded,
        }
    }

    /// Ends all steps that have no attempt in flight.
    fn start_nothing_more(&mut self, cause: StopCause, now: Timestamp, out: &mut Output) {
        if self.record.state != RunState::Running {
            return;
        }
        self.record.state = RunState::Stopping;
        self.record.stop_cause = Some(cause);
        out.delta.run = true;
        let graph = self.graph.clone();
        for step in graph.steps() {
            let record = self.steps[step.at()];
            if record.state.is_final() || record.state.is_in_flight() {
                continue;
            }
            let ended = StepRecord {
                state: ended_without_attempt(&record),
                reason: Reason::RunStopped(cause),
                until: now,
                ..record
            };
            self.set(step, ended, out);
            // What depends on it is ended here too, or has an attempt already.
            for dependent in graph.dependents(step) {
                self.derived.waiting_on[dependent.at()] -= 1;
            }
        }
    }
}
