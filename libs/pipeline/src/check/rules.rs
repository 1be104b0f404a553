//! Rules of what is done about failures: each says something, and none contradicts what is around it.

use std::fmt;

use windlass_engine::reason::{FailureReason, Fault};
use windlass_proto::{
    convert,
    v1::{self, Reason, RetryAction},
};

use super::{Report, ViolationReason, field};
use crate::{compile, limits};

/// Checks the retry rules of a step.
pub(super) fn check(retry: &v1::RetryPolicy, report: &mut impl Report) {
    let rules = &retry.rules;
    field::count(report, format_args!("retry.rules"), "rules", rules.len(), limits::RETRY_RULES);
    let mut before = Listed::default();
    for (at, rule) in rules.iter().enumerate().take(limits::RETRY_RULES) {
        let Some(listed) = check_rule(at, rule, report) else { continue };
        if listed.lies_in(&before) {
            report.add(
                ViolationReason::Unreachable,
                format_args!("retry.rules[{at}]"),
                format_args!(
                    "rules before this one decide about all that it lists; move it up, or remove it"
                ),
            );
        } else if rule.action() == RetryAction::Retry {
            check_budgets(at, &listed, retry, report);
        }
        before.add(&listed);
    }
}

/// Which rule decides about attempts that ran out of memory, and what it says; none where no rule does.
pub(super) fn about_memory(retry: &v1::RetryPolicy) -> Option<(usize, RetryAction)> {
    let lists_it = |rule: &v1::RetryRule| rule.reasons().any(|it| it == Reason::OutOfMemory);
    let at = retry.rules.iter().position(lists_it)?;
    Some((at, retry.rules[at].action()))
}

/// What a rule lists, where that is in order.
fn check_rule(at: usize, rule: &v1::RetryRule, report: &mut impl Report) -> Option<Listed> {
    let mut listed = Listed::default();
    let mut is_sound = true;
    for (place, reason) in rule.reasons.iter().enumerate() {
        let field = format_args!("retry.rules[{at}].reasons[{place}]");
        is_sound &= add_reason(*reason, &mut listed, field, report);
    }
    for (place, codes) in rule.exit_codes.iter().enumerate() {
        let field = format_args!("retry.rules[{at}].exit_codes[{place}]");
        is_sound &= add_codes(*codes, &mut listed, field, report);
    }
    for (place, signal) in rule.signals.iter().enumerate() {
        if let Ok(signal @ 1..=64) = u32::try_from(*signal) {
            listed.add_signal(signal);
        } else {
            is_sound = false;
            report.add(
                ViolationReason::OutOfRange,
                format_args!("retry.rules[{at}].signals[{place}]"),
                format_args!("{signal} is no signal; give a number from 1 to 64"),
            );
        }
    }
    if rule.reasons.is_empty() && rule.exit_codes.is_empty() && rule.signals.is_empty() {
        is_sound = false;
        report.add(
            ViolationReason::EmptyRule,
            format_args!("retry.rules[{at}]"),
            format_args!("lists no failure; give it `reasons`, `exit_codes` or `signals`"),
        );
    }
    let field = format_args!("retry.rules[{at}].action");
    match RetryAction::try_from(rule.action) {
        Ok(RetryAction::Unspecified) => report.add(
            ViolationReason::EmptyRule,
            field,
            format_args!(
                "the rule does not say what is done; give it the `action` retry, fail or ignore"
            ),
        ),
        Ok(_) => {}
        Err(_) => report.add(
            ViolationReason::UnknownValue,
            field,
            format_args!(
                "`action` is {}, which means nothing; the sender may be newer than this server",
                rule.action
            ),
        ),
    }
    is_sound.then_some(listed)
}

/// Whether the reason is one of an attempt's failure.
fn add_reason(
    number: i32,
    listed: &mut Listed,
    field: fmt::Arguments<'_>,
    report: &mut impl Report,
) -> bool {
    match Reason::try_from(number).map(|it| (it, convert::failure_reason_from_proto(it))) {
        Ok((_, Some(reason))) if is_of_attempts(reason) => {
            listed.add_reason(reason, number);
            return true;
        }
        Ok((reason, _)) => report.add(
            ViolationReason::UnknownValue,
            field,
            format_args!(
                "`{}` does not tell how an attempt failed; use one that does, such as REASON_EXIT_CODE",
                reason.as_str_name()
            ),
        ),
        Err(_) => report.add(
            ViolationReason::UnknownValue,
            field,
            format_args!("{number} is no reason; the sender may be newer than this server"),
        ),
    }
    false
}

