//! Rules of a loop.

use prost_types::ListValue;
use windlass_proto::v1::{ForEach, ParameterType, for_each::Items};

use super::{Report as _, ViolationReason, scope::Scope, text, walk::StepCheck};
use crate::{limits, quote::quote, value};

/// Checks a loop, whose items are found in the list that `scope` begins with.
pub(super) fn check<'a>(for_each: &ForEach, scope: &Scope<'a, '_>, check: &mut StepCheck<'a, '_>) {
    match &for_each.items {
        None => refuse(
            check,
            format_args!(
                "`for_each` says nothing of the items; give it a list, a number, or a reference to a list"
            ),
        ),
        Some(Items::List(list)) => {
            check_count(list.values.len(), check);
            check_list(list, check);
        }
        Some(Items::Count(count)) => check_count(*count as usize, check),
        Some(Items::Reference(reference)) => check_reference(reference, scope, check),
    }
}

fn refuse(check: &mut StepCheck<'_, '_>, message: std::fmt::Arguments<'_>) {
    check.add(ViolationReason::InvalidItems, format_args!("for_each.items"), message);
}

fn check_count(count: usize, check: &mut StepCheck<'_, '_>) {
    let most = limits::ITEMS;
    if count > most {
        check.add(
            ViolationReason::TooLarge,
            format_args!("for_each.items"),
            format_args!(
                "the loop has {count} items, and {most} are the most; let each item stand for several"
            ),
        );
    }
}

fn check_list(list: &ListValue, check: &mut StepCheck<'_, '_>) {
    for (at, item) in list.values.iter().enumerate() {
        if !value::is_finite(item) {
            refuse(check, format_args!("item {at} holds a number that is not finite; correct it"));
        }
        if !value::is_shallow(item) {
            check.add(
                ViolationReason::TooLarge,
                format_args!("for_each.items"),
                format_args!(
                    "item {at} is nested deeper than {} levels; flatten it",
                    limits::VALUE_DEPTH
                ),
            );
        }
        if let Some(text) = text::with_reference(item) {
            refuse(
                check,
                format_args!(
                    "item {at} holds {}, but items that are written out are taken as they are; put the reference into the \
                     step, or loop over a reference to a list",
                    quote(text)
                ),
            );
        }
    }
}

fn check_reference<'a>(text: &str, scope: &Scope<'a, '_>, check: &mut StepCheck<'a, '_>) {
    let reference = match text::single(text) {
        Ok(reference) => reference,
        Err(Some(error)) => return refuse(check, format_args!("{error}")),
        Err(None) => {
            let message = "is no list; write a list, a number, or exactly one reference to a list, such as \
                           `${{ steps.NAME.outputs.NAME }}`";
            return refuse(check, format_args!("{} {message}", quote(text)));
        }
    };
    text::early_reference(check, scope, format_args!("for_each.items"), reference);
    // An object may be a list file.
    let is_listed =
        |kind: &ParameterType| matches!(kind, ParameterType::List | ParameterType::Object);
    if let Some(kind) = scope.kind(reference).filter(|kind| !is_listed(kind)) {
        refuse(
            check,
            format_args!(
                "`{reference}` is {}, and a loop needs a list; refer to a list",
                value::describe(kind)
            ),
        );
    }
}
