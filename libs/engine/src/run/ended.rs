//! How attempts end, and what that means for their steps.

use std::sync::Arc;

use super::Run;
use crate::{
    event::{AttemptPhase, AttemptReport},
    output::Output,
    policy::{RetryAction, mix},
    reason::{Failure, FailureReason, Fault, Reason, StopCause},
    record::{AttemptEnd, AttemptRecord, RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

impl Run {
    /// The attempt in flight has ended, as reported.
    pub(super) fn ended(&mut self, report: &AttemptReport, now: Timestamp, out: &mut Output) {
        let step = report.step;
        let before = self.steps[step.at()];
        let record = timed(&before, report, now);
        match (&report.phase, stop_reason(&before)) {
            (AttemptPhase::Succeeded(outputs), _) => {
                self.succeeded(step, record, Reason::None, outputs.clone(), out);
            }
            (AttemptPhase::Cached(outputs, source), _) => {
                push_attempt(step, &record, AttemptEnd::Cached(source.clone()), out);
                self.succeeded(step, record, Reason::Cached, outputs.clone(), out);
            }
            (AttemptPhase::Failed(failure), None) => {
                self.failed(step, record, failure.clone(), now, out);
            }
            (AttemptPhase::Failed(failure), Some(_)) if !may_be_the_stop(failure.reason) => {
                self.failed(step, record, failure.clone(), now, out);
            }
            (_, Some(Reason::RunStopped(cause))) => self.cancelled(step, record, cause, out),
            // What it waited for is of interest; of what ran, the reason says it all.
            (AttemptPhase::Failed(deleted), Some(Reason::Failure(reason)))
                if deleted.reason == FailureReason::Deleted
                    && reason == FailureReason::StartupTimeout =>
            {
                let failure = Failure { message: deleted.message.clone(), ..bare(reason) };
                self.failed(step, record, failure, now, out);
            }
            (_, Some(Reason::Failure(reason))) => self.failed(step, record, bare(reason), now, out),
            (AttemptPhase::NotCreated, _) if before.state == StepState::Queued => {
                self.withdrawn(step, record, out);
            }
            // Somebody stopped it whom this run did not ask, or it was seen and now never was.
            (_, _) => self.failed(step, record, bare(FailureReason::Lost), now, out),
        }
    }

    fn succeeded(
        &mut self,
        step: StepIndex,
        mut record: StepRecord,
        reason: Reason,
        outputs: Option<Arc<str>>,
        out: &mut Output,
    ) {
        if let Some(outputs) = outputs {
            self.keep_outputs(step, &outputs);
            out.delta.outputs.push((step, outputs));
        }
        record.state = StepState::Succeeded;
        record.reason = reason;
        self.set(step, record, out);
    }

    fn failed(
        &mut self,
        step: StepIndex,
        mut record: StepRecord,
        failure: Failure,
        now: Timestamp,
        out: &mut Output,
    ) {
        let (graph, node) = (self.layout.graph(), self.layout.node(step));
        let (jitter_seed, policy) = (graph.policy().jitter_seed, graph.step_policy(node).retry);
        let action = graph.action(node, &failure);
        record.reason = Reason::Failure(failure.reason);
        let (used, limit) = match failure.reason.fault() {
            Fault::Step => (&mut record.failures, policy.limit),
            Fault::System => (&mut record.losses, policy.system_limit),
        };
        let goes_on = matches!(self.record.state, RunState::Running | RunState::Exiting);
        let is_tried_again = action == RetryAction::Retry && *used < limit && goes_on;
        *used = used.saturating_add(1);
        let retry = u32::from(*used);
        push_attempt(step, &record, AttemptEnd::Failed(failure), out);
        if is_tried_again {
            let seed = jitter_seed ^ mix(u64::from(step.0) << 32 | u64::from(record.attempt));
            let until = now.plus(policy.delay_ms(retry, seed));
            (record.state, record.until) = if until > now {
                (StepState::Delayed, until)
            } else {
                (StepState::Ready, Timestamp(0))
            };
            self.set(step, record, out);
        } else if action == RetryAction::Ignore {
            record.state = StepState::Succeeded;
            self.set(step, record, out);
        } else {
            record.state = StepState::Failed;
            self.set(step, record, out);
            self.after_failure(step);
        }
    }

    fn cancelled(
        &mut self,
        step: StepIndex,
        mut record: StepRecord,
        cause: StopCause,
        out: &mut Output,
    ) {
        push_attempt(step, &record, AttemptEnd::Cancelled(cause), out);
        record.state = StepState::Cancelled;
        self.set(step, record, out);
    }

    /// The attempt was taken back before it existed; the step may have another one at once.
    fn withdrawn(&mut self, step: StepIndex, mut record: StepRecord, out: &mut Output) {
        push_attempt(step, &record, AttemptEnd::Withdrawn, out);
        if let (RunState::Stopping, Some(cause)) = (self.record.state, self.record.stop_cause) {
            record.state = ended_without_attempt(&record);
            record.reason = Reason::RunStopped(cause);
            self.set(step, record, out);
        } else {
            record.state = StepState::Ready;
            record.reason = Reason::Withdrawn;
            record.until = Timestamp(0);
            self.set(step, record, out);
        }
    }
}

/// How a step ends that has no attempt in flight when its run starts nothing more.
pub(super) fn ended_without_attempt(record: &StepRecord) -> StepState {
    if record.failures > 0 || record.losses > 0 {
        // It was tried, and would have been again.
        StepState::Cancelled
    } else {
        StepState::Skipped
    }
}

/// The record with the times at which its attempt ran and ended, none of them before its order or in the future.
fn timed(record: &StepRecord, report: &AttemptReport, now: Timestamp) -> StepRecord {
    let queued_at = record.queued_at.min(now);
    let ran = matches!(record.state, StepState::Running | StepState::Stopping)
        && record.started_at > Timestamp(0);
    let began = if ran { Some(record.started_at) } else { report.started_at };
    let started_at = began.map_or(Timestamp(0), |at| at.clamp(queued_at, now));
    let until = report.ended_at.map_or(now, |at| at.clamp(started_at.max(queued_at), now));
    StepRecord { started_at, until, ..*record }
}

/// Why an attempt was told to stop, if it was.
fn stop_reason(record: &StepRecord) -> Option<Reason> {
    (record.state == StepState::Stopping).then_some(record.reason)
}

/// Whether an attempt that was told to stop may have failed so by that: it is gone, and nobody saw it end by itself.
fn may_be_the_stop(reason: FailureReason) -> bool {
    matches!(reason, FailureReason::Lost | FailureReason::Deleted)
}

/// A failure that the engine itself found: its reason says it all.
fn bare(reason: FailureReason) -> Failure {
    Failure { reason, message: String::new(), exit_code: None, signal: None }
}

/// Records an attempt that is over, with the times of its step's record.
pub(super) fn push_attempt(
    step: StepIndex,
    record: &StepRecord,
    end: AttemptEnd,
    out: &mut Output,
) {
    out.delta.attempts.push(AttemptRecord {
        step,
        attempt: record.attempt,
        queued_at: record.queued_at,
        started_at: record.started_at,
        ended_at: record.until,
        end,
    });
}