/// Whether it is how an attempt fails. A step fails by the others without one.
fn is_of_attempts(reason: FailureReason) -> bool {
    !matches!(reason, FailureReason::ExpressionInvalid | FailureReason::Rejected)
}

/// Whether there are such exit codes.
fn add_codes(
    codes: v1::ExitCodeRange,
    listed: &mut Listed,
    field: fmt::Arguments<'_>,
    report: &mut impl Report,
) -> bool {
    let (first, last) = compile::exit_codes(&codes).into_inner();
    let mut refuse = |message| {
        report.add(ViolationReason::OutOfRange, field, message);
        false
    };
    match (u8::try_from(first), u8::try_from(last)) {
        (Ok(0), _) | (_, Ok(0)) => {
            refuse(format_args!("an exit code of 0 is no failure; give codes from 1 to 255"))
        }
        (Ok(first), Ok(last)) if first <= last => {
            listed.add_codes(first, last);
            true
        }
        (Ok(_), Ok(_)) => {
            refuse(format_args!("the exit codes {first}-{last} go backwards; write {last}-{first}"))
        }
        _ => {
            let wrong = if u8::try_from(first).is_ok() { last } else { first };
            refuse(format_args!("{wrong} is no exit code; give codes from 1 to 255"))
        }
    }
}

/// A rule that has failures retried is for failures that may be.
fn check_budgets(at: usize, listed: &Listed, retry: &v1::RetryPolicy, report: &mut impl Report) {
    let policy = compile::retry_policy(retry);
    for (limit, budget, uses_it, whose) in [
        ("limit", policy.limit, listed.own, "the step's own"),
        ("system_limit", policy.system_limit, listed.system, "not the step's own"),
    ] {
        if uses_it && budget == 0 {
            report.add(
                ViolationReason::Contradiction,
                format_args!("retry.rules[{at}].action"),
                format_args!(
                    "the rule has failures retried that are {whose}, and `{limit}` is 0, so that none of them is; \
                     raise `{limit}`, or have the rule say fail"
                ),
            );
        }
    }
}

/// Failures that rules list.
#[derive(Debug, Clone, Copy, Default)]
struct Listed {
    /// By the contract's numbers, exit codes and signals left out.
    reasons: u64,
    exit_codes: [u64; 4],
    signals: u64,
    /// Whether any counts against the budget of the step's own failures.
    own: bool,
    /// Whether any counts against the other budget.
    system: bool,
}

impl Listed {
    fn add_reason(&mut self, reason: FailureReason, number: i32) {
        match reason {
            FailureReason::ExitCode => self.add_codes(1, u8::MAX),
            FailureReason::Signal => self.signals = u64::MAX,
            _ => self.reasons |= 1 << number,
        }
        self.own |= reason.fault() == Fault::Step;
        self.system |= reason.fault() == Fault::System;
    }

    fn add_signal(&mut self, signal: u32) {
        self.signals |= 1 << (signal - 1);
        self.own = true;
    }

    fn add_codes(&mut self, first: u8, last: u8) {
        self.own = true;
        for code in first..=last {
            self.exit_codes[usize::from(code / 64)] |= 1 << (code % 64);
        }
    }

    fn add(&mut self, other: &Self) {
        self.reasons |= other.reasons;
        self.signals |= other.signals;
        for (codes, others) in self.exit_codes.iter_mut().zip(other.exit_codes) {
            *codes |= others;
        }
    }

    fn lies_in(&self, other: &Self) -> bool {
        let codes = self.exit_codes.iter().zip(other.exit_codes);
        self.reasons & !other.reasons == 0
            && self.signals & !other.signals == 0
            && codes.into_iter().all(|(codes, others)| codes & !others == 0)
    }
}
