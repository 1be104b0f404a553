//! From a pipeline to the engine's graph.

mod cycle;
mod links;

use std::{collections::HashMap, num::NonZeroU32, ops::RangeInclusive, sync::Arc};

use prost::DecodeError;
use serde_json::{Map, Value};
use windlass_engine::{
    graph::{Graph, GraphBuilder, NodeIndex, Place},
    policy::{
        ClusterIndex, FailureMode, LimitChanges, RetryAction, RetryPolicy, RetryRule, RunPolicy,
        StepPolicy, TriggerRule,
    },
};
use windlass_proto::{
    cluster, convert,
    encoded::EncodedPipeline,
    id::RunId,
    v1::{self, step::Work},
};

pub(crate) use links::task_texts;

use crate::{
    check::Violations,
    duration::to_ms,
    limits,
    logic::PipelineLogic,
    outline::{Outline, Source},
};

/// Compiles a pipeline for no run in particular.
///
/// A step waits for what it names in `depends_on`, and for every step that it, or a step that it holds, refers to.
///
/// # Errors
///
/// A dependency on a step that does not exist, or a cycle. A pipeline that passed [`check`](crate::check::check) has
/// neither.
pub fn graph(pipeline: &v1::Pipeline, jitter_seed: u64) -> Result<Graph, Violations> {
    match compile(pipeline, run_policy(pipeline, jitter_seed), String::new(), Map::new()) {
        Ok(graph) => Ok(graph),
        Err(CompileError::Violations(violations)) => Err(violations),
        Err(CompileError::Decode(_)) => unreachable!("nothing of it is encoded"),
    }
}

/// Compiles the pipeline of a run, whose arguments its conditions and loops may ask for, and some of whose limits may be other
/// than the pipeline's. The pipeline stays encoded: steps are
/// decoded one at a time, which takes a tenth of the memory.
pub fn graph_of_run(
    pipeline: &EncodedPipeline,
    run: RunId,
    arguments: Map<String, Value>,
    limits: LimitChanges,
) -> Result<Graph, CompileError> {
    // The run's own hash makes its retry delays differ from those of other runs.
    let policy = run_policy(pipeline.head(), run.stable_hash()).changed_by(limits);
    compile(pipeline, policy, run.to_string(), arguments)
}

/// The graph of a pipeline without what its steps wait for and obey: enough to tell how the steps of a run are numbered.
pub fn shape(outline: &Outline) -> Graph {
    let mut builder = GraphBuilder::new(RunPolicy::default());
    add_nodes(outline, &mut builder, |_, _| Ok(StepPolicy::default())).unwrap_or_default();
    builder.build().expect("there are no dependencies, and so no circles")
}

