//! Why attempts failed that have a successor already: by then the step itself does not tell any more.

use std::{collections::HashMap, time::Duration};

use tokio::time::timeout;
use windlass_client::{
    Client,
    v1::{ListAttemptsRequest, Reason, StepState, StepStatus},
};

/// Causes that are asked for at once; many steps that fail together mostly do so for the same one.
const AT_ONCE: usize = 10;
/// How long an answer is waited for: what happened matters more than why.
const LIMIT: Duration = Duration::from_secs(1);

/// How often each step had failed when it was last seen, by index.
#[derive(Debug, Default)]
pub(super) struct Failures(HashMap<u32, u32>);

/// Whether a step itself tells that its latest attempt failed, and why.
pub(crate) fn tells_of_failure(step: &StepStatus) -> bool {
    match step.state() {
        StepState::Delayed | StepState::Failed => true,
        // A failure that was ignored.
        StepState::Succeeded => !matches!(step.reason(), Reason::Unspecified | Reason::Cached),
        _ => false,
    }
}

impl Failures {
    /// Takes in a step; true where an attempt of it has failed that it does not tell of.
    fn failed_unseen(&mut self, step: &StepStatus) -> bool {
        let failures = step.failures + step.losses;
        let before = self.0.insert(step.index, failures);
        before.is_some_and(|before| failures > before)
            && !tells_of_failure(step)
            && step.attempt > 1
    }

    /// Takes in steps that are other than before, and asks why attempts failed that they do not tell of. By index.
    pub(super) async fn causes(
        &mut self,
        client: &Client,
        run_id: &str,
        changed: impl Iterator<Item = &StepStatus>,
    ) -> HashMap<u32, String> {
        let unseen: Vec<_> = changed.filter(|step| self.failed_unseen(step)).collect();
        let mut causes = HashMap::new();
        for step in unseen.into_iter().take(AT_ONCE) {
            let request = ListAttemptsRequest {
                run_id: run_id.to_owned(),
                step: step.name.clone(),
                ..ListAttemptsRequest::default()
            };
            let asked = timeout(LIMIT, client.list_attempts(request).all());
            let attempts = asked.await.ok().and_then(Result::ok).unwrap_or_default();
            let failed = attempts.into_iter().find(|attempt| attempt.number + 1 == step.attempt);
            causes.extend(failed.map(|attempt| (step.index, attempt.message)));
        }
        causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_failure_is_unseen_where_the_step_is_in_its_next_attempt_already() {
        let mut failures = Failures::default();
        let mut step = samples::step("load", StepState::Running);
        (step.attempt, step.failures) = (2, 1);
        assert!(!failures.failed_unseen(&step), "it was there from the beginning");
        step.set_state(StepState::Delayed);
        step.failures = 2;
        assert!(!failures.failed_unseen(&step), "it tells why");
        step.set_state(StepState::Queued);
        (step.attempt, step.losses) = (4, 1);
        assert!(failures.failed_unseen(&step));
        assert!(!failures.failed_unseen(&step), "it was seen");
        step.set_state(StepState::Succeeded);
        step.set_reason(Reason::ExitCode);
        (step.attempt, step.failures) = (5, 3);
        assert!(!failures.failed_unseen(&step), "it was ignored, and the step tells why");
    }
}
