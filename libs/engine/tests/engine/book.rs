//! What was committed of a run, and what must hold of every further commit.

use std::collections::BTreeMap;

use windlass_engine::{
    graph::Graph,
    output::{AttemptRef, Delta, Effect, Output},
    record::{AttemptEnd, StepState},
    run::Run,
    time::Timestamp,
};

use super::model::why_not;

/// What was committed so far.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Of each step since the run's start or latest retry; withdrawn ones do not count.
    launches: Vec<u32>,
    ordered: Vec<AttemptRef>,
    over: BTreeMap<AttemptRef, AttemptEnd>,
    last_launch: Option<Timestamp>,
}

impl Book {
    pub(crate) fn new(graph: &Graph) -> Self {
        Self { launches: vec![0; graph.len()], ..Self::default() }
    }

    /// Holds a commit against what must always hold, and against all before it.
    pub(crate) fn commit(&mut self, before: &Run, after: &Run, out: &Output, now: Timestamp) {
        let taken_up = after.record().retries > before.record().retries;
        let changes = before.steps().iter().zip(after.steps());
        for (step, (old, new)) in after.graph().steps().zip(changes) {
            assert!(taken_up || !old.state.is_final() || old == new, "{step:?} ended twice");
            assert!(new.queued_at <= now && new.started_at <= now, "{step:?} from the future");
            if new.state.is_final() && new.attempt > 0 && new.started_at.0 > 0 {
                let times = [new.queued_at, new.started_at, new.until, now];
                assert!(times.is_sorted(), "{step:?}: {times:?}");
            }
        }
        let in_flight = after.steps().iter().filter(|step| step.state.is_in_flight());
        let in_flight = in_flight.count() as u32;
        let most = after.graph().policy().max_parallelism.map_or(u32::MAX, u32::from);
        assert!(in_flight <= most, "{in_flight} in flight, where {most} may be");
        assert_eq!(in_flight, after.record().in_flight());
        if taken_up {
            self.launches.fill(0);
        }
        for attempt in &out.delta.attempts {
            let it = AttemptRef { step: attempt.step, attempt: attempt.attempt };
            if attempt.end == AttemptEnd::Withdrawn {
                self.launches[attempt.step.0 as usize] -= 1;
            }
            assert_eq!(self.over.insert(it, attempt.end.clone()), None, "{it:?} was over");
        }
        for effect in &out.effects {
            if let Effect::Launch(it) = effect {
                self.check_launch(before, *it, now);
            }
        }
        if after.record().state.is_final() {
            self.check_end(after);
        }
    }

    /// A launch is the next attempt of a ready step whose rule is met, in a run that may launch, not too soon.
    fn check_launch(&mut self, before: &Run, it: AttemptRef, now: Timestamp) {
        let (graph, record) = (before.graph(), before.step(it.step));
        assert_eq!((record.state, record.attempt + 1), (StepState::Ready, it.attempt));
        assert_eq!(before.record().paused_at, None);
        let state = |on| before.step(on).state;
        assert!(
            graph.dependencies(it.step).iter().all(|on| state(*on).is_final()),
            "{it:?} too early"
        );
        assert_eq!(why_not(graph, it.step, state), None, "{it:?} against its rule");
        let gap = graph.policy().start_gap_ms;
        let soonest = self.last_launch.replace(now).map_or(now, |last| last.plus(gap));
        assert!(gap == 0 || soonest <= now, "{it:?} at {now:?}, not before {soonest:?}");
        self.ordered.push(it);
        let launches = &mut self.launches[it.step.0 as usize];
        *launches += 1;
        let budget = graph.step_policy(it.step).retry;
        assert!(
            *launches <= 1 + u32::from(budget.limit) + u32::from(budget.system_limit),
            "{it:?}"
        );
    }

    /// An ended run has ended steps, and a history in which no attempt is missing.
    fn check_end(&self, run: &Run) {
        assert!(run.steps().iter().all(|step| step.state.is_final()));
        for it in &self.ordered {
            let step = run.step(it.step);
            let latest = step.attempt == it.attempt && step.state == StepState::Succeeded;
            assert!(latest != self.over.contains_key(it), "{it:?} is told of once: {step:?}");
        }
        assert_eq!(run.outstanding().count(), 0);
        assert_eq!(run.next_wakeup(Timestamp(0)), None);
    }
}

/// A delta names all that changed.
pub(crate) fn check_delta(before: &Run, after: &Run, delta: &Delta) {
    assert!(delta.run || before.record() == after.record());
    for ((step, old), new) in before.graph().steps().zip(before.steps()).zip(after.steps()) {
        assert!(old == new || delta.steps.contains(&step), "{step:?} changed unnamed");
    }
    assert!(!delta.is_empty() || before == after);
}
