//! From the file's types to the contract's.

use std::path::{Path, PathBuf};

use windlass_proto::{
    json,
    v1::{self, step::Work},
};

use super::{
    collection::{NamedTexts, Text},
    entry::{ParameterEntry, RetryEntry},
    format,
    quantity::{Duration, Memory},
};
use crate::{
    check::{Report as _, ViolationReason, Violations},
    quote::quote,
    template::{self, Template},
};

/// Converts a file. What the contract cannot say is reported with the contract's field names.
pub(super) fn pipeline(
    file: format::Pipeline,
    base_dir: Option<&Path>,
    violations: &mut Violations,
) -> v1::Pipeline {
    let defaults = file.defaults;
    let steps = file.steps.0.into_iter().enumerate().map(|(at, (name, step))| {
        let mut converter =
            Converter { at, name: &name, defaults: &defaults, base_dir, violations };
        let step = converter.step(step);
        v1::Step { name, ..step }
    });
    v1::Pipeline {
        steps: steps.collect(),
        name: file.name,
        description: file.description.unwrap_or_default(),
        parameters: file.parameters.0.into_iter().map(parameter).collect(),
        failure_mode: file.failure_mode.map_or(v1::FailureMode::Unspecified, failure_mode).into(),
        max_parallelism: file.max_parallelism.unwrap_or(0),
        start_gap: duration(file.start_gap),
        timeout: duration(file.timeout),
        labels: file.labels.0.into_iter().map(|(key, Text(value))| (key, value)).collect(),
    }
}

fn parameter((name, ParameterEntry(entry)): (String, ParameterEntry)) -> v1::Parameter {
    let kind = match (entry.kind, &entry.default) {
        (Some(kind), _) => parameter_type(kind),
        (None, Some(default)) => type_of(default),
        (None, None) => v1::ParameterType::Unspecified,
    };
    v1::Parameter {
        name,
        r#type: kind.into(),
        default_value: entry.default.as_ref().map(json::to_value),
        description: entry.description.unwrap_or_default(),
    }
}

fn parameter_type(kind: format::ParameterType) -> v1::ParameterType {
    match kind {
        format::ParameterType::String => v1::ParameterType::String,
        format::ParameterType::Integer => v1::ParameterType::Integer,
        format::ParameterType::Number => v1::ParameterType::Number,
        format::ParameterType::Boolean => v1::ParameterType::Boolean,
        format::ParameterType::List => v1::ParameterType::List,
        format::ParameterType::Object => v1::ParameterType::Object,
    }
}

fn type_of(default: &serde_json::Value) -> v1::ParameterType {
    match default {
        serde_json::Value::Null => v1::ParameterType::Unspecified,
        serde_json::Value::Bool(_) => v1::ParameterType::Boolean,
        serde_json::Value::Number(number) if number.is_f64() => v1::ParameterType::Number,
        serde_json::Value::Number(_) => v1::ParameterType::Integer,
        serde_json::Value::String(_) => v1::ParameterType::String,
        serde_json::Value::Array(_) => v1::ParameterType::List,
        serde_json::Value::Object(_) => v1::ParameterType::Object,
    }
}

fn failure_mode(mode: format::FailureMode) -> v1::FailureMode {
    match mode {
        format::FailureMode::FailFast => v1::FailureMode::FailFast,
        format::FailureMode::StopOnFailure => v1::FailureMode::StopOnFailure,
        format::FailureMode::ContinueOnFailure => v1::FailureMode::ContinueOnFailure,
    }
}

fn trigger_rule(rule: format::TriggerRule) -> v1::TriggerRule {
    match rule {
        format::TriggerRule::AllSucceeded => v1::TriggerRule::AllSucceeded,
        format::TriggerRule::AllDone => v1::TriggerRule::AllDone,
        format::TriggerRule::AnyFailed => v1::TriggerRule::AnyFailed,
        format::TriggerRule::AnySucceeded => v1::TriggerRule::AnySucceeded,
    }
}

fn duration(duration: Option<Duration>) -> Option<prost_types::Duration> {
    duration.map(|Duration(duration)| duration)
}

fn retry_policy(RetryEntry(retry): &RetryEntry) -> v1::RetryPolicy {
    v1::RetryPolicy {
        limit: retry.limit.unwrap_or(0),
        delay: duration(retry.delay),
        factor: retry.factor.unwrap_or(0.0),
        max_delay: duration(retry.max_delay),
        jitter: retry.jitter.unwrap_or(0.0),
        system_limit: retry.system_limit,
    }
}

