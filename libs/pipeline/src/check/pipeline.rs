//! Rules of the pipeline as a whole.

use prost::Message as _;
use windlass_proto::{codec, v1};

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
    if pipeline.steps.is_empty() {
        violations.add(
            ViolationReason::EmptyPipeline,
            format_args!("steps"),
            format_args!("the pipeline has no steps; add at least one"),
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
                format_args!(
                    "labels[{}]",
                    key.chars().take(limits::NAME_CHARS).collect::<String>()
                ),
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
    if pipeline.steps.len() > limits::STEPS {
        violations.add(
            ViolationReason::TooLarge,
            format_args!("steps"),
            format_args!(
                "the pipeline has {} steps, and {} are the most; split it",
                pipeline.steps.len(),
                limits::STEPS
            ),
        );
        return true;
    }
    let bytes = pipeline.encoded_len();
    if bytes > limits::PIPELINE_BYTES {
        violations.add(
            ViolationReason::TooLarge,
            format_args!("steps"),
            format_args!(
                "the pipeline has {bytes} bytes encoded, and {} are the most; split it",
                limits::PIPELINE_BYTES
            ),
        );
        return true;
    }
    false
}
