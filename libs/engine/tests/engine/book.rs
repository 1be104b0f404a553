//! What was ordered of a run, and what must hold of every commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use windlass_engine::{
    graph::NodeKind,
    layout::{Holder, Item},
    output::{AttemptRef, Effect, Output},
    reason::{Reason, StopCause},
    record::{AttemptEnd, RunState, StepIndex, StepRecord, StepState},
    run::Run,
    time::Timestamp,
};

use super::{
    model::why_not,
    paths::{clusters, current, upwards},
};

/// What was ordered so far.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Of each step since the run's start or latest retry; withdrawn ones do not count.
    launches: HashMap<StepIndex, u32>,
    ordered: Vec<AttemptRef>,
    over: BTreeMap<AttemptRef, AttemptEnd>,
    last_launch: Option<Timestamp>,
}

impl Book {
    /// Holds a commit against what must always hold, and against all before it.
    pub(crate) fn commit(&mut self, before: &Run, after: &Run, out: &Output, now: Timestamp) {
        let taken_up = after.record().retries > before.record().retries;
        let changes = before.steps().iter().zip(after.steps());
        for (step, (old, new)) in before.layout().steps().zip(changes) {
            assert!(taken_up || !old.state.is_final() || old == new, "{step:?} ended twice");
            assert!(new.queued_at <= now && new.started_at <= now, "{step:?} from the future");
            if new.state.is_final() && new.attempt > 0 && new.started_at.0 > 0 {
                let times = [new.queued_at, new.started_at, new.until, now];
                assert!(times.is_sorted(), "{step:?}: {times:?}");
            }
        }
        let exit_at = [before, after].map(|run| run.record().exit_at);
        assert!(taken_up || exit_at[0].0 == 0 || exit_at[0] == exit_at[1], "{exit_at:?}");
        check_limits(after);
        check_holders(after);
        if taken_up {
            self.launches.clear();
        }
        for attempt in &out.delta.attempts {
            let it = AttemptRef { step: attempt.step, attempt: attempt.attempt };
            // What left its line was not launched.
            if attempt.end == AttemptEnd::Withdrawn && self.ordered.contains(&it) {
                *self.launches.get_mut(&it.step).expect("it was launched") -= 1;
            }
            assert_eq!(self.over.insert(it, attempt.end.clone()), None, "{it:?} was over");
        }
        for effect in &out.effects {
            if let Effect::Launch(it) = effect {
                self.check_launch(before, after, *it, now);
            }
        }
        if after.record().state.is_final() {
            self.check_end(after);
        }
    }

    /// A launch is the next attempt of a ready step whose rule is met, in a run that may launch, not too soon.
    fn check_launch(&mut self, before: &Run, after: &Run, it: AttemptRef, now: Timestamp) {
        let (graph, layout) = (after.graph(), after.layout());
        let was = before.steps().get(it.step.0 as usize).copied().unwrap_or_default();
        let is_granted = was.state == StepState::Blocked;
        assert_eq!(
            is_granted,
            layout.kind(it.step) == &NodeKind::Task && after.limits(it.step).is_some()
        );
        assert_eq!(was.attempt + u32::from(!is_granted), it.attempt);
        // Items that begin in the same call may be what it waited for.
        let is_loop = |step| matches!(before.layout().kind(step), NodeKind::Loop { .. });
        let mut states =
            before.layout().steps().map(|step| (before.step(step).state, is_loop(step)));
        let items_begin = states.any(|state| state == (StepState::Open, true));
        assert!(
            is_granted
                || was.state == StepState::Ready
                || (was.state == StepState::Waiting && items_begin),
            "{it:?} of {was:?}"
        );
        assert_eq!(before.record().paused_at, None);
        let state = |on| after.step(on).state;
        assert!(layout.dependencies(it.step).all(|on| state(on).is_final()), "{it:?} too early");
        assert_eq!(
            why_not(graph, layout.node(it.step), |on| state(layout.beside(it.step, on))),
            None
        );
        for holder in upwards(layout, it.step).skip(1) {
            assert_eq!(state(holder), StepState::Open, "{it:?} lies in {holder:?}");
        }
        if graph.is_exit(layout.node(it.step)) {
            let of_run = graph.main_nodes().map(StepIndex);
            assert!(of_run.into_iter().all(|step| state(step).is_final()), "{it:?} too early");
        }
        let gap = graph.policy().start_gap_ms;
        let soonest = self.last_launch.replace(now).map_or(now, |last| last.plus(gap));
        assert!(gap == 0 || soonest <= now, "{it:?} at {now:?}, not before {soonest:?}");
        self.ordered.push(it);
        let launches = self.launches.entry(it.step).or_default();
        *launches += 1;
        let budget = graph.step_policy(layout.node(it.step)).retry;
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
            let latest = step.attempt == it.attempt && step.latest_succeeded();
            assert!(latest != self.over.contains_key(it), "{it:?} is told of once: {step:?}");
        }
        let record = run.record();
        let has_failed = current(run).any(|step| run.step(step).state == StepState::Failed);
        let expected = match record.stop_cause {
            Some(StopCause::Cancelled) => RunState::Cancelled,
            None if !has_failed => RunState::Succeeded,
            _ => RunState::Failed,
        };
        assert_eq!(record.state, expected, "{record:?}");
        // The exit steps had their turn in this round, and after all others.
        let exit_steps = run.graph().exit_nodes().map(StepIndex);
        assert_eq!(record.exit_at >= record.started_at, exit_steps.len() > 0, "{record:?}");
        assert!(exit_steps.into_iter().all(|step| run.step(step).until >= record.exit_at));
        assert_eq!(run.outstanding().count(), 0);
        assert_eq!(run.next_wakeup(Timestamp(0)), None);
    }
}

