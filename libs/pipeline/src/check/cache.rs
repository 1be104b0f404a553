//! Rules of what a task's result depends on.

use std::fmt;

use windlass_proto::v1;

use super::{
    Report as _, ViolationReason,
    field::{self, Shortest},
    scope::Scope,
    text::references,
    walk::StepCheck,
};
use crate::{
    duration, limits,
    template::{self, Reference},
};

pub(super) fn check<'a>(task: &'a v1::Task, scope: &Scope<'a, '_>, check: &mut StepCheck<'a, '_>) {
    let Some(cache) = &task.cache else { return };
    let field = format_args!("task.cache.key");
    field::count(check, field, "entries of the cache's key", cache.key.len(), limits::CACHE_KEYS);
    for (at, entry) in cache.key.iter().enumerate() {
        references(check, scope, format_args!("task.cache.key[{at}]"), entry);
    }
    check_max_age(cache, check);
    check_salt(&cache.salt, check);
    for (at, word) in task.command.iter().enumerate() {
        refuse_unique(check, format_args!("task.command[{at}]"), word);
    }
    for (at, word) in task.args.iter().enumerate() {
        refuse_unique(check, format_args!("task.args[{at}]"), word);
    }
    for (at, variable) in task.env.iter().enumerate() {
        refuse_unique(check, format_args!("task.env[{at}].value"), &variable.value);
    }
    refuse_unique(check, format_args!("task.working_dir"), &task.working_dir);
    refuse_unique(check, format_args!("task.image"), &task.image);
    for (at, entry) in cache.key.iter().enumerate() {
        refuse_unique(check, format_args!("task.cache.key[{at}]"), entry);
    }
}

fn check_max_age(cache: &v1::Cache, check: &mut StepCheck<'_, '_>) {
    let field = "task.cache.max_age";
    field::duration(check, field, cache.max_age.as_ref(), Shortest::Zero);
    if cache.max_age.as_ref().and_then(duration::to_ms) == Some(0) {
        check.add(
            ViolationReason::InvalidDuration,
            format_args!("{field}"),
            format_args!(
                "`max_age` is 0, so that no result would be taken; give a duration above 0, or switch the cache off"
            ),
        );
    }
}

fn check_salt(salt: &str, check: &mut StepCheck<'_, '_>) {
    let field = format_args!("task.cache.salt");
    let most = limits::CACHE_SALT_BYTES;
    if salt.len() > most {
        check.add(
            ViolationReason::TooLarge,
            field,
            format_args!(
                "`salt` has {} bytes, and {most} are the most; put what is longer into `key`",
                salt.len()
            ),
        );
    }
    if salt.contains("${{") {
        check.add(
            ViolationReason::InvalidReference,
            field,
            format_args!("`salt` is taken as it is and holds no references; put them into `key`"),
        );
    }
}

/// Refuses what is another value in each attempt.
fn refuse_unique(check: &mut StepCheck<'_, '_>, field: fmt::Arguments<'_>, text: &str) {
    for reference in template::references(text) {
        if matches!(reference, Reference::RunId | Reference::StepAttempt) {
            check.add(
                ViolationReason::InvalidReference,
                field,
                format_args!(
                    "`{reference}` stands for something else each time, so that no result could be taken from the cache; \
                     remove it, or switch the cache off for this step"
                ),
            );
        }
    }
}
