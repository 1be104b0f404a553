//! Random graphs, and what their runs and steps obey.

use std::{collections::VecDeque, num::NonZeroU32, sync::Arc};

use proptest::prelude::*;
use windlass_engine::{
    graph::{Graph, GraphBuilder, NodeIndex, Place},
    policy::{
        FailureMode, RetryAction, RetryPolicy, RetryRule, RunPolicy, StepPolicy, TriggerRule,
    },
    reason::FailureReason,
};

use super::answers::Drawn;

/// A graph, and what its conditions and lists are drawn from.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) graph: Arc<Graph>,
    pub(crate) seed: u64,
}

/// A step as it is drawn.
#[derive(Debug, Clone)]
struct Node {
    policy: StepPolicy,
    /// Which of the lists of rules it has, and which of those of named limits.
    rules: usize,
    limits: usize,
    /// A number taken modulo the clusters that there are.
    cluster: u32,
    /// Numbers taken modulo the steps before it in its list.
    waits_for: Vec<u32>,
    work: Work,
}

#[derive(Debug, Clone)]
enum Work {
    Task { is_kept: bool },
    Approval { is_kept: bool },
    Group(Vec<Node>),
    Choice(Vec<Node>),
    Loop { most: Option<NonZeroU32>, body: Vec<Node> },
}

/// Graphs of tasks alone: as wide and deep as those are that hold others, and larger.
pub(crate) fn flat(
    run: impl Strategy<Value = RunPolicy> + 'static,
    step: impl Strategy<Value = StepPolicy> + Clone + 'static,
) -> impl Strategy<Value = Case> {
    let tasks = any::<bool>().prop_map(|is_kept| Work::Task { is_kept });
    let nodes = prop::collection::vec(node(step, tasks), 1..60);
    cases(run, nodes, Just(Vec::new()))
}

/// Graphs with groups, choices, conditions, and exit steps; loops too where they are asked for.
pub(crate) fn dynamic(
    run: impl Strategy<Value = RunPolicy> + 'static,
    step: impl Strategy<Value = StepPolicy> + Clone + 'static,
    with_loops: bool,
) -> impl Strategy<Value = Case> {
    let step = (step, prop::bool::weighted(0.3))
        .prop_map(|(policy, has_condition)| StepPolicy { has_condition, ..policy })
        .boxed();
    let work = work(&step, with_loops);
    let main = prop::collection::vec(node(step.clone(), work.clone()), 1..8);
    let exit = prop::collection::vec(node(step, work), 0..3);
    cases(run, main, exit)
}

fn work(step: &BoxedStrategy<StepPolicy>, with_loops: bool) -> BoxedStrategy<Work> {
    let task = prop_oneof![
        4 => any::<bool>().prop_map(|is_kept| Work::Task { is_kept }),
        1 => any::<bool>().prop_map(|is_kept| Work::Approval { is_kept }),
    ];
    let step = step.clone();
    let work = task.clone().prop_recursive(3, 12, 4, move |inner| {
        let held = prop::collection::vec(node(step.clone(), inner), 1..5).boxed();
        let most = prop::option::of((1_u32..4).prop_filter_map("none", NonZeroU32::new));
        let body = (most, held.clone());
        prop_oneof![
            3 => task.clone(),
            2 => held.clone().prop_map(Work::Group),
            1 => held.prop_map(|held| Work::Choice(held.into_iter().map(branch).collect())),
            2 * u32::from(with_loops) => body.prop_map(|(most, body)| Work::Loop { most, body }),
        ]
    });
    work.boxed()
}

fn node(
    step: impl Strategy<Value = StepPolicy>,
    work: impl Strategy<Value = Work>,
) -> impl Strategy<Value = Node> {
    // Half of the steps have none.
    let limits = (0..2 * LIMITS.len()).prop_map(|number| number.saturating_sub(LIMITS.len()));
    let lists = (0..rules().len(), limits, any::<u32>());
    (step, lists, prop::collection::vec(any::<u32>(), 0..4), work).prop_map(
        |(policy, (rules, limits, cluster), waits_for, work)| Node {
            policy,
            rules,
            limits,
            cluster,
            waits_for,
            work,
        },
    )
}

/// A branch waits for nothing, and so has no rule.
fn branch(node: Node) -> Node {
    let trigger_rule = TriggerRule::default();
    Node { policy: StepPolicy { trigger_rule, ..node.policy }, waits_for: Vec::new(), ..node }
}

fn cases(
    run: impl Strategy<Value = RunPolicy> + 'static,
    main: impl Strategy<Value = Vec<Node>> + 'static,
    exit: impl Strategy<Value = Vec<Node>> + 'static,
) -> impl Strategy<Value = Case> {
    let clusters = 1..=CLUSTERS.len();
    (run, main, exit, clusters, any::<u64>()).prop_map(|(run, main, exit, clusters, seed)| {
        let mut builder = GraphBuilder::new(run);
        builder.set_logic(Arc::new(Drawn { seed }));
        build(&mut builder, &CLUSTERS[..clusters], &main, &exit);
        Case { graph: Arc::new(builder.build().expect("steps wait for earlier ones")), seed }
    })
}

