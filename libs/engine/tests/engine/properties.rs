//! What holds of every run in every world.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, test_runner::RngSeed};
use windlass_engine::{
    event::Order,
    reason::FailureReason,
    record::{RunState, StepIndex, StepRecord, StepState},
    run::{Kept, Run},
};

use super::{
    answers::draw,
    graphs::{Case, dynamic, flat, runs, runs_that_continue, steps, steps_without_time_outs},
    model::{End, Model, Outcome},
    paths::{Path, current, path},
    world::World,
};

/// How many cases of each property the ordinary test run has.
const CASES: u32 = 600;

fn moves() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 0..300)
}

/// How a step's n-th attempt turns out, by a draw from a seed: two thirds succeed.
fn outcome(seed: u64, path: &Path, attempt: u32) -> Outcome {
    match draw((seed, path, attempt), 12) {
        0..8 => Outcome::Success,
        8 => Outcome::Failure(FailureReason::ExitCode),
        9 => Outcome::Failure(FailureReason::Signal),
        10 => Outcome::Failure(FailureReason::Lost),
        _ => Outcome::Failure(FailureReason::LaunchFailed),
    }
}

/// How all steps ended that are not superseded.
fn ends(run: &Run) -> BTreeMap<Path, End> {
    let path = |step| path(run.layout(), step);
    let end = |record: &StepRecord| End {
        state: record.state,
        reason: record.reason,
        cause: record.cause.map(path),
        failures: record.failures,
        losses: record.losses,
    };
    current(run).map(|step| (path(step), end(run.step(step)))).collect()
}

/// The same cases in every test run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` ask for others.
pub(crate) fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        asked_for @ RngSeed::Fixed(_) => asked_for,
    };
    let cases = std::env::var_os("PROPTEST_CASES").map_or(CASES, |_| config.cases);
    ProptestConfig { cases, rng_seed, ..config }
}

/// In any world, all that [`World`] holds against each commit holds, and once faults stop the run ends.
fn keeps_its_rules_and_ends(case: &Case, moves: Vec<u32>) {
    let outcome = |path: &Path, attempt: u32| {
        let policy = case.graph.step_policy(path.node);
        let hangs = policy.startup_timeout_ms.or(policy.timeout_ms).is_some();
        if hangs && (path.node.0 + attempt).is_multiple_of(5) {
            Outcome::Hang
        } else {
            outcome(case.seed, path, attempt)
        }
    };
    let mut world = World::new(&case.graph, &outcome);
    for number in moves {
        world.wild_move(number);
    }
    world.settle();
}

/// Where nothing is cancelled, times out or stops the rest, the ends of all steps, their reasons, their causes and
/// what they used of their budgets follow from the graph and the outcomes of attempts alone: no delay, loss, repetition
/// or order of messages, no pause, crash or failed commit changes them. So it is after a retry of the run, also from a step.
fn ends_follow_from_outcomes(case: &Case, rounds: Vec<Round>) {
    let outcome = |path: &Path, attempt: u32| outcome(case.seed, path, attempt);
    let mut world = World::new(&case.graph, &outcome);
    let mut model = Model::new(&case.graph, case.seed, &outcome);
    let mut from = None;
    for round in rounds {
        model.next_round(from.take());
        for number in round.moves {
            world.calm_move(number);
        }
        world.settle();
        assert_eq!(ends(&world.run), model.ends);
        assert_eq!(world.run.record().state, model.state());
        let picked = round.next_from.map(|number| {
            let steps: Vec<_> = current(&world.run).collect();
            steps[number as usize % steps.len()]
        });
        if picked.is_none() && model.state() == RunState::Succeeded {
            break;
        }
        from = picked.map(|step| path(world.run.layout(), step));
        keeps_what_it_says(&mut world, picked);
    }
}

/// Retries a run: what succeeded stays as it is where the run has said so before, and nowhere else.
fn keeps_what_it_says(world: &mut World<'_>, from: Option<StepIndex>) {
    let before = world.run.clone();
    let kept: BTreeMap<_, _> = before.kept_by_retry(from).into_iter().collect();
    world.order(Order::Retry { from, changes: None });
    let left: BTreeSet<_> = current(&world.run).collect();
    assert!(kept.keys().all(|step| left.contains(step)), "nothing that is kept is superseded");
    for step in current(&before).filter(|step| left.contains(step)) {
        let is_same = world.run.step(step) == before.step(step);
        match kept.get(&step) {
            Some(Kept::Whole | Kept::Condition) => assert!(is_same, "{step:?} is kept"),
            Some(Kept::Opening) => assert!(before.step(step).has_opened(), "{step:?} opens again"),
            None => {
                // A loop without items succeeds at once, which may be in the same millisecond.
                let is_work = !before.layout().kind(step).is_holder();
                let succeeded = is_work && before.step(step).state == StepState::Succeeded;
                assert!(!(succeeded && is_same), "{step:?} begins anew");
            }
        }
    }
}

/// A store that goes back under a run costs work, but neither its end nor its own consistency.
fn ends_though_the_store_goes_back(case: &Case, moves: Vec<u32>) {
    let outcome = |path: &Path, attempt: u32| outcome(case.seed, path, attempt);
    let mut world = World::forgetful(&case.graph, &outcome);
    for number in moves {
        world.wild_move(number);
    }
    world.settle();
}

/// What happens until the run has ended, and from which step it is taken up again, if from any: a number that says which.
#[derive(Debug, Clone)]
struct Round {
    moves: Vec<u32>,
    next_from: Option<u32>,
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let next_from = prop::option::weighted(0.4, any::<u32>());
    let round = (moves(), next_from).prop_map(|(moves, next_from)| Round { moves, next_from });
    prop::collection::vec(round, 1..4)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_run_of_tasks_keeps_its_rules_in_any_world_and_ends(
        case in flat(runs(), steps()),
        moves in moves(),
    ) {
        keeps_its_rules_and_ends(&case, moves);
    }

    #[test]
    fn a_dynamic_run_keeps_its_rules_in_any_world_and_ends(
        case in dynamic(runs(), steps(), true),
        moves in moves(),
    ) {
        keeps_its_rules_and_ends(&case, moves);
    }

    #[test]
    fn ends_of_tasks_follow_from_outcomes_alone(
        case in flat(runs_that_continue(), steps_without_time_outs()),
        rounds in rounds(),
    ) {
        ends_follow_from_outcomes(&case, rounds);
    }

    #[test]
    fn ends_of_a_dynamic_run_follow_from_outcomes_alone(
        case in dynamic(runs_that_continue(), steps_without_time_outs(), true),
        rounds in rounds(),
    ) {
        ends_follow_from_outcomes(&case, rounds);
    }

    #[test]
    fn a_run_of_tasks_whose_store_goes_back_ends_all_the_same(
        case in flat(runs(), steps()),
        moves in moves(),
    ) {
        ends_though_the_store_goes_back(&case, moves);
    }

    // Without loops: a store that goes back behind a loop's expansion may give the numbers of its items' steps to those
    // of another loop, and reports of their attempts are then taken for that one's.
    #[test]
    fn a_dynamic_run_whose_store_goes_back_ends_all_the_same(
        case in dynamic(runs(), steps(), false),
        moves in moves(),
    ) {
        ends_though_the_store_goes_back(&case, moves);
    }
}
