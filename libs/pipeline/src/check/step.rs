//! Rules of one step, whatever its work is.

use windlass_proto::v1::{self, step::Work};

use super::{
    List, Place, Report as _, ViolationReason, branches,
    field::{self, Shortest},
    for_each, group, retry,
    scope::{Mention, Scope},
    task,
    walk::{StepCheck, Walk},
};
use crate::{
    condition::{Condition, ConditionError},
    limits, name,
    quote::quote,
};

/// Checks the steps of a list.
pub(super) fn check_all<'a>(
    list: List<'_>,
    steps: &'a [v1::Step],
    scope: &Scope<'a, '_>,
    walk: &mut Walk<'a>,
) {
    for (at, step) in steps.iter().enumerate() {
        let place = Place { list, at, name: &step.name };
        check(step, scope, &mut StepCheck { walk, place });
    }
}

/// Checks a step, which stands in the list that `scope` begins with.
pub(super) fn check<'a>(step: &'a v1::Step, scope: &Scope<'a, '_>, check: &mut StepCheck<'a, '_>) {
    field::description(check, format_args!("description"), &step.description);
    field::known::<v1::TriggerRule>(check, "trigger_rule", step.trigger_rule);
    for (at, name) in step.depends_on.iter().enumerate() {
        scope.dependency(check, at, name);
    }
    check.walk.dependencies += step.depends_on.len();
    check_when(&step.when, scope, check);
    if is_too_deep(step, check) {
        return;
    }
    let in_loop = scope.in_loop(&step.name);
    let each = match &step.for_each {
        Some(for_each) => {
            for_each::check(for_each, scope, check);
            &in_loop
        }
        None => scope,
    };
    match &step.work {
        Some(Work::Task(task)) => {
            check_attempts(step, task, check);
            task::check(task, each, check);
        }
        Some(Work::Group(group)) => {
            refuse_attempts(step, "the steps of the group", check);
            group::check(group, &step.name, each, check);
        }
        Some(Work::Branches(branches)) => {
            refuse_attempts(step, "the branches", check);
            branches::check(&branches.branches, &step.name, each, check);
        }
        Some(Work::Approval(_)) => check_approval(step, check),
        None => check.add(
            ViolationReason::MissingWork,
            format_args!("task"),
            format_args!("does nothing; give it a command"),
        ),
    }
}

fn check_when<'a>(when: &str, scope: &Scope<'a, '_>, check: &mut StepCheck<'a, '_>) {
    if when.is_empty() {
        return;
    }
    let field = format_args!("when");
    match Condition::parse(when) {
        Ok(condition) => {
            for reference in condition.references() {
                let waits = scope.reference(check, field, Mention::Expression(reference));
                check.walk.dependencies += usize::from(waits);
            }
        }
        Err(error) => {
            let reason = match error {
                ConditionError::TooLong { .. } => ViolationReason::TooLarge,
                _ => ViolationReason::InvalidCondition,
            };
            check.add(reason, field, format_args!("{error}"));
        }
    }
}

/// Whether a step has others within that lie too deep to be looked at.
fn is_too_deep(step: &v1::Step, check: &mut StepCheck<'_, '_>) -> bool {
    let field = match (&step.for_each, &step.work) {
        (_, Some(Work::Group(_))) => "group",
        (_, Some(Work::Branches(_))) => "branches",
        (Some(_), _) => "for_each",
        (None, Some(Work::Task(_) | Work::Approval(_)) | None) => return false,
    };
    let is_too_deep = check.place.depth() >= limits::NESTING;
    if is_too_deep {
        check.add(
            ViolationReason::TooLarge,
            format_args!("{field}"),
            format_args!(
                "groups, loops and branches lie more than {} deep in each other; flatten them",
                limits::NESTING
            ),
        );
    }
    is_too_deep
}

/// Checks how a program is run.
fn check_attempts<'a>(step: &'a v1::Step, task: &v1::Task, check: &mut StepCheck<'a, '_>) {
    let startup_timeout = step.startup_timeout.as_ref();
    field::duration(check, "startup_timeout", startup_timeout, Shortest::MoreThanZero);
    field::duration(check, "timeout", step.timeout.as_ref(), Shortest::MoreThanZero);
    if let Some(retry) = &step.retry {
        let memory = task.resources.map_or(0, |resources| resources.memory_bytes);
        retry::check(retry, memory, check);
    }
    let outputs = &step.outputs;
    field::count(check, format_args!("outputs"), "outputs", outputs.len(), limits::OUTPUTS);
    check.walk.seen.clear();
    for (at, output) in outputs.iter().enumerate() {
        let field = format_args!("outputs[{at}]");
        field::name(check, &name::IDENTIFIER, "an output", field, output);
        if !check.walk.seen.insert(output) {
            check.add(
                ViolationReason::DuplicateName,
                field,
                format_args!("declares the output {} twice; remove one", quote(output)),
            );
        }
    }
}

/// Checks a step that waits for somebody's word.
fn check_approval(step: &v1::Step, check: &mut StepCheck<'_, '_>) {
    field::duration(check, "timeout", step.timeout.as_ref(), Shortest::MoreThanZero);
    for (field, is_given, message) in [
        ("retry", step.retry.is_some(), "an approval is not tried again; remove `retry`"),
        (
            "startup_timeout",
            step.startup_timeout.is_some(),
            "an approval starts nothing; limit how long it waits with `timeout`",
        ),
        (
            "outputs",
            !step.outputs.is_empty(),
            "an approval outputs `approved_by` and `comment` and nothing else; remove `outputs`",
        ),
    ] {
        if is_given {
            let field = format_args!("{field}");
            check.add(ViolationReason::Misplaced, field, format_args!("{message}"));
        }
    }
}

/// Reports what only steps that run a program have.
fn refuse_attempts(step: &v1::Step, within: &str, check: &mut StepCheck<'_, '_>) {
    for (field, is_given) in [
        ("retry", step.retry.is_some()),
        ("startup_timeout", step.startup_timeout.is_some()),
        ("timeout", step.timeout.is_some()),
        ("outputs", !step.outputs.is_empty()),
    ] {
        if is_given {
            check.add(
                ViolationReason::Misplaced,
                format_args!("{field}"),
                format_args!("`{field}` is for steps that run a program; give it to {within}"),
            );
        }
    }
}