/// Adds all steps, block after block, and in a block level after level.
fn build(builder: &mut GraphBuilder, clusters: &[&str], main: &[Node], exit: &[Node]) {
    let rules = rules().map(|rules| builder.add_rules(rules));
    let limits = LIMITS.map(|names| builder.add_limits(names.iter().copied().map(Arc::from)));
    let clusters: Vec<_> = clusters.iter().map(|name| builder.add_cluster(name)).collect();
    let mut blocks = VecDeque::new();
    let mut scopes = VecDeque::from([(Place::Run, main)]);
    scopes.extend((!exit.is_empty()).then_some((Place::Exit, exit)));
    while let Some((place, nodes)) = scopes.pop_front().or_else(|| blocks.pop_front()) {
        if place != Place::Run {
            builder.begin(place);
        }
        let mut first = None;
        for (at, node) in nodes.iter().enumerate() {
            let (rules, limits) = (rules[node.rules], limits[node.limits]);
            let cluster = clusters[node.cluster as usize % clusters.len()];
            let policy = StepPolicy { rules, limits, cluster, ..node.policy };
            let index = builder.add_step(policy);
            let first = first.get_or_insert(index).0;
            for on in node.waits_for.iter().filter_map(|on| on.checked_rem(at as u32)) {
                builder.add_dependency(index, NodeIndex(first + on));
            }
            match &node.work {
                Work::Task { is_kept: false } => {}
                Work::Task { is_kept: true } => builder.keep_outputs(index),
                Work::Approval { is_kept } => {
                    builder.set_approval(index);
                    if *is_kept {
                        builder.keep_outputs(index);
                    }
                }
                Work::Group(held) => scopes.push_back((Place::In(index), held)),
                Work::Choice(held) => {
                    builder.set_choice(index);
                    scopes.push_back((Place::In(index), held));
                }
                Work::Loop { most, body } => {
                    if let Some(most) = most {
                        builder.set_max_parallelism(index, *most);
                    }
                    blocks.push_back((Place::Items(index), body.as_slice()));
                }
            }
        }
    }
}

fn retries() -> impl Strategy<Value = RetryPolicy> + Clone {
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

/// Lists of named limits, as steps may have them. A limit's name is its size.
const LIMITS: [&[&str]; 4] = [&[], &["1"], &["2"], &["1", "2"]];

/// The clusters that steps may name.
const CLUSTERS: [&str; 3] = ["x", "y", "z"];

/// Lists of rules, as steps may have them.
fn rules() -> [Vec<RetryRule>; 4] {
    use FailureReason::{ExitCode, LaunchFailed, Lost, Signal};
    let rule = |reasons: &[FailureReason], action| {
        let (reasons, exit_codes, signals) = (reasons.to_vec(), Vec::new(), Vec::new());
        RetryRule { reasons, exit_codes, signals, action }
    };
    [
        vec![],
        vec![rule(&[ExitCode], RetryAction::Fail)],
        vec![rule(&[Signal], RetryAction::Ignore), rule(&[Signal, Lost], RetryAction::Fail)],
        vec![
            rule(&[Lost], RetryAction::Retry),
            rule(&[ExitCode, LaunchFailed, Lost], RetryAction::Ignore),
        ],
    ]
}

fn trigger_rules() -> impl Strategy<Value = TriggerRule> + Clone {
    prop_oneof![
        4 => Just(TriggerRule::AllSucceeded),
        2 => Just(TriggerRule::AllDone),
        1 => Just(TriggerRule::AnyFailed),
        1 => Just(TriggerRule::AnySucceeded),
    ]
}

/// Steps that may fail in every way but by a time-out.
pub(crate) fn steps_without_time_outs() -> impl Strategy<Value = StepPolicy> + Clone {
    (trigger_rules(), retries()).prop_map(|(trigger_rule, retry)| StepPolicy {
        trigger_rule,
        retry,
        ..StepPolicy::default()
    })
}

/// Any steps.
pub(crate) fn steps() -> impl Strategy<Value = StepPolicy> + Clone {
    let timeout = || prop::option::of(10_u64..200);
    (steps_without_time_outs(), timeout(), timeout()).prop_map(
        |(policy, startup_timeout_ms, timeout_ms)| StepPolicy {
            startup_timeout_ms,
            timeout_ms,
            ..policy
        },
    )
}

/// Runs in which nothing stops the rest.
pub(crate) fn runs_that_continue() -> impl Strategy<Value = RunPolicy> {
    let limit = prop::option::of((1_u32..6).prop_filter_map("none", NonZeroU32::new));
    let gap = prop_oneof![3 => Just(0), 1 => 1_u64..50];
    (limit, gap, any::<u64>()).prop_map(|(max_parallelism, start_gap_ms, jitter_seed)| RunPolicy {
        max_parallelism,
        start_gap_ms,
        jitter_seed,
        ..RunPolicy::default()
    })
}

/// Any runs.
pub(crate) fn runs() -> impl Strategy<Value = RunPolicy> {
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
