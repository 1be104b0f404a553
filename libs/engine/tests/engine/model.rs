//! What becomes of a run in which nothing is stopped, written apart from the engine: each step's end as a function of the
//! ends of those it waits for, and of how its attempts turn out. No events, no order, no time.

use windlass_engine::{
    graph::Graph,
    policy::TriggerRule,
    reason::{FailureReason, Fault, Reason},
    record::{RunState, StepIndex, StepRecord, StepState},
};

/// How an attempt turns out if nobody stops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    Failure(FailureReason),
    /// It neither starts nor ends.
    Hang,
}

/// What is decided of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) state: StepState,
    pub(crate) reason: Reason,
    pub(crate) cause: Option<StepIndex>,
    pub(crate) failures: u16,
    pub(crate) losses: u16,
}

impl From<&StepRecord> for End {
    fn from(record: &StepRecord) -> Self {
        Self {
            state: record.state,
            reason: record.reason,
            cause: record.cause,
            failures: record.failures,
            losses: record.losses,
        }
    }
}

/// How a run ends, and how many attempts that took of each step in all rounds so far.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) ends: Vec<End>,
    attempts: Vec<u32>,
}

impl Model {
    pub(crate) fn state(&self) -> RunState {
        if self.ends.iter().any(|end| end.state == StepState::Failed) {
            RunState::Failed
        } else {
            RunState::Succeeded
        }
    }

    /// The first round, or the next one after a retry. `outcome` tells how a step's n-th attempt (from 0) turns out.
    pub(crate) fn next_round(
        &self,
        graph: &Graph,
        outcome: impl Fn(StepIndex, u32) -> Outcome,
    ) -> Self {
        let mut round = Self::default();
        let mut again = Vec::new();
        // Steps wait for earlier ones only.
        for step in graph.steps() {
            let place = step.0 as usize;
            let on = graph.dependencies(step);
            let before = self.ends.get(place).copied();
            let mut attempts = self.attempts.get(place).copied().unwrap_or(0);
            again.push(
                before.is_none_or(|end| end.state == StepState::Failed)
                    || on.iter().any(|on| again[on.0 as usize]),
            );
            let end = match before {
                Some(end) if !again[place] => end,
                _ => skipped(graph, step, &round.ends)
                    .unwrap_or_else(|| tried(graph, step, &mut attempts, &outcome)),
            };
            round.ends.push(end);
            round.attempts.push(attempts);
        }
        round
    }
}

fn tried(
    graph: &Graph,
    step: StepIndex,
    attempts: &mut u32,
    outcome: impl Fn(StepIndex, u32) -> Outcome,
) -> End {
    let budget = graph.step_policy(step).retry;
    let (mut failures, mut losses) = (0, 0);
    loop {
        let outcome = outcome(step, *attempts);
        *attempts += 1;
        let (state, reason) = match outcome {
            Outcome::Success => (StepState::Succeeded, Reason::None),
            Outcome::Failure(reason) => {
                match reason.fault() {
                    Fault::Step => failures += 1,
                    Fault::System => losses += 1,
                }
                if failures <= budget.limit && losses <= budget.system_limit {
                    continue;
                }
                (StepState::Failed, Reason::Failure(reason))
            }
            Outcome::Hang => panic!("the model knows no time-outs"),
        };
        return End { state, reason, cause: None, failures, losses };
    }
}

fn skipped(graph: &Graph, step: StepIndex, ends: &[End]) -> Option<End> {
    let on = graph.dependencies(step);
    let (reason, cause) = why_not(graph, step, |on| ends[on.0 as usize].state)?;
    assert!(cause.is_none_or(|cause| on.contains(&cause)));
    Some(End { state: StepState::Skipped, reason, cause, failures: 0, losses: 0 })
}

/// Why a step whose dependencies have ended as told does not run, if it does not.
pub(crate) fn why_not(
    graph: &Graph,
    step: StepIndex,
    state: impl Fn(StepIndex) -> StepState,
) -> Option<(Reason, Option<StepIndex>)> {
    let on = graph.dependencies(step);
    let some = |wanted| on.iter().copied().find(|on| state(*on) == wanted);
    let met = match graph.step_policy(step).trigger_rule {
        TriggerRule::AllDone => true,
        TriggerRule::AnyFailed => some(StepState::Failed).is_some(),
        TriggerRule::AnySucceeded => some(StepState::Succeeded).is_some(),
        TriggerRule::AllSucceeded => {
            let by = |wanted, reason| some(wanted).map(|cause| (reason, Some(cause)));
            return by(StepState::Failed, Reason::UpstreamFailed)
                .or_else(|| by(StepState::Cancelled, Reason::UpstreamCancelled))
                .or_else(|| by(StepState::Skipped, Reason::UpstreamSkipped));
        }
    };
    (!met).then_some((Reason::TriggerRuleNotMet, None))
}
