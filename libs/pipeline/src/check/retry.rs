//! Rules of how failures are tried again.

use std::fmt;

use windlass_proto::v1;

use super::{
    Report, ViolationReason,
    field::{self, Shortest},
    rules,
};
use crate::{compile, limits};

/// Checks what is done about failures of a step whose attempts may use so much memory.
pub(super) fn check(retry: &v1::RetryPolicy, memory_bytes: u64, report: &mut impl Report) {
    check_delays(retry, report);
    rules::check(retry, report);
    check_memory(retry, memory_bytes, report);
}

fn check_delays(retry: &v1::RetryPolicy, report: &mut impl Report) {
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
    check_factor("factor", retry.factor, report);
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

fn check_factor(name: &str, factor: f64, report: &mut impl Report) {
    // Written so that NaN is refused.
    if !(factor == 0.0 || (1.0..=limits::RETRY_FACTOR).contains(&factor)) {
        report.add(
            ViolationReason::OutOfRange,
            format_args!("retry.{name}"),
            format_args!("`{name}` is {factor}; give a number from 1 to {}", limits::RETRY_FACTOR),
        );
    }
}

/// Checks how memory is raised.
fn check_memory(retry: &v1::RetryPolicy, memory_bytes: u64, report: &mut impl Report) {
    check_factor("memory_factor", retry.memory_factor, report);
    let most = retry.max_memory_bytes;
    let mut contradict = |field: &str, message: fmt::Arguments<'_>| {
        report.add(ViolationReason::Contradiction, format_args!("retry.{field}"), message);
    };
    if retry.memory_factor == 0.0 {
        if most > 0 {
            contradict(
                "max_memory_bytes",
                format_args!(
                    "`max_memory` limits what nothing raises; give a `memory_factor`, or leave it out"
                ),
            );
        }
        return;
    }
    if memory_bytes == 0 {
        contradict(
            "memory_factor",
            format_args!(
                "`memory_factor` raises the step's memory, and the step has no limit of it; give it `resources` with `memory`"
            ),
        );
    } else if most > 0 && most < memory_bytes {
        contradict(
            "max_memory_bytes",
            format_args!("`max_memory` is below the `memory` that the step begins with; raise it"),
        );
    }
    if retry.limit == 0 {
        contradict(
            "memory_factor",
            format_args!(
                "`memory_factor` is for retries, and `limit` is 0, so that there are none; raise `limit`"
            ),
        );
    }
    if let Some((at, action)) = rules::about_memory(retry)
        && matches!(action, v1::RetryAction::Fail | v1::RetryAction::Ignore)
    {
        contradict(
            "memory_factor",
            format_args!(
                "`memory_factor` is for retries of attempts that ran out of memory, and rule {} keeps them from being \
                 retried; change the rule's `action` to retry, or leave `memory_factor` out",
                at + 1
            ),
        );
    }
}
