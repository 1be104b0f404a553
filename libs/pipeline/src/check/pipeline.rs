//! Rules of the pipeline as a whole.

use std::fmt;

use prost::Message as _;
use windlass_proto::{
    codec,
    v1::{self, step::Work},
};

use super::{
    Report as _, ViolationReason, Violations,
    field::{self, Shortest},
};
use crate::{limits, name, quote::quote};

pub(super) fn check(pipeline: &v1::Pipeline, violations: &mut Violations) {
    field::name(violations, &name::PIPELINE, "a pipeline", format_args!("name"), &pipeline.name);
    field::description(violations, format_args!("description"), &pipeline.description);
    field::known::<v1::FailureMode>(violations, "failure_mode", pipeline.failure_mode);
    field::duration(violations, "start_gap", pipeline.start_gap.as_ref(), Shortest::Zero);
    field::duration(violations, "timeout", pipeline.timeout.as_ref(), Shortest::MoreThanZero);
    labels(pipeline, violations);
    priority(pipeline.priority, violations);
    if pipeline.steps.is_empty() {
        violations.add(
            ViolationReason::EmptyPipeline,
            format_args!("steps"),
            format_args!("the pipeline has no steps; add at least one"),
        );
    }
}

fn priority(priority: i32, violations: &mut Violations) {
    let most = limits::PRIORITY;
    if !(-most..=most).contains(&priority) {
        violations.add(
            ViolationReason::OutOfRange,
            format_args!("priority"),
            format_args!("the priority is {priority}; give one from -{most} to {most}"),
        );
    }
}

fn labels(pipeline: &v1::Pipeline, violations: &mut Violations) {
    field::count(
        violations,
        format_args!("labels"),
        "labels",
        pipeline.labels.len(),
        limits::LABELS,
    );
    for (key, value) in &pipeline.labels {
        if !name::LABEL.allows(key) || !(value.is_empty() || name::LABEL.allows(value)) {
            violations.add(
                ViolationReason::InvalidName,
                format_args!("labels[{}]", field::key(key)),
                format_args!(
                    "the label {} = {} is unlawful; use {} in each",
                    quote(key),
                    quote(value),
                    name::LABEL.words
                ),
            );
        }
    }
}

/// Servers count steps before they decode them.
const _: () = assert!(limits::STEPS == codec::STEPS_MAX, "one rule, in two places");

/// Whether looking at the parts would take too long.
pub(super) fn is_too_large(pipeline: &v1::Pipeline, violations: &mut Violations) -> bool {
    let mut refuse = |message: fmt::Arguments<'_>| {
        violations.add(ViolationReason::TooLarge, format_args!("steps"), message);
        true
    };
    let count = sum(&pipeline.steps, limits::NESTING, &|_| 1)
        + sum(&pipeline.exit_steps, limits::NESTING, &|_| 1);
    if count > limits::STEPS {
        let most = limits::STEPS;
        return refuse(format_args!(
            "the pipeline has {count} steps, and {most} are the most; split it"
        ));
    }
    let bytes = pipeline.encoded_len();
    if bytes > limits::PIPELINE_BYTES {
        return refuse(format_args!(
            "the pipeline has {bytes} bytes encoded, and {} are the most; split it",
            limits::PIPELINE_BYTES
        ));
    }
    let conditions = sum(&pipeline.steps, limits::NESTING, &|step| step.when.len())
        + sum(&pipeline.exit_steps, limits::NESTING, &|step| step.when.len());
    if conditions > limits::CONDITIONS_BYTES {
        return refuse(format_args!(
            "the conditions of all steps have {conditions} bytes together, and {} are the most; \
             put steps with the same condition into a group that has it",
            limits::CONDITIONS_BYTES
        ));
    }
    false
}

/// Something of all steps of a list and of those that lie in them, so many levels deep.
fn sum(steps: &[v1::Step], levels: usize, of: &impl Fn(&v1::Step) -> usize) -> usize {
    let below = levels.checked_sub(1);
    let within = |step: &v1::Step| match (&step.work, below) {
        (Some(Work::Group(group)), Some(below)) => sum(&group.steps, below, of),
        (Some(Work::Branches(branches)), Some(below)) => sum(&branches.branches, below, of),
        _ => 0,
    };
    steps.iter().map(|step| of(step) + within(step)).sum()
}
