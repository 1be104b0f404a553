//! What users ask of a run.

use super::{Derived, Run};
use crate::{
    event::Order,
    output::Output,
    reason::{Reason, StopCause},
    record::{AttemptEnd, AttemptRecord, RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

impl Run {
    /// Follows an order; one that makes no sense in the run's present state changes nothing.
    pub(super) fn order(&mut self, order: Order, now: Timestamp, out: &mut Output) {
        // An order may overtake the news that the run exists.
        self.begin(now, out);
        match order {
            Order::Cancel if !self.record.state.is_final() => {
                self.stop(StopCause::Cancelled, now, out);
            }
            Order::Pause
                if self.record.state == RunState::Running && self.record.paused_at.is_none() =>
            {
                self.record.paused_at = Some(now);
                self.record.launch_generation = self.record.launch_generation.wrapping_add(1);
                out.delta.run = true;
            }
            Order::Resume if self.record.paused_at.is_some() => {
                self.end_pause(now);
                out.delta.run = true;
            }
            Order::Retry if matches!(self.record.state, RunState::Failed | RunState::Cancelled) => {
                self.retry(now, out);
            }
            Order::Cancel | Order::Pause | Order::Resume | Order::Retry => {}
        }
    }

    pub(super) fn end_pause(&mut self, now: Timestamp) {
        if let Some(since) = self.record.paused_at.take() {
            self.record.paused_ms = self.record.paused_ms.saturating_add(now.since(since));
        }
    }

    /// Takes an ended run up again.
    fn retry(&mut self, now: Timestamp, out: &mut Output) {
        self.record.state = RunState::Running;
        self.record.stop_cause = None;
        self.record.failed_step = None;
        self.record.defect = None;
        self.record.paused_ms = 0;
        self.record.retries = self.record.retries.saturating_add(1);
        self.record.started_at = now;
        self.record.ended_at = Timestamp(0);
        out.delta.run = true;
        for step in self.to_do_again() {
            let record = self.steps[step.at()];
            if record.state == StepState::Succeeded {
                out.delta.attempts.push(AttemptRecord {
                    step,
                    attempt: record.attempt,
                    queued_at: record.queued_at,
                    started_at: record.started_at,
                    ended_at: record.until,
                    end: AttemptEnd::Succeeded,
                });
            }
            let anew = StepRecord { attempt: record.attempt, ..StepRecord::default() };
            self.set(step, anew, out);
        }
        self.derived = Derived::of(&self.graph, &self.steps);
        self.trigger_free_steps(now, out);
    }

    /// What a retry does again: steps that failed or were kept from running, and all that depends on them.
    fn to_do_again(&self) -> Vec<StepIndex> {
        let kept_from_success = |record: &StepRecord| match record.state {
            StepState::Failed | StepState::Cancelled => true,
            StepState::Skipped => matches!(record.reason, Reason::RunStopped(_)),
            _ => false,
        };
        let mut again: Vec<StepIndex> =
            self.graph.steps().filter(|step| kept_from_success(&self.steps[step.at()])).collect();
        let mut seen = vec![false; self.steps.len()];
        for step in &again {
            seen[step.at()] = true;
        }
        let mut next = 0;
        while let Some(step) = again.get(next).copied() {
            next += 1;
            for dependent in self.graph.dependents(step) {
                if !std::mem::replace(&mut seen[dependent.at()], true) {
                    again.push(*dependent);
                }
            }
        }
        again
    }
}
