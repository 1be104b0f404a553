//! What holds of every run in every world.

use std::{num::NonZeroU32, sync::Arc};

use proptest::{prelude::*, test_runner::RngSeed};
use windlass_engine::{
    event::Order,
    graph::{Graph, GraphBuilder},
    policy::{FailureMode, RetryPolicy, RunPolicy, StepPolicy, TriggerRule},
    reason::FailureReason,
    record::{RunState, StepIndex},
};

use super::{
    model::{End, Model, Outcome},
    world::World,
};

/// A step, and what it waits for: numbers taken modulo the steps before it.
type Step = (StepPolicy, Vec<u32>);

fn graphs(
    run: impl Strategy<Value = RunPolicy> + 'static,
    step: impl Strategy<Value = StepPolicy> + 'static,
) -> impl Strategy<Value = Arc<Graph>> {
    let steps = prop::collection::vec((step, prop::collection::vec(any::<u32>(), 0..4)), 1..60);
    (run, steps).prop_map(|(run, steps)| Arc::new(graph(run, &steps)))
}

fn graph(run: RunPolicy, steps: &[Step]) -> Graph {
    let mut builder = GraphBuilder::new(run);
    for (policy, waits_for) in steps {
        let step = builder.add_step(*policy);
        for on in waits_for {
            if let Some(on) = on.checked_rem(step.0) {
                builder.add_dependency(step, StepIndex(on));
            }
        }
    }
    builder.build().expect("steps wait for earlier ones")
}

fn retries() -> impl Strategy<Value = RetryPolicy> {
    let delays = prop_oneof![Just(0), 1_u64..100];
    (0_u16..3, 0_u16..3, delays, 1000_u32..3000, 0_u32..1000).prop_map(
        |(limit, system_limit, delay_ms, factor_permille, jitter_permille)| RetryPolicy {
            limit,
            system_limit,
            delay_ms,
            factor_permille,
            max_delay_ms: 150,
            jitter_permille,
        },
    )
}

fn rules() -> impl Strategy<Value = TriggerRule> {
    prop_oneof![
        4 => Just(TriggerRule::AllSucceeded),
        2 => Just(TriggerRule::AllDone),
        1 => Just(TriggerRule::AnyFailed),
        1 => Just(TriggerRule::AnySucceeded),
    ]
}

fn steps_without_time_outs() -> impl Strategy<Value = StepPolicy> {
    (rules(), retries()).prop_map(|(trigger_rule, retry)| StepPolicy {
        trigger_rule,
        retry,
        ..StepPolicy::default()
    })
}

fn steps() -> impl Strategy<Value = StepPolicy> {
    let timeout = || prop::option::of(10_u64..200);
    (steps_without_time_outs(), timeout(), timeout()).prop_map(
        |(policy, startup_timeout_ms, timeout_ms)| StepPolicy {
            startup_timeout_ms,
            timeout_ms,
            ..policy
        },
    )
}

fn runs_that_continue() -> impl Strategy<Value = RunPolicy> {
    let limit = prop::option::of((1_u32..6).prop_filter_map("none", NonZeroU32::new));
    let gap = prop_oneof![3 => Just(0), 1 => 1_u64..50];
    (limit, gap, any::<u64>()).prop_map(|(max_parallelism, start_gap_ms, jitter_seed)| RunPolicy {
        max_parallelism,
        start_gap_ms,
        jitter_seed,
        ..RunPolicy::default()
    })
}

fn runs() -> impl Strategy<Value = RunPolicy> {
    let mode = prop_oneof![
        Just(FailureMode::FailFast),
        Just(FailureMode::StopOnFailure),
        Just(FailureMode::ContinueOnFailure),
    ];
    let timeout = prop::option::weighted(0.3, 50_u64..2000);
    (runs_that_continue(), mode, timeout).prop_map(|(policy, failure_mode, timeout_ms)| RunPolicy {
        failure_mode,
        timeout_ms,
        ..policy
    })
}

fn moves() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 0..400)
}

/// How a step's n-th attempt turns out, by a draw from a seed: two thirds succeed.
fn outcome(seed: u64, step: StepIndex, attempt: u32) -> Outcome {
    let key = (u64::from(step.0) << 32 | u64::from(attempt)) ^ seed;
    let draw = key.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    match draw % 12 {
        0..8 => Outcome::Success,
        8 => Outcome::Failure(FailureReason::ExitCode),
        9 => Outcome::Failure(FailureReason::Signal),
        10 => Outcome::Failure(FailureReason::Lost),
        _ => Outcome::Failure(FailureReason::LaunchFailed),
    }
}

/// The same cases in every test run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` ask for others.
fn config() -> ProptestConfig {
    let config = ProptestConfig::default();
    let rng_seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        asked_for @ RngSeed::Fixed(_) => asked_for,
    };
    ProptestConfig { rng_seed, ..config }
}

proptest! {
    #![proptest_config(config())]

    /// In any world, all that [`World`] holds against each commit holds, and once faults stop the run ends.
    #[test]
    fn a_run_keeps_its_rules_in_any_world_and_ends(
        graph in graphs(runs(), steps()),
        moves in moves(),
        seed: u64,
    ) {
        let outcome = |step: StepIndex, attempt: u32| {
            let policy = graph.step_policy(step);
            let hangs = policy.startup_timeout_ms.or(policy.timeout_ms).is_some();
            if hangs && (step.0 + attempt).is_multiple_of(5) {
                Outcome::Hang
            } else {
                outcome(seed, step, attempt)
            }
        };
        let mut world = World::new(&graph, &outcome);
        for number in moves {
            world.wild_move(number);
        }
        world.settle();
    }

    /// Where nothing is cancelled, times out or stops the rest, the ends of all steps, their reasons, their causes and
    /// what they used of their budgets follow from the graph and the outcomes of attempts alone: no delay, loss, repetition
    /// or order of messages, no pause, crash or failed commit changes them. So it is after a retry of the run.
    #[test]
    fn ends_follow_from_outcomes_alone(
        graph in graphs(runs_that_continue(), steps_without_time_outs()),
        rounds in prop::collection::vec(moves(), 1..3),
        seed: u64,
    ) {
        let outcome = |step: StepIndex, attempt: u32| outcome(seed, step, attempt);
        let mut world = World::new(&graph, &outcome);
        let mut model = Model::default();
        for moves in rounds {
            model = model.next_round(&graph, outcome);
            for number in moves {
                world.calm_move(number);
            }
            world.settle();
            let ends: Vec<End> = world.run.steps().iter().map(End::from).collect();
            prop_assert_eq!(&ends, &model.ends);
            prop_assert_eq!(world.run.record().state, model.state());
            if model.state() == RunState::Succeeded {
                break;
            }
            world.order(Order::Retry);
        }
    }

    /// A store that goes back under a run costs work, but neither its end nor its own consistency.
    #[test]
    fn a_run_whose_store_goes_back_ends_all_the_same(
        graph in graphs(runs(), steps()),
        moves in moves(),
        seed: u64,
    ) {
        let outcome = |step: StepIndex, attempt: u32| outcome(seed, step, attempt);
        let mut world = World::forgetful(&graph, &outcome);
        for number in moves {
            world.wild_move(number);
        }
        world.settle();
    }
}
