//! Rules of one step.

use std::{collections::HashSet, fmt};

use windlass_proto::v1::{self, step::Work};

use super::{
    Report, ViolationReason, Violations,
    field::{self, Shortest},
    scope::Scope,
    task,
};
use crate::{compile, limits, name, quote::quote};

/// Checks all steps.
pub(super) fn check_all<'a>(
    pipeline: &'a v1::Pipeline,
    scope: &Scope<'a>,
    violations: &mut Violations,
) {
    let mut seen = HashSet::new();
    let mut dependencies = 0_usize;
    for (at, step) in pipeline.steps.iter().enumerate() {
        let mut report = StepReport { violations, at, name: &step.name };
        check(step, scope, &mut seen, &mut report);
        dependencies += compile::dependencies(step).count();
    }
    if dependencies > limits::DEPENDENCIES {
        violations.add(
            ViolationReason::TooLarge,
            format_args!("steps"),
            format_args!(
                "the steps have {dependencies} dependencies, and {} are the most; put a step between wide layers, \
                 for the one to wait for it and it for the other",
                limits::DEPENDENCIES
            ),
        );
    }
}

/// Names the step in all that is reported.
struct StepReport<'a> {
    violations: &'a mut Violations,
    at: usize,
    name: &'a str,
}

impl Report for StepReport<'_> {
    fn add(
        &mut self,
        reason: ViolationReason,
        field: fmt::Arguments<'_>,
        message: fmt::Arguments<'_>,
    ) {
        self.violations.add(
            reason,
            format_args!("steps[{}].{field}", self.at),
            format_args!("step {}: {message}", quote(self.name)),
        );
    }
}

/// `seen` is room for names, kept from step to step.
fn check<'a>(
    step: &'a v1::Step,
    scope: &Scope<'a>,
    seen: &mut HashSet<&'a str>,
    report: &mut impl Report,
) {
    field::description(report, format_args!("description"), &step.description);
    field::known::<v1::TriggerRule>(report, "trigger_rule", step.trigger_rule);
    field::duration(
        report,
        "startup_timeout",
        step.startup_timeout.as_ref(),
        Shortest::MoreThanZero,
    );
    field::duration(report, "timeout", step.timeout.as_ref(), Shortest::MoreThanZero);
    for (at, name) in step.depends_on.iter().enumerate() {
        scope.dependency(report, at, name);
    }
    if let Some(retry) = &step.retry {
        check_retry(retry, report);
    }
    check_outputs(&step.outputs, seen, report);
    match &step.work {
        Some(Work::Task(task)) => task::check(task, scope, seen, report),
        None => report.add(
            ViolationReason::MissingWork,
            format_args!("task"),
            format_args!("does nothing; give it a command"),
        ),
    }
}

fn check_outputs<'a>(outputs: &'a [String], seen: &mut HashSet<&'a str>, report: &mut impl Report) {
    field::count(report, format_args!("outputs"), "outputs", outputs.len(), limits::OUTPUTS);
    seen.clear();
    for (at, output) in outputs.iter().enumerate() {
        field::name(report, &name::IDENTIFIER, "an output", format_args!("outputs[{at}]"), output);
        if !seen.insert(output) {
            report.add(
                ViolationReason::DuplicateName,
                format_args!("outputs[{at}]"),
                format_args!("declares the output {} twice; remove one", quote(output)),
            );
        }
    }
}

fn check_retry(retry: &v1::RetryPolicy, report: &mut impl Report) {
    let most = limits::RETRIES;
    for (field, limit) in
        [("limit", retry.limit), ("system_limit", retry.system_limit.unwrap_or(0))]
    {
        if limit > most {
            report.add(
                ViolationReason::OutOfRange,
                format_args!("retry.{field}"),
                format_args!("`{field}` is {limit}; give a number from 0 to {most}"),
            );
        }
    }
    // Written so that NaN is refused.
    if !(retry.factor == 0.0 || (1.0..=limits::RETRY_FACTOR).contains(&retry.factor)) {
        report.add(
            ViolationReason::OutOfRange,
            format_args!("retry.factor"),
            format_args!(
                "`factor` is {}; give a number from 1 to {}",
                retry.factor,
                limits::RETRY_FACTOR
            ),
        );
    }
    if !(0.0..=1.0).contains(&retry.jitter) {
        report.add(
            ViolationReason::OutOfRange,
            format_args!("retry.jitter"),
            format_args!("`jitter` is {}; give a number from 0 to 1", retry.jitter),
        );
    }
    field::duration(report, "retry.delay", retry.delay.as_ref(), Shortest::Zero);
    field::duration(report, "retry.max_delay", retry.max_delay.as_ref(), Shortest::Zero);
    let policy = compile::retry_policy(retry);
    if policy.delay_ms > policy.max_delay_ms {
        report.add(
            ViolationReason::OutOfRange,
            format_args!("retry.delay"),
            format_args!("`delay` is longer than `max_delay` (one hour where it is not given); raise `max_delay`"),
        );
    }
}
