//! Steps of any kind, loops, groups and branches.

use std::{collections::BTreeMap, mem};

use prost_types::{ListValue, Value};
use windlass_proto::{
    json,
    v1::{self, step::Work},
};

use super::{Converter, duration, parameter};
use crate::{
    check::{List, Place, ViolationReason},
    file::{
        collection::Named,
        entry::When,
        error::FileError,
        for_each::{ForEachEntry, Items},
        format,
        outputs::OutputsEntry,
    },
};

/// What a step does, by the key that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Program,
    Group,
    Used,
    Branches,
    Approval,
}

fn trigger_rule(rule: format::TriggerRule) -> v1::TriggerRule {
    match rule {
        format::TriggerRule::AllSucceeded => v1::TriggerRule::AllSucceeded,
        format::TriggerRule::AllDone => v1::TriggerRule::AllDone,
        format::TriggerRule::AnyFailed => v1::TriggerRule::AnyFailed,
        format::TriggerRule::AnySucceeded => v1::TriggerRule::AnySucceeded,
    }
}

/// Values by name, as the contract has them.
pub(super) fn arguments(given: Option<Box<Named<serde_json::Value>>>) -> BTreeMap<String, Value> {
    let given = given.unwrap_or_default().0;
    given.into_iter().map(|(name, value)| (name, json::to_value(&value))).collect()
}

impl Converter<'_, '_> {
    /// Converts a step, without its name.
    pub(super) fn step(
        &mut self,
        place: Place<'_>,
        mut step: format::Step,
    ) -> Result<v1::Step, FileError> {
        let Some(kind) = self.kind(place, &step) else {
            return Ok(v1::Step::default());
        };
        self.refuse_misplaced(place, kind, &step);
        let common = v1::Step {
            depends_on: mem::take(&mut step.depends_on.0),
            trigger_rule: step
                .trigger_rule
                .map_or(v1::TriggerRule::Unspecified, trigger_rule)
                .into(),
            description: step.description.take().unwrap_or_default(),
            when: step.when.take().map(|When(text)| text).unwrap_or_default(),
            for_each: step.for_each.take().map(|entry| Box::new(self.for_each(place, *entry))),
            ..v1::Step::default()
        };
        let work = match kind {
            Kind::Program => return Ok(self.program(place, step, common)),
            Kind::Approval => {
                let work = Some(Work::Approval(v1::Approval {}));
                return Ok(v1::Step { work, timeout: duration(step.timeout), ..common });
            }
            Kind::Group => Work::Group(Box::new(self.group(place, step)?)),
            Kind::Used => Work::Group(Box::new(self.used(place, step)?)),
            Kind::Branches => {
                let branches = step.branches.unwrap_or_default();
                let branches = self.steps(List::Branches(&place), *branches)?;
                Work::Branches(Box::new(v1::Branches { branches }))
            }
        };
        Ok(v1::Step { work: Some(work), ..common })
    }

    /// What the step does, where it says exactly one thing. An image alone is its own program.
    fn kind(&mut self, place: Place<'_>, step: &format::Step) -> Option<Kind> {
        let kinds = [
            ("run", step.run.is_some(), Kind::Program),
            ("command", step.command.is_some(), Kind::Program),
            ("steps", step.steps.is_some(), Kind::Group),
            ("use", step.used.is_some(), Kind::Used),
            ("branches", step.branches.is_some(), Kind::Branches),
            ("approval", step.approval.is_some(), Kind::Approval),
        ];
        let mut given = kinds.iter().filter(|(_, is_given, _)| *is_given);
        match (given.next(), given.next()) {
            (Some((_, _, kind)), None) => Some(*kind),
            (Some((first, ..)), Some((second, ..))) => {
                self.refuse(
                    place,
                    ViolationReason::MissingWork,
                    first,
                    format_args!("has both `{first}` and `{second}`; remove one"),
                );
                None
            }
            (None, _) if step.image.is_some() => Some(Kind::Program),
            (None, _) => {
                let message = "does nothing; give it `run` (a shell script), `command` (a program and its arguments), \
                               `image` (whose own program runs), `steps`, `use` (another pipeline file), `branches` or `approval`";
                self.refuse(place, ViolationReason::MissingWork, "task", message);
                None
            }
        }
    }

