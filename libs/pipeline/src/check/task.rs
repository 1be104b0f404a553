//! Rules of a task: a program with its surroundings.

use prost::Message as _;
use windlass_proto::v1;

use super::{
    Report as _, ViolationReason, cache,
    field::{self, Shortest},
    pod,
    scope::Scope,
    text::text,
    walk::StepCheck,
};
use crate::{limits, name, quote::quote};

/// The names of variables that Windlass itself sets begin so.
const RESERVED: &str = "WINDLASS_";

pub(super) fn check<'a>(task: &'a v1::Task, scope: &Scope<'a, '_>, check: &mut StepCheck<'a, '_>) {
    let has_program = match task.command.first() {
        Some(program) => !program.is_empty(),
        None => !task.image.is_empty(),
    };
    if !has_program {
        check.add(
            ViolationReason::EmptyCommand,
            format_args!("task.command"),
            format_args!(
                "names no program; make the command's first entry the program to run, or give an `image` that has one"
            ),
        );
    }
    let words = task.command.len() + task.args.len();
    field::count(
        check,
        format_args!("task.command"),
        "words of command and arguments",
        words,
        limits::WORDS,
    );
    for (at, word) in task.command.iter().enumerate() {
        text(check, scope, format_args!("task.command[{at}]"), word, limits::TEXT_BYTES);
    }
    for (at, word) in task.args.iter().enumerate() {
        text(check, scope, format_args!("task.args[{at}]"), word, limits::TEXT_BYTES);
    }
    text(check, scope, format_args!("task.working_dir"), &task.working_dir, limits::PATH_BYTES);
    check_working_dir(task, check);
    check_env(&task.env, scope, check);
    pod::check(task, scope, check);
    cache::check(task, scope, check);
    check_limits(&task.limits, check);
    field::duration(
        check,
        "task.termination_grace",
        task.termination_grace.as_ref(),
        Shortest::Zero,
    );
    let bytes = task.encoded_len();
    if bytes > limits::TASK_BYTES {
        check.add(
            ViolationReason::TooLarge,
            format_args!("task"),
            format_args!(
                "has {bytes} bytes of command and environment, and {} are the most; pass large data by file",
                limits::TASK_BYTES
            ),
        );
    }
}

/// Who knows a base directory has put it before a relative path; runtimes of containers take none that is relative still.
fn check_working_dir(task: &v1::Task, check: &mut StepCheck<'_, '_>) {
    let dir = &*task.working_dir;
    let is_relative = !dir.is_empty() && !dir.starts_with('/') && !dir.starts_with("${{");
    if is_relative && !task.image.is_empty() {
        check.add(
            ViolationReason::InvalidText,
            format_args!("task.working_dir"),
            format_args!(
                "{} is relative, and there is no base directory that a container could have; begin it with `/`",
                quote(dir)
            ),
        );
    }
}

fn check_limits<'a>(names: &'a [String], check: &mut StepCheck<'a, '_>) {
    let field = format_args!("task.limits");
    field::count(check, field, "named limits", names.len(), limits::NAMED_LIMITS);
    check.walk.seen.clear();
    for (at, name) in names.iter().enumerate() {
        let field = format_args!("task.limits[{at}]");
        field::name(check, &name::STEP, "a limit", field, name);
        if !check.walk.seen.insert(name) {
            check.add(
                ViolationReason::DuplicateName,
                field,
                format_args!("names the limit {} twice; remove one", quote(name)),
            );
        }
    }
}

fn check_env<'a>(env: &'a [v1::EnvVar], scope: &Scope<'a, '_>, check: &mut StepCheck<'a, '_>) {
    field::count(check, format_args!("task.env"), "variables", env.len(), limits::ENV_VARS);
    check.walk.seen.clear();
    for (at, variable) in env.iter().enumerate() {
        let v1::EnvVar { name, value, .. } = variable;
        let field = format_args!("task.env[{at}].name");
        field::name(check, &name::ENV_VAR, "a variable", field, name);
        if name.starts_with(RESERVED) {
            check.add(
                ViolationReason::InvalidName,
                field,
                format_args!(
                    "variables that begin with `{RESERVED}` are set by Windlass; rename {}",
                    quote(name)
                ),
            );
        }
        if !check.walk.seen.insert(name) {
            check.add(
                ViolationReason::DuplicateName,
                field,
                format_args!("sets the variable {} twice; remove one", quote(name)),
            );
        }
        text(check, scope, format_args!("task.env[{at}].value"), value, limits::TEXT_BYTES);
        pod::check_secret(at, variable, check);
    }
}
