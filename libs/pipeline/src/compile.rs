//! From a pipeline to the engine's graph, and to what readers need to name its steps.

use std::{collections::HashMap, fmt, num::NonZeroU32};

use prost::DecodeError;
use windlass_engine::{
    graph::{Cycle, Graph, GraphBuilder},
    policy::{FailureMode, RetryPolicy, RunPolicy, StepPolicy, TriggerRule},
    record::StepIndex,
};
use windlass_proto::{
    encoded::EncodedPipeline,
    v1::{self, step::Work},
};

pub use crate::step_names::StepNames;
use crate::{
    check::{Report as _, ViolationReason, Violations},
    duration::to_ms,
    limits,
    quote::quote,
    template::{self, Reference},
};

/// Compiles a pipeline. `jitter_seed` makes this run's retry delays differ from those of other runs.
///
/// A step waits for what it names in `depends_on`, and for every step whose output it refers to.
///
/// # Errors
///
/// A dependency on a step that does not exist, or a cycle. A pipeline that passed [`check`](crate::check::check) has
/// neither.
pub fn graph(pipeline: &v1::Pipeline, jitter_seed: u64) -> Result<Graph, Violations> {
    let mut builder = GraphBuilder::new(run_policy(pipeline, jitter_seed));
    let mut indexes = HashMap::with_capacity(pipeline.steps.len());
    for step in &pipeline.steps {
        indexes.insert(step.name.as_str(), builder.add_step(step_policy(step)));
    }
    for (at, step) in (0..).zip(&pipeline.steps) {
        add_dependencies(&mut builder, at, step, |name| indexes.get(name).copied())?;
    }
    drop(indexes);
    let name = |step: StepIndex| pipeline.steps.get(step.0 as usize).map(|step| step.name.clone());
    builder.build().map_err(|cycle| describe(&cycle, &name))
}

/// The same of a pipeline that stays encoded: steps are decoded one at a time, which takes a tenth of the memory.
pub fn graph_of_encoded(
    pipeline: &EncodedPipeline,
    jitter_seed: u64,
) -> Result<Graph, CompileError> {
    let mut builder = GraphBuilder::new(run_policy(pipeline.head(), jitter_seed));
    let mut indexes = HashMap::with_capacity(pipeline.len());
    for step in pipeline.steps() {
        let step = step?;
        let index = builder.add_step(step_policy(&step));
        indexes.insert(step.name, index);
    }
    for (at, step) in (0..).zip(pipeline.steps()) {
        add_dependencies(&mut builder, at, &step?, |name| indexes.get(name).copied())?;
    }
    drop(indexes);
    let name = |step: StepIndex| Some(pipeline.step(step.0)?.ok()?.name);
    Ok(builder.build().map_err(|cycle| describe(&cycle, &name))?)
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

fn add_dependencies(
    builder: &mut GraphBuilder,
    at: u32,
    step: &v1::Step,
    find: impl Fn(&str) -> Option<StepIndex>,
) -> Result<(), Violations> {
    for name in dependencies(step) {
        let on = find(name).ok_or_else(|| unknown(at, step, name))?;
        builder.add_dependency(StepIndex(at), on);
    }
    Ok(())
}

/// The names of the steps that a step waits for, as it gives them: what is named twice comes twice.
pub(crate) fn dependencies(step: &v1::Step) -> impl Iterator<Item = &str> {
    let named = step.depends_on.iter().map(String::as_str);
    let implied = step.work.iter().flat_map(|Work::Task(task)| {
        let texts =
            task.command.iter().chain(&task.args).chain(task.env.iter().map(|var| &var.value));
        texts.chain([&task.working_dir]).flat_map(|text| template::references(text))
    });
    named.chain(implied.filter_map(|reference| match reference {
        Reference::Output { step, .. } => Some(step),
        _ => None,
    }))
}

fn unknown(at: u32, step: &v1::Step, name: &str) -> Violations {
    let mut violations = Violations::default();
    violations.add(
        ViolationReason::UnknownDependency,
        format_args!("steps[{at}]"),
        format_args!(
            "step {}: waits for {}, which is no step; correct the name",
            quote(&step.name),
            quote(name)
        ),
    );
    violations
}

fn describe(cycle: &Cycle, name: &dyn Fn(StepIndex) -> Option<String>) -> Violations {
    let mut violations = Violations::default();
    let circle = Circle { cycle, name };
    let first = cycle.steps.first().map_or(0, |step| step.0);
    let field = format_args!("steps[{first}].depends_on");
    if cycle.steps.len() == 1 {
        let message = format_args!("a step waits for itself: {circle}; remove that dependency");
        violations.add(ViolationReason::Cycle, field, message);
    } else {
        let message = format_args!(
            "steps wait for each other in a circle: {circle}; remove one of these dependencies"
        );
        violations.add(ViolationReason::Cycle, field, message);
    }
    violations
}

/// Displays a cycle as `a -> b -> a`, the middle of a long one left out.
struct Circle<'a> {
    cycle: &'a Cycle,
    name: &'a dyn Fn(StepIndex) -> Option<String>,
}

impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More names help nobody.
        const SHOWN: usize = 10;
        let name = |step: &StepIndex| (self.name)(*step).unwrap_or_default();
        let steps = &self.cycle.steps;
        f.write_str("`")?;
        for step in steps.iter().take(SHOWN) {
            write!(f, "{} -> ", name(step))?;
        }
        if steps.len() > SHOWN {
            write!(f, "({} more) -> ", steps.len() - SHOWN)?;
        }
        write!(f, "{}`", steps.first().map(name).unwrap_or_default())
    }
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
        jitter_seed,
    }
}

fn step_policy(step: &v1::Step) -> StepPolicy {
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
        startup_timeout_ms: step.startup_timeout.as_ref().and_then(to_ms),
        timeout_ms: step.timeout.as_ref().and_then(to_ms),
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
        factor_permille: permille(retry.factor.clamp(1.0, limits::RETRY_FACTOR)),
        max_delay_ms: retry.max_delay.as_ref().and_then(to_ms).unwrap_or(unset.max_delay_ms),
        jitter_permille: permille(retry.jitter.clamp(0.0, 1.0)),
    }
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
