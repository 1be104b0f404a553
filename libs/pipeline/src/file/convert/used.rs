//! Steps that use another file.

use prost::Message as _;
use windlass_proto::v1::{self, step::Work};

use super::{Converter, parameter, step::arguments};
use crate::{
    check::{List, Place, Report as _, ViolationReason},
    file::{error::FileError, format, sources::UsedGroup, yaml},
    limits,
};

impl Converter<'_, '_> {
    /// The file that a step uses, as a group; an empty one where it cannot be used.
    pub(super) fn used(
        &mut self,
        place: Place<'_>,
        step: format::Step,
    ) -> Result<v1::Group, FileError> {
        // Files cannot use each other deeper than groups lie in each other.
        if place.depth() >= limits::NESTING {
            self.refuse_depth(place);
            return Ok(v1::Group::default());
        }
        let path = step.used.unwrap_or_default();
        let index = match self.context.sources.find(self.file, &path) {
            Ok(index) => index,
            Err(error) => {
                self.refuse(place, ViolationReason::UnusableFile, "use", error);
                return Ok(v1::Group::default());
            }
        };
        let field = place.field().to_string();
        let in_file = field[self.root.len()..].to_owned();
        self.context.sources.get_mut(self.file).uses.insert(in_file, index);
        match &self.context.sources.get(index).group {
            Some(used) if place.depth() + 1 + used.levels > limits::NESTING => {
                self.refuse_depth(place);
                return Ok(v1::Group::default());
            }
            Some(_) => {}
            None => {
                self.context.sources.enter(index);
                let group = self.convert(index, place, format!("{field}.group."))?;
                self.context.sources.leave();
                self.context.sources.get_mut(index).group = Some(measured(group));
            }
        }
        let Some(mut group) = self.copy(index, place) else {
            return Ok(v1::Group::default());
        };
        if let Some(inputs) = &mut group.inputs {
            inputs.arguments = arguments(step.arguments);
        }
        Ok(group)
    }

    /// Reads a file for the first time.
    fn convert(
        &mut self,
        index: usize,
        place: Place<'_>,
        root: String,
    ) -> Result<v1::Group, FileError> {
        let source = self.context.sources.get(index);
        let read = yaml::refuse_bombs(&source.text)
            .and_then(|()| yaml::read::<format::Pipeline>(&source.text));
        let file = read.map_err(|error| FileError::yaml(source.path.clone(), &error))?;
        let of_runs = [
            ("failure_mode", file.failure_mode.is_some()),
            ("max_parallelism", file.max_parallelism.is_some()),
            ("start_gap", file.start_gap.is_some()),
            ("timeout", file.timeout.is_some()),
            ("priority", file.priority.is_some()),
            ("labels", !file.labels.0.is_empty()),
            ("cache", file.cache.is_some()),
            ("exit_steps", !file.exit_steps.0.is_empty()),
        ];
        for (key, _) in of_runs.iter().filter(|(_, is_given)| *is_given) {
            self.context.violations.add(
                ViolationReason::Misplaced,
                format_args!("{root}{key}"),
                format_args!(
                    "`{key}` is of a whole run, and this file is used as a part of one by step {}; write it there",
                    place.path()
                ),
            );
        }
        let mut converter =
            Converter { file: index, root, defaults: &file.defaults, context: self.context };
        let steps = converter.steps(List::Group(&place), file.steps)?;
        let parameters = parameter::all(file.parameters);
        Ok(v1::Group {
            inputs: Some(v1::Inputs { parameters, ..v1::Inputs::default() }),
            steps,
            outputs: file.outputs.0.into_iter().collect(),
        })
    }

    /// A group that was read, for one more step; none where there would be too much of it.
    fn copy(&mut self, index: usize, place: Place<'_>) -> Option<v1::Group> {
        let used = self.context.sources.get(index).group.as_ref()?;
        let (bytes, steps) = &mut self.context.used;
        *bytes += used.bytes;
        *steps += used.steps;
        let message = if *steps > limits::STEPS {
            format!(
                "the files that are used make more than {} steps; use them in fewer places",
                limits::STEPS
            )
        } else if *bytes as u64 > limits::FILE_EXPANDED_BYTES {
            format!(
                "the files that are used make more than {} MiB of steps; use them in fewer places",
                limits::FILE_EXPANDED_BYTES >> 20
            )
        } else {
            return Some(used.group.clone());
        };
        self.refuse(place, ViolationReason::TooLarge, "use", message);
        None
    }

    fn refuse_depth(&mut self, place: Place<'_>) {
        let message = format!(
            "groups, loops and branches lie more than {} deep in each other; flatten them",
            limits::NESTING
        );
        self.refuse(place, ViolationReason::TooLarge, "use", message);
    }
}

fn measured(group: v1::Group) -> UsedGroup {
    let (steps, levels) = size(&group.steps);
    UsedGroup { bytes: group.encoded_len(), steps, levels, group }
}

/// How many steps these are with those within, and how deep groups, loops and branches lie in each other.
fn size(list: &[v1::Step]) -> (usize, usize) {
    list.iter().fold((list.len(), 0), |(steps, levels), step| {
        let (within, below) = match &step.work {
            Some(Work::Group(group)) => size(&group.steps),
            Some(Work::Branches(branches)) => size(&branches.branches),
            Some(Work::Task(_) | Work::Approval(_)) if step.for_each.is_some() => (0, 0),
            Some(Work::Task(_) | Work::Approval(_)) | None => return (steps, levels),
        };
        (steps + within, levels.max(below + 1))
    })
}
