//! Rules of a task: a program with its surroundings.

use std::{collections::HashSet, fmt};

use prost::Message as _;
use windlass_proto::v1;

use super::{
    Report, ViolationReason,
    field::{self, Shortest},
    scope::Scope,
};
use crate::{
    limits, name,
    quote::quote,
    template::{Part, parts},
};

/// The names of variables that Windlass itself sets begin so.
const RESERVED: &str = "WINDLASS_";

/// `seen` is room for names, kept from step to step.
pub(super) fn check<'a>(
    task: &'a v1::Task,
    scope: &Scope<'a>,
    seen: &mut HashSet<&'a str>,
    report: &mut impl Report,
) {
    if task.command.first().is_none_or(String::is_empty) {
        report.add(
            ViolationReason::EmptyCommand,
            format_args!("task.command"),
            format_args!("names no program; make the command's first entry the program to run"),
        );
    }
    let words = task.command.len() + task.args.len();
    field::count(
        report,
        format_args!("task.command"),
        "words of command and arguments",
        words,
        limits::WORDS,
    );
    for (at, word) in task.command.iter().enumerate() {
        text(report, scope, format_args!("task.command[{at}]"), word, limits::TEXT_BYTES);
    }
    for (at, word) in task.args.iter().enumerate() {
        text(report, scope, format_args!("task.args[{at}]"), word, limits::TEXT_BYTES);
    }
    text(report, scope, format_args!("task.working_dir"), &task.working_dir, limits::PATH_BYTES);
    check_env(&task.env, scope, seen, report);
    field::duration(
        report,
        "task.termination_grace",
        task.termination_grace.as_ref(),
        Shortest::Zero,
    );
    let bytes = task.encoded_len();
    if bytes > limits::TASK_BYTES {
        report.add(
            ViolationReason::TooLarge,
            format_args!("task"),
            format_args!(
                "has {bytes} bytes of command and environment, and {} are the most; pass large data by file",
                limits::TASK_BYTES
            ),
        );
    }
}

fn check_env<'a>(
    env: &'a [v1::EnvVar],
    scope: &Scope<'a>,
    seen: &mut HashSet<&'a str>,
    report: &mut impl Report,
) {
    field::count(report, format_args!("task.env"), "variables", env.len(), limits::ENV_VARS);
    seen.clear();
    for (at, v1::EnvVar { name, value }) in env.iter().enumerate() {
        let field = format_args!("task.env[{at}].name");
        field::name(report, &name::ENV_VAR, "a variable", field, name);
        if name.starts_with(RESERVED) {
            report.add(
                ViolationReason::InvalidName,
                field,
                format_args!(
                    "variables that begin with `{RESERVED}` are set by Windlass; rename {}",
                    quote(name)
                ),
            );
        }
        if !seen.insert(name) {
            report.add(
                ViolationReason::DuplicateName,
                field,
                format_args!("sets the variable {} twice; remove one", quote(name)),
            );
        }
        text(report, scope, format_args!("task.env[{at}].value"), value, limits::TEXT_BYTES);
    }
}

/// Checks a text that may hold references.
fn text<'a>(
    report: &mut impl Report,
    scope: &Scope<'a>,
    field: fmt::Arguments<'_>,
    text: &'a str,
    most: usize,
) {
    if text.len() > most {
        return report.add(
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
        report.add(
            ViolationReason::InvalidText,
            field,
            format_args!(
                "{} holds a NUL character, which no program can be given; remove it",
                quote(text)
            ),
        );
    }
    for part in parts(text) {
        match part {
            Ok(Part::Literal(_)) => {}
            Ok(Part::Reference(reference)) => scope.reference(report, field, reference),
            Err(error) => {
                report.add(ViolationReason::InvalidReference, field, format_args!("{error}"));
            }
        }
    }
}