/// Why an encoded pipeline cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It is not one.
    #[error("the pipeline cannot be decoded: {0}; the store is damaged")]
    Decode(#[from] DecodeError),
    /// It was never checked.
    #[error("the pipeline breaks a rule, though it was checked when it was submitted: {0}")]
    Violations(#[from] Violations),
}

fn compile(
    pipeline: &impl Source,
    policy: RunPolicy,
    run_id: String,
    arguments: Map<String, Value>,
) -> Result<Graph, CompileError> {
    let outline = Arc::new(Outline::of(pipeline)?);
    let mut builder = GraphBuilder::new(policy);
    let mut listed = pipeline.steps();
    add_nodes(&outline, &mut builder, |node, builder| {
        let listed = if node.0 < outline.listed() { listed.next().transpose()? } else { None };
        let step = outline.definition(node).or(listed.as_deref());
        Ok(step.map(|step| step_policy(step, builder)).unwrap_or_default())
    })?;
    drop(listed);
    let mut conditions = HashMap::new();
    links::Links { outline: &outline, builder: &mut builder, conditions: &mut conditions }
        .add_all(pipeline)?;
    builder.set_logic(Arc::new(PipelineLogic::new(outline.clone(), run_id, arguments, conditions)));
    Ok(builder.build().map_err(|cycle| cycle::describe(&cycle, &outline))?)
}

/// Adds all nodes, in order.
fn add_nodes(
    outline: &Outline,
    builder: &mut GraphBuilder,
    mut policy: impl FnMut(NodeIndex, &mut GraphBuilder) -> Result<StepPolicy, DecodeError>,
) -> Result<(), DecodeError> {
    for (place, nodes) in outline.scopes() {
        if place != Place::Run {
            builder.begin(place);
        }
        for node in nodes.map(NodeIndex) {
            let policy = policy(node, builder)?;
            builder.add_step(policy);
            let Some(step) = outline.definition(node) else { continue };
            if step.for_each.is_none() && matches!(step.work, Some(Work::Branches(_))) {
                builder.set_choice(node);
            }
            if step.for_each.is_none() && matches!(step.work, Some(Work::Approval(_))) {
                builder.set_approval(node);
            }
            let most = step.for_each.as_ref().map_or(0, |for_each| for_each.max_parallelism);
            if let Some(most) = NonZeroU32::new(most) {
                builder.set_max_parallelism(node, most);
            }
        }
    }
    Ok(())
}

fn run_policy(pipeline: &v1::Pipeline, jitter_seed: u64) -> RunPolicy {
    RunPolicy {
        failure_mode: match pipeline.failure_mode() {
            v1::FailureMode::FailFast => FailureMode::FailFast,
            v1::FailureMode::StopOnFailure => FailureMode::StopOnFailure,
            v1::FailureMode::Unspecified | v1::FailureMode::ContinueOnFailure => {
                FailureMode::ContinueOnFailure
            }
        },
        max_parallelism: NonZeroU32::new(pipeline.max_parallelism),
        start_gap_ms: pipeline.start_gap.as_ref().and_then(to_ms).unwrap_or(0),
        timeout_ms: pipeline.timeout.as_ref().and_then(to_ms),
        priority: pipeline.priority,
        jitter_seed,
    }
}

fn step_policy(step: &v1::Step, builder: &mut GraphBuilder) -> StepPolicy {
    let rules = step.retry.as_deref().map(retry_rules).unwrap_or_default();
    let (limits, cluster) = match &step.work {
        Some(Work::Task(task)) => {
            (task.limits.as_slice(), builder.add_cluster(cluster::or_default(&task.cluster)))
        }
        _ => (&[][..], ClusterIndex::default()),
    };
    StepPolicy {
        trigger_rule: match step.trigger_rule() {
            v1::TriggerRule::Unspecified | v1::TriggerRule::AllSucceeded => {
                TriggerRule::AllSucceeded
            }
            v1::TriggerRule::AllDone => TriggerRule::AllDone,
            v1::TriggerRule::AnyFailed => TriggerRule::AnyFailed,
            v1::TriggerRule::AnySucceeded => TriggerRule::AnySucceeded,
        },
        retry: step.retry.as_deref().map(retry_policy).unwrap_or_default(),
        rules: builder.add_rules(rules),
        limits: builder.add_limits(limits.iter().map(|name| Arc::from(name.as_str()))),
        cluster,
        startup_timeout_ms: step.startup_timeout.as_ref().and_then(to_ms),
        timeout_ms: step.timeout.as_ref().and_then(to_ms),
        has_condition: !step.when.is_empty(),
    }
}

/// The engine's form of a retry policy; what is out of range comes to lie at the range's end.
pub(crate) fn retry_policy(retry: &v1::RetryPolicy) -> RetryPolicy {
    let unset = RetryPolicy::default();
    let limit = |limit: u32| u16::try_from(limit.min(limits::RETRIES)).unwrap_or(u16::MAX);
    RetryPolicy {
        limit: limit(retry.limit),
        system_limit: retry.system_limit.map_or(unset.system_limit, limit),
        delay_ms: retry.delay.as_ref().and_then(to_ms).unwrap_or(unset.delay_ms),
        factor_permille: factor_permille(retry.factor),
        max_delay_ms: retry.max_delay.as_ref().and_then(to_ms).unwrap_or(unset.max_delay_ms),
        jitter_permille: permille(retry.jitter.clamp(0.0, 1.0)),
    }
}

/// What is done about failures, as the engine has it.
fn retry_rules(retry: &v1::RetryPolicy) -> Vec<RetryRule> {
    let reason = |reason| convert::failure_reason_from_proto(reason);
    let rule = |rule: &v1::RetryRule| RetryRule {
        reasons: rule.reasons().filter_map(reason).collect(),
        exit_codes: rule.exit_codes.iter().map(exit_codes).collect(),
        signals: rule.signals.clone(),
        action: match rule.action() {
            v1::RetryAction::Unspecified | v1::RetryAction::Retry => RetryAction::Retry,
            v1::RetryAction::Fail => RetryAction::Fail,
            v1::RetryAction::Ignore => RetryAction::Ignore,
        },
    };
    retry.rules.iter().map(rule).collect()
}

/// The exit codes that are meant.
pub(crate) fn exit_codes(codes: &v1::ExitCodeRange) -> RangeInclusive<i32> {
    codes.first..=codes.last.unwrap_or(codes.first)
}

/// A factor in whole thousandths; what is out of range comes to lie at the range's end.
pub(crate) fn factor_permille(factor: f64) -> u32 {
    permille(factor.clamp(1.0, limits::RETRY_FACTOR))
}

/// A fraction of at most 100 in whole thousandths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 100,000; NaN becomes 0"
)]
fn permille(fraction: f64) -> u32 {
    (fraction * 1000.0).round() as u32
}
