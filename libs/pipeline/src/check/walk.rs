//! What is kept while the steps are gone through, and the step that is being looked at.

use std::{collections::HashSet, fmt};

use super::{Place, Report, ViolationReason, Violations};
use crate::limits;

/// What is kept from step to step.
#[derive(Debug, Default)]
pub(super) struct Walk<'a> {
    pub(super) violations: Violations,
    /// How many there are so far, those implied by references included.
    pub(super) dependencies: usize,
    /// Room for names, so that not every step needs its own.
    pub(super) seen: HashSet<&'a str>,
}

impl Walk<'_> {
    /// All violations, and that of too many dependencies.
    pub(super) fn finish(mut self) -> Result<(), Violations> {
        if self.dependencies > limits::DEPENDENCIES {
            self.violations.add(
                ViolationReason::TooLarge,
                format_args!("steps"),
                format_args!(
                    "the steps have {} dependencies, and {} are the most; put a step between wide layers, \
                     for the one to wait for it and it for the other",
                    self.dependencies,
                    limits::DEPENDENCIES
                ),
            );
        }
        self.violations.into_result()
    }
}

/// The check of one step, which is named in all that is reported.
pub(super) struct StepCheck<'a, 'w> {
    pub(super) walk: &'w mut Walk<'a>,
    pub(super) place: Place<'w>,
}

impl Report for StepCheck<'_, '_> {
    fn add(
        &mut self,
        reason: ViolationReason,
        field: fmt::Arguments<'_>,
        message: fmt::Arguments<'_>,
    ) {
        self.walk.violations.add(
            reason,
            format_args!("{}.{field}", self.place.field()),
            format_args!("step {}: {message}", self.place.path()),
        );
    }
}

/// What is reported of a part of something larger.
pub(super) struct PartOf<'r, R> {
    pub(super) report: &'r mut R,
    /// The part's field.
    pub(super) field: &'static str,
}

impl<R: Report> Report for PartOf<'_, R> {
    fn add(
        &mut self,
        reason: ViolationReason,
        field: fmt::Arguments<'_>,
        message: fmt::Arguments<'_>,
    ) {
        self.report.add(reason, format_args!("{}.{field}", self.field), message);
    }
}