    /// Reports keys that steps of this kind do not have.
    fn refuse_misplaced(&mut self, place: Place<'_>, kind: Kind, step: &format::Step) {
        let of_programs = [
            ("args", !step.args.0.is_empty()),
            ("env", !step.env.0.is_empty()),
            ("retry", step.retry.is_some()),
            ("timeout", step.timeout.is_some() && kind != Kind::Approval),
            ("startup_timeout", step.startup_timeout.is_some()),
            ("working_dir", step.working_dir.is_some()),
            ("termination_grace", step.termination_grace.is_some()),
            ("resources", step.resources.is_some()),
            ("cache", step.cache.is_some()),
            ("limits", !step.limits.0.is_empty()),
            ("image", step.image.is_some()),
            ("cluster", step.cluster.is_some()),
            ("pod", step.pod.is_some()),
        ];
        let of_groups =
            [("parameters", step.parameters.is_some()), ("arguments", step.arguments.is_some())];
        let has_outputs = !matches!(&step.outputs, OutputsEntry::Names(names) if names.is_empty());
        let outputs = ("outputs", has_outputs);
        let to = match kind {
            Kind::Program => {
                let message = "is for steps that hold others; put values into `env` or `args`";
                return self.refuse_given(place, &of_groups, message);
            }
            Kind::Group => "is for steps that run a program; give it to the steps within",
            Kind::Used => {
                let message = "is up to the file that is used; write it there";
                self.refuse_given(place, &[of_groups[0], outputs], message);
                "is for steps that run a program; write it in the file that is used"
            }
            Kind::Branches => {
                let message = "is for groups; give it to the branches";
                self.refuse_given(place, &of_groups, message);
                let message =
                    "is known from the branches: it is what all of them have; remove it here";
                self.refuse_given(place, &[outputs], message);
                "is for steps that run a program; give it to the branches"
            }
            Kind::Approval => {
                self.refuse_given(place, &of_groups, "is for groups; remove it");
                let message =
                    "is fixed: an approval outputs `approved_by` and `comment`; remove it";
                self.refuse_given(place, &[outputs], message);
                "is for steps that run a program, and an approval runs none; remove it"
            }
        };
        self.refuse_given(place, &of_programs, to);
    }

    fn refuse_given(&mut self, place: Place<'_>, keys: &[(&str, bool)], message: &str) {
        for (key, _) in keys.iter().filter(|(_, is_given)| *is_given) {
            let message = format_args!("`{key}` {message}");
            self.refuse(place, ViolationReason::Misplaced, key, message);
        }
    }

    fn for_each(&mut self, place: Place<'_>, ForEachEntry(entry): ForEachEntry) -> v1::ForEach {
        use v1::for_each::Items as To;
        if entry.items.is_some() && entry.count.is_some() {
            let message = "has both `items` and `count`; remove one";
            self.refuse(place, ViolationReason::InvalidItems, "for_each.items", message);
        }
        let items = match entry.items {
            Some(Items::List(items)) => {
                let values = items.into_iter().map(|item| json::to_value(&item)).collect();
                Some(To::List(ListValue { values }))
            }
            Some(Items::Text(text)) => Some(To::Reference(text)),
            None => entry.count.map(To::Count),
        };
        v1::ForEach { items, max_parallelism: entry.max_parallelism.unwrap_or(0) }
    }

    fn group(&mut self, place: Place<'_>, step: format::Step) -> Result<v1::Group, FileError> {
        let inputs = (step.parameters.is_some() || step.arguments.is_some()).then(|| v1::Inputs {
            parameters: parameter::all(*step.parameters.unwrap_or_default()),
            arguments: arguments(step.arguments),
        });
        let outputs = match step.outputs {
            OutputsEntry::References(references) => references.into_iter().collect(),
            OutputsEntry::Names(names) => {
                if !names.is_empty() {
                    let message = "a group's outputs say where they come from; write \
                                   `outputs: {NAME: \"${{ steps.NAME.outputs.NAME }}\"}`";
                    self.refuse(place, ViolationReason::Misplaced, "outputs", message);
                }
                BTreeMap::new()
            }
        };
        let steps = self.steps(List::Group(&place), *step.steps.unwrap_or_default())?;
        Ok(v1::Group { inputs, steps, outputs })
    }
}