/// No more attempts are in flight than may be, and no more items under way.
fn check_limits(run: &Run) {
    let in_flight = run.steps().iter().filter(|step| step.state.is_in_flight());
    let in_flight = in_flight.count() as u32;
    let most = run.graph().policy().max_parallelism.map_or(u32::MAX, u32::from);
    assert!(in_flight <= most, "{in_flight} in flight, where {most} may be");
    assert_eq!(in_flight, run.record().in_flight());
    for cluster in clusters(run) {
        let of_cluster = current(run).filter(|step| run.cluster(*step) == cluster);
        let states: Vec<_> = of_cluster.map(|step| run.step(step).state).collect();
        let count = |is: fn(StepState) -> bool| states.iter().filter(|state| is(**state)).count();
        assert_eq!(run.in_flight(cluster), count(StepState::is_in_flight));
        assert_eq!(run.unconfirmed(cluster), count(|state| state == StepState::Queued));
    }
    let mut under_way: HashMap<StepIndex, BTreeSet<u32>> = HashMap::new();
    for (step, record) in run.layout().steps().zip(run.steps()) {
        if !record.state.is_final()
            && record.state != StepState::Waiting
            && let Holder::Item(Item { of, index }) = run.layout().holder(step)
        {
            under_way.entry(of).or_default().insert(index);
        }
    }
    for (step, items) in under_way {
        if let NodeKind::Loop { max_parallelism: Some(most), .. } = run.layout().kind(step) {
            assert!(items.len() as u32 <= most.get(), "{step:?}: {items:?} at once");
        }
    }
}

/// What holds steps is open as long as one of them has not ended, and ends as they have.
fn check_holders(run: &Run) {
    let layout = run.layout();
    for step in current(run).filter(|step| layout.kind(*step).is_holder()) {
        let holder = run.step(step);
        // A loop that waits to expand anew has the items still that it had before.
        let is_loop = matches!(layout.kind(step), NodeKind::Loop { .. });
        if is_loop && (holder.started_at.0 == 0 || layout.expansion(step).is_none()) {
            continue;
        }
        let held: Vec<&StepRecord> = layout.held(step).map(|held| run.step(held)).collect();
        let has_open = held.iter().any(|held| !held.state.is_final());
        match holder.state {
            StepState::Waiting => assert!(held.iter().all(|held| {
                held.state == StepState::Waiting
                    || (held.state.is_final() && holder.started_at.0 > 0)
            })),
            StepState::Open => assert!(has_open, "{step:?} holds nothing that is open"),
            _ => assert!(!has_open, "{step:?} ended too early"),
        }
        if matches!(layout.kind(step), NodeKind::Choice(_)) {
            let passed_over = (StepState::Skipped, Reason::ConditionFalse);
            let taken = held.iter().filter(|held| (held.state, held.reason) != passed_over);
            assert!(holder.state != StepState::Open || taken.count() == 1, "{step:?}: {held:?}");
        }
        if holder.state == StepState::Succeeded {
            assert!(held.iter().all(|held| {
                held.state == StepState::Succeeded
                    || (held.state == StepState::Skipped
                        && !matches!(held.reason, Reason::RunStopped(_)))
            }));
        }
    }
}
