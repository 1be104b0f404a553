//! What a step waits for: from the end of a step to what that means for those that depend on it.

use super::Run;
use crate::{
    output::Output,
    policy::TriggerRule,
    reason::Reason,
    record::{StepIndex, StepRecord, StepState},
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
        for step in self.graph.steps() {
            if self.derived.waiting_on[step.at()] == 0 && self.trigger(step, now, out) {
                self.trigger_dependents(step, now, out);
            }
        }
    }

    /// Decides upon the steps for which the end of `ended` was the last one they waited for, and so on down the graph.
    pub(super) fn trigger_dependents(
        &mut self,
        ended: StepIndex,
        now: Timestamp,
        out: &mut Output,
    ) {
        let graph = self.graph.clone();
        let mut next = Some(ended);
        let mut just_ended = Vec::new();
        while let Some(step) = next.take().or_else(|| just_ended.pop()) {
            for dependent in graph.dependents(step) {
                let waiting_on = &mut self.derived.waiting_on[dependent.at()];
                *waiting_on -= 1;
                if *waiting_on == 0 && self.trigger(*dependent, now, out) {
                    just_ended.push(*dependent);
                }
            }
        }
    }

    /// Makes a waiting step whose dependencies have all ended ready, or skips it. True if it was skipped.
    fn trigger(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) -> bool {
        let record = self.steps[step.at()];
        if record.state != StepState::Waiting {
            return false;
        }
        let skip = self.verdict(step).err();
        let new = match skip {
            None => StepRecord { state: StepState::Ready, ..record },
            Some(Skip { reason, cause }) => {
                StepRecord { state: StepState::Skipped, reason, cause, until: now, ..record }
            }
        };
        self.set(step, new, out);
        skip.is_some()
    }

    fn verdict(&self, step: StepIndex) -> Result<(), Skip> {
        let dependencies = self.graph.dependencies(step);
        let first =
            |state| dependencies.iter().copied().find(|on| self.steps[on.at()].state == state);
        match self.graph.step_policy(step).trigger_rule {
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
