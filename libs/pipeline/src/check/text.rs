//! Rules of texts that may hold references.

use std::fmt;

use prost_types::{Value, value::Kind};

use super::{
    Report as _, ViolationReason,
    scope::{Mention, Scope},
    walk::StepCheck,
};
use crate::{
    quote::quote,
    template::{Part, Reference, Template, TemplateError, parts},
};

/// Checks a text of a program, of at most so many bytes.
pub(super) fn text<'a>(
    check: &mut StepCheck<'a, '_>,
    scope: &Scope<'a, '_>,
    field: fmt::Arguments<'_>,
    text: &str,
    most: usize,
) {
    if text.len() > most {
        return check.add(
            ViolationReason::TooLarge,
            field,
            format_args!(
                "{} has {} bytes, and {most} are the most; pass it by file",
                quote(text),
                text.len()
            ),
        );
    }
    if text.contains('\0') {
        check.add(
            ViolationReason::InvalidText,
            field,
            format_args!(
                "{} holds a NUL character, which no program can be given; remove it",
                quote(text)
            ),
        );
    }
    references(check, scope, field, text);
}

/// Checks a reference that is looked up before any program runs.
pub(super) fn early_reference<'a>(
    check: &mut StepCheck<'a, '_>,
    scope: &Scope<'a, '_>,
    field: fmt::Arguments<'_>,
    reference: Reference<'_>,
) {
    if matches!(reference, Reference::StepName | Reference::StepAttempt) {
        check.add(
            ViolationReason::InvalidReference,
            field,
            format_args!("`{reference}`: only steps that run a program know it; refer to it there"),
        );
    }
    let waits = scope.reference(check, field, Mention::Text(reference));
    check.walk.dependencies += usize::from(waits);
}

/// Checks the references of a text.
pub(super) fn references<'a>(
    check: &mut StepCheck<'a, '_>,
    scope: &Scope<'a, '_>,
    field: fmt::Arguments<'_>,
    text: &str,
) {
    for part in parts(text) {
        match part {
            Ok(Part::Literal(_)) => {}
            Ok(Part::Reference(reference)) => {
                let waits = scope.reference(check, field, Mention::Text(reference));
                check.walk.dependencies += usize::from(waits);
            }
            Err(error) => {
                check.add(ViolationReason::InvalidReference, field, format_args!("{error}"));
            }
        }
    }
}

/// The reference that a text is.
///
/// # Errors
///
/// What is wrong with it where it is meant to be one; none where it is another text.
pub(super) fn single(text: &str) -> Result<Reference<'_>, Option<TemplateError>> {
    Template::parse(text).map_err(Some)?.as_reference().ok_or(None)
}

/// A text somewhere in a value that would be a reference where references may stand.
pub(super) fn with_reference(value: &Value) -> Option<&str> {
    match &value.kind {
        Some(Kind::StringValue(text)) => text.contains("${{").then_some(text),
        Some(Kind::ListValue(list)) => list.values.iter().find_map(with_reference),
        Some(Kind::StructValue(fields)) => fields.fields.values().find_map(with_reference),
        _ => None,
    }
}
