//! How failures are tried again.

use windlass_proto::v1::{self, Reason};

use super::{Converter, duration};
use crate::{
    check::{Place, ViolationReason},
    file::{
        entry::RetryEntry,
        format::{self, FailureReason},
        quantity::Memory,
        rules::{ExitCodes, Signal},
    },
};

impl Converter<'_, '_> {
    pub(super) fn retry_policy(
        &mut self,
        place: Place<'_>,
        RetryEntry(retry): &RetryEntry,
    ) -> v1::RetryPolicy {
        for (field, name, factor) in [
            ("retry.factor", "factor", retry.factor),
            ("retry.memory_factor", "memory_factor", retry.memory_factor),
        ] {
            if factor == Some(0.0) {
                // The contract takes 0 for "not given", and nobody who writes it means that.
                self.refuse(
                    place,
                    ViolationReason::OutOfRange,
                    field,
                    format_args!("`{name}` is 0; give a number from 1 to 100"),
                );
            }
        }
        v1::RetryPolicy {
            limit: retry.limit.unwrap_or(0),
            delay: duration(retry.delay),
            factor: retry.factor.unwrap_or(0.0),
            max_delay: duration(retry.max_delay),
            jitter: retry.jitter.unwrap_or(0.0),
            system_limit: retry.system_limit,
            rules: retry.rules.iter().map(rule).collect(),
            memory_factor: retry.memory_factor.unwrap_or(0.0),
            max_memory_bytes: retry.max_memory.map_or(0, |Memory(bytes)| bytes),
        }
    }
}

fn rule(rule: &format::RetryRule) -> v1::RetryRule {
    let reasons = rule.reasons.iter().map(|it| reason(*it).into());
    let exit_codes = rule
        .exit_codes
        .iter()
        .map(|ExitCodes { first, last }| v1::ExitCodeRange { first: *first, last: Some(*last) });
    let action = match rule.action {
        format::RetryAction::Retry => v1::RetryAction::Retry,
        format::RetryAction::Fail => v1::RetryAction::Fail,
        format::RetryAction::Ignore => v1::RetryAction::Ignore,
    };
    v1::RetryRule {
        reasons: reasons.collect(),
        exit_codes: exit_codes.collect(),
        signals: rule.signals.iter().map(|Signal(number)| *number).collect(),
        action: action.into(),
    }
}

fn reason(reason: FailureReason) -> Reason {
    match reason {
        FailureReason::ExitCode => Reason::ExitCode,
        FailureReason::Signal => Reason::Signal,
        FailureReason::OutOfMemory => Reason::OutOfMemory,
        FailureReason::Timeout => Reason::Timeout,
        FailureReason::CannotStart => Reason::CannotStart,
        FailureReason::OutputInvalid => Reason::OutputInvalid,
        FailureReason::StartupTimeout => Reason::StartupTimeout,
        FailureReason::Lost => Reason::Lost,
        FailureReason::LaunchFailed => Reason::LaunchFailed,
        FailureReason::Evicted => Reason::Evicted,
        FailureReason::ImagePull => Reason::ImagePull,
        FailureReason::Preempted => Reason::Preempted,
        FailureReason::Deleted => Reason::Deleted,
        FailureReason::InitFailed => Reason::InitFailed,
        FailureReason::ConfigInvalid => Reason::ConfigInvalid,
        FailureReason::Refused => Reason::Refused,
    }
}