/// A step's own variables first, then those of the defaults that it does not set itself.
fn env(own: NamedTexts, defaults: &NamedTexts) -> Vec<v1::EnvVar> {
    let mut vars: Vec<_> =
        own.0.into_iter().map(|(name, Text(value))| v1::EnvVar { name, value }).collect();
    let owned = vars.len();
    for (name, Text(value)) in &defaults.0 {
        if !vars[..owned].iter().any(|var| var.name == *name) {
            vars.push(v1::EnvVar { name: name.clone(), value: value.clone() });
        }
    }
    vars
}

/// Converts one step.
struct Converter<'a> {
    at: usize,
    name: &'a str,
    defaults: &'a format::Defaults,
    base_dir: Option<&'a Path>,
    violations: &'a mut Violations,
}

impl Converter<'_> {
    fn step(&mut self, step: format::Step) -> v1::Step {
        let defaults = self.defaults;
        let resources = step.resources.or(defaults.resources);
        let retry = step.retry.as_ref().or(defaults.retry.as_ref());
        if retry.is_some_and(|RetryEntry(retry)| retry.factor == Some(0.0)) {
            // The contract takes 0 for "not given", and nobody who writes it means that.
            self.refuse(
                ViolationReason::OutOfRange,
                "retry.factor",
                "`factor` is 0; give a number from 1 to 100",
            );
        }
        let task = v1::Task {
            command: self.command(
                step.run,
                step.command.map(|words| words.0),
                !step.args.0.is_empty(),
            ),
            args: step.args.0,
            env: env(step.env, &defaults.env),
            working_dir: self
                .working_dir(step.working_dir.as_deref().or(defaults.working_dir.as_deref())),
            termination_grace: duration(step.termination_grace.or(defaults.termination_grace)),
            resources: resources.map(|resources| v1::Resources {
                memory_bytes: resources.memory.map_or(0, |Memory(bytes)| bytes),
            }),
        };
        v1::Step {
            name: String::new(),
            depends_on: step.depends_on.0,
            trigger_rule: step
                .trigger_rule
                .map_or(v1::TriggerRule::Unspecified, trigger_rule)
                .into(),
            retry: retry.map(|entry| Box::new(retry_policy(entry))),
            startup_timeout: duration(step.startup_timeout.or(defaults.startup_timeout)),
            timeout: duration(step.timeout.or(defaults.timeout)),
            outputs: step.outputs.0,
            description: step.description.unwrap_or_default(),
            work: Some(Work::Task(Box::new(task))),
        }
    }

    fn command(
        &mut self,
        run: Option<String>,
        command: Option<Vec<String>>,
        has_args: bool,
    ) -> Vec<String> {
        match (run, command) {
            (Some(script), None) => {
                self.refuse_references(&script);
                let mut command = vec!["/bin/sh".to_owned(), "-euc".to_owned(), script];
                if has_args {
                    // The first argument after the script is the script's own name, `$0`.
                    command.push("run".to_owned());
                }
                command
            }
            (None, Some(command)) => command,
            (Some(_), Some(_)) => {
                self.refuse(
                    ViolationReason::MissingWork,
                    "run",
                    "has both `run` and `command`; remove one",
                );
                Vec::new()
            }
            (None, None) => {
                let message = "does nothing; give it `run` (a shell script) or `command` (a program and its arguments)";
                self.refuse(ViolationReason::MissingWork, "task", message);
                Vec::new()
            }
        }
    }

    fn refuse_references(&mut self, script: &str) {
        let is_plain =
            Template::parse(script).is_ok_and(|script| script.references().next().is_none());
        if !is_plain {
            let message = "`run` may not hold `${{ … }}`, for the shell would run the value as code; put the reference \
                           into `env` and use it as \"$NAME\", or write `$${{` for a plain `${{`";
            self.refuse(ViolationReason::InvalidReference, "run", message);
        }
    }

    /// Where the step starts: below the file's directory, unless it says where absolutely or by reference.
    fn working_dir(&mut self, given: Option<&str>) -> String {
        let given = given.unwrap_or_default();
        let Some(base) = self.base_dir else {
            return given.to_owned();
        };
        if given.starts_with("${{") {
            return given.to_owned();
        }
        let Some(base) = base.to_str() else {
            let message =
                "runs in the directory of the file, whose path is not UTF-8; rename that directory";
            self.refuse(ViolationReason::InvalidText, "working_dir", message);
            return String::new();
        };
        // The components leave out what is `.`, and an absolute path replaces the base.
        let joined: PathBuf =
            Path::new(&*template::escape(base)).join(given).components().collect();
        joined.to_str().unwrap_or_default().to_owned()
    }

    fn refuse(&mut self, reason: ViolationReason, field: &str, message: &str) {
        self.violations.add(
            reason,
            format_args!("steps[{}].{field}", self.at),
            format_args!("step {}: {message}", quote(self.name)),
        );
    }
}
