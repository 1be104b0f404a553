//! Rules that many fields share.

use std::fmt;

use prost_types::Duration;

use super::{Report, ViolationReason};
use crate::{duration, limits, name::NameRule, quote::quote};

/// Checks a name. `what` tells whose it is.
pub(super) fn name(
    report: &mut impl Report,
    rule: &NameRule,
    what: &str,
    field: fmt::Arguments<'_>,
    name: &str,
) {
    if name.is_empty() {
        report.add(
            ViolationReason::InvalidName,
            field,
            format_args!("{what} has no name; give it one of {}", rule.words),
        );
    } else if !rule.allows(name) {
        report.add(
            ViolationReason::InvalidName,
            field,
            format_args!("{} is no lawful name of {what}; use {}", quote(name), rule.words),
        );
    }
}

/// The key of a map as it stands in a field's path.
pub(super) fn key(key: &str) -> String {
    key.chars().take(limits::NAME_CHARS).collect()
}

/// Checks a description.
pub(super) fn description(report: &mut impl Report, field: fmt::Arguments<'_>, text: &str) {
    let most = limits::DESCRIPTION_CHARS;
    if text.len() > most && text.chars().count() > most {
        report.add(
            ViolationReason::TooLarge,
            field,
            format_args!("the description is longer than {most} characters; shorten it"),
        );
    }
}

/// Checks a list's length.
pub(super) fn count(
    report: &mut impl Report,
    field: fmt::Arguments<'_>,
    what: &str,
    count: usize,
    most: usize,
) {
    if count > most {
        report.add(
            ViolationReason::TooLarge,
            field,
            format_args!("there are {count} {what}, and {most} are the most; have fewer"),
        );
    }
}

/// The shortest that a duration may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortest {
    /// No time at all is a lawful choice.
    Zero,
    /// No time at all would leave nothing to do.
    MoreThanZero,
}

/// Checks a duration, where there is one.
pub(super) fn duration(
    report: &mut impl Report,
    field: &str,
    duration: Option<&Duration>,
    shortest: Shortest,
) {
    let Some(duration) = duration else { return };
    let what = field.rsplit('.').next().unwrap_or(field);
    let mut refuse = |message: fmt::Arguments<'_>| {
        report.add(ViolationReason::InvalidDuration, format_args!("{field}"), message);
    };
    match duration::to_ms(duration) {
        None if duration.seconds < 0 || duration.nanos < 0 => {
            refuse(format_args!("`{what}` is negative; give a duration above 0"));
        }
        None => {
            refuse(format_args!("`{what}` is no duration; nanoseconds go from 0 to 999,999,999"));
        }
        Some(0) if shortest == Shortest::MoreThanZero => {
            refuse(format_args!("`{what}` is 0; leave it out for no time-out"));
        }
        Some(ms) if ms > limits::DURATION_SECONDS.unsigned_abs() * 1000 => {
            refuse(format_args!("`{what}` is longer than 30 days (720h); shorten it"));
        }
        Some(_) => {}
    }
}

/// Checks the number of an enum.
pub(super) fn known<E: TryFrom<i32>>(report: &mut impl Report, field: &str, number: i32) {
    if E::try_from(number).is_err() {
        report.add(
            ViolationReason::UnknownValue,
            format_args!("{field}"),
            format_args!("`{field}` is {number}, which means nothing; the sender may be newer than this server"),
        );
    }
}
