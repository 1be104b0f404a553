//! Approvals: steps that wait for somebody's word.

use std::sync::Arc;

use serde_json::json;

use super::Run;
use crate::{
    event::Decision,
    output::Output,
    reason::FailureReason,
    record::{StepIndex, StepRecord, StepState},
    time::Timestamp,
};

impl Run {
    /// Has an approval wait for somebody's word.
    pub(super) fn suspend(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        let record = self.steps[step.at()];
        // 0 would mean that it has not begun to wait.
        let started_at = now.max(Timestamp(1));
        self.set(step, StepRecord { state: StepState::Suspended, started_at, ..record }, out);
    }

    /// Follows somebody's word; one on a step that does not wait for it changes nothing, nor does one on a run that has ended.
    pub(super) fn decide(&mut self, decision: &Decision, now: Timestamp, out: &mut Output) {
        let Decision { step, approved, by, comment } = decision;
        let record = self.steps.get(step.at());
        let waits = |record: &&StepRecord| record.state == StepState::Suspended;
        let Some(record) = record.filter(waits).copied() else { return };
        // Where a run was condemned, its steps are as they were.
        if self.record.state.is_final() {
            return;
        }
        if !approved {
            let reason = if comment.is_empty() { String::new() } else { format!(": {comment}") };
            let message = format!("rejected by {by}{reason}");
            return self.fail_at_once(*step, FailureReason::Rejected, message, now, out);
        }
        let outputs = json!({"approved_by": **by, "comment": **comment}).to_string();
        let outputs: Arc<str> = outputs.into();
        self.keep_outputs(*step, &outputs);
        out.delta.outputs.push((*step, outputs));
        let attempt = record.attempt.saturating_add(1);
        let state = StepState::Succeeded;
        self.set(*step, StepRecord { state, attempt, until: now, ..record }, out);
    }

    /// Nobody has decided within the step's time-out.
    pub(super) fn wait_no_longer(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        let message = "nobody approved or rejected it within its time-out".to_owned();
        self.fail_at_once(step, FailureReason::Timeout, message, now, out);
    }
}
