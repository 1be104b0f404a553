//! From the file's types to the contract's.

mod parameter;
mod retry;
mod step;
mod task;
mod used;

use std::{collections::BTreeMap, fmt, path::Path};

use windlass_proto::v1;

use super::{
    cache::CacheSwitch,
    collection::{Named, Text},
    error::FileError,
    format,
    quantity::Duration,
    sources::Sources,
};
use crate::check::{List, Place, Report as _, ViolationReason, Violations};

/// What files are converted with.
pub(super) struct Context<'a> {
    pub(super) base_dir: Option<&'a Path>,
    pub(super) sources: Sources<'a>,
    /// What the contract cannot say, with the contract's field names.
    pub(super) violations: Violations,
    /// Bytes and steps of used files so far, counted wherever they are used.
    used: (usize, usize),
}

impl<'a> Context<'a> {
    pub(super) fn new(base_dir: Option<&'a Path>, sources: Sources<'a>) -> Self {
        Self { base_dir, sources, violations: Violations::default(), used: (0, 0) }
    }
}

/// A file, converted.
pub(super) struct Converted {
    pub(super) pipeline: v1::Pipeline,
    /// What it outputs where it is used.
    pub(super) outputs: BTreeMap<String, String>,
}

/// Converts the first file.
pub(super) fn pipeline(
    file: format::Pipeline,
    context: &mut Context<'_>,
) -> Result<Converted, FileError> {
    let mut converter =
        Converter { file: 0, root: String::new(), defaults: &file.defaults, context };
    let steps = converter.steps(List::Steps, file.steps)?;
    let exit_steps = converter.steps(List::ExitSteps, file.exit_steps)?;
    let pipeline = v1::Pipeline {
        steps,
        exit_steps,
        name: file.name,
        description: file.description.unwrap_or_default(),
        parameters: parameter::all(file.parameters),
        failure_mode: file.failure_mode.map_or(v1::FailureMode::Unspecified, failure_mode).into(),
        max_parallelism: file.max_parallelism.unwrap_or(0),
        start_gap: duration(file.start_gap),
        timeout: duration(file.timeout),
        priority: file.priority.unwrap_or(0),
        no_cache: file.cache.is_some_and(|CacheSwitch(is_on)| !is_on),
        labels: file.labels.0.into_iter().map(|(key, Text(value))| (key, value)).collect(),
    };
    Ok(Converted { pipeline, outputs: file.outputs.0.into_iter().collect() })
}

fn failure_mode(mode: format::FailureMode) -> v1::FailureMode {
    match mode {
        format::FailureMode::FailFast => v1::FailureMode::FailFast,
        format::FailureMode::StopOnFailure => v1::FailureMode::StopOnFailure,
        format::FailureMode::ContinueOnFailure => v1::FailureMode::ContinueOnFailure,
    }
}

fn duration(duration: Option<Duration>) -> Option<prost_types::Duration> {
    duration.map(|Duration(duration)| duration)
}

/// Converts what stands in one file.
struct Converter<'c, 'a> {
    /// The file.
    file: usize,
    /// What stands in front of the names of its fields.
    root: String,
    defaults: &'c format::Defaults,
    context: &'c mut Context<'a>,
}

impl Converter<'_, '_> {
    fn steps(
        &mut self,
        list: List<'_>,
        steps: Named<format::Step>,
    ) -> Result<Vec<v1::Step>, FileError> {
        let mut converted = Vec::with_capacity(steps.0.len());
        for (at, (name, step)) in steps.0.into_iter().enumerate() {
            let place = Place { list, at, name: &name };
            let step = self.step(place, step)?;
            converted.push(v1::Step { name, ..step });
        }
        Ok(converted)
    }

    fn refuse(
        &mut self,
        place: Place<'_>,
        reason: ViolationReason,
        field: &str,
        message: impl fmt::Display,
    ) {
        self.context.violations.add(
            reason,
            format_args!("{}.{field}", place.field()),
            format_args!("step {}: {message}", place.path()),
        );
    }
}
