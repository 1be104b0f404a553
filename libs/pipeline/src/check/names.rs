//! The steps of one list by their names, and what they declare as outputs.

use std::collections::{BTreeSet, HashMap};

use windlass_proto::v1::{self, step::Work};

use super::{
    Report as _, ViolationReason, Violations, field,
    place::{List, Place},
};
use crate::{limits, name, outline};

/// The steps of a list by name. The pipeline's steps and its exit steps are one list here.
pub(super) struct Names<'a> {
    steps: &'a [v1::Step],
    exit_steps: &'a [v1::Step],
    indexes: HashMap<&'a str, u32>,
    /// The outputs of those steps that have branches.
    common: HashMap<u32, BTreeSet<&'a str>>,
}

impl<'a> Names<'a> {
    /// Those of a pipeline. Reports names that are unlawful or taken.
    pub(super) fn of_pipeline(pipeline: &'a v1::Pipeline, violations: &mut Violations) -> Self {
        let mut names = Self::empty(&pipeline.steps, &pipeline.exit_steps);
        names.add(List::Steps, &pipeline.steps, violations);
        names.add(List::ExitSteps, &pipeline.exit_steps, violations);
        names
    }

    /// Those of a group, or of branches. Reports names that are unlawful or taken.
    pub(super) fn of_list(
        list: List<'_>,
        steps: &'a [v1::Step],
        violations: &mut Violations,
    ) -> Self {
        let mut names = Self::empty(steps, &[]);
        names.add(list, steps, violations);
        names
    }

    fn empty(steps: &'a [v1::Step], exit_steps: &'a [v1::Step]) -> Self {
        let indexes = HashMap::with_capacity(steps.len() + exit_steps.len());
        Self { steps, exit_steps, indexes, common: HashMap::new() }
    }

    fn add(&mut self, list: List<'_>, steps: &'a [v1::Step], violations: &mut Violations) {
        let index_of_first = if matches!(list, List::ExitSteps) { self.steps.len() } else { 0 };
        for (at, step) in steps.iter().enumerate() {
            let place = Place { list, at, name: &step.name };
            let field = place.field();
            field::name(
                violations,
                &name::STEP,
                "a step",
                format_args!("{field}.name"),
                &step.name,
            );
            let index = (index_of_first + at) as u32;
            if let Some(first) = self.indexes.insert(&step.name, index) {
                let (list, at) = match list {
                    List::ExitSteps if self.is_exit(first) => {
                        (list, first as usize - self.steps.len())
                    }
                    List::ExitSteps => (List::Steps, first as usize),
                    list => (list, first as usize),
                };
                let first = Place { list, at, name: &step.name };
                violations.add(
                    ViolationReason::DuplicateName,
                    format_args!("{field}.name"),
                    format_args!(
                        "there are two steps {}, the first one is {}; rename one",
                        place.path(),
                        first.field()
                    ),
                );
            }
            // Nobody refers to a branch, so that all branches are looked into once, however deep they lie in each other.
            let may_be_named = !matches!(list, List::Branches(_));
            if may_be_named && matches!(step.work, Some(Work::Branches(_))) {
                self.common.insert(index, declared(step, limits::NESTING));
            }
        }
    }

    /// The index of a step.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.indexes.get(name).copied()
    }

    /// The step of an index that was found.
    pub(super) fn step(&self, index: u32) -> &'a v1::Step {
        let index = index as usize;
        self.steps.get(index).unwrap_or_else(|| &self.exit_steps[index - self.steps.len()])
    }

    /// Whether it is an exit step.
    pub(super) fn is_exit(&self, index: u32) -> bool {
        index as usize >= self.steps.len()
    }

    /// All names, those of the exit steps last.
    pub(super) fn iter(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        self.steps.iter().chain(self.exit_steps).map(|step| step.name.as_str())
    }

    /// Whether a step declares an output.
    pub(super) fn declares(&self, index: u32, output: &str) -> bool {
        match self.common.get(&index) {
            Some(common) => common.contains(output),
            None => match &self.step(index).work {
                Some(Work::Group(group)) => group.outputs.contains_key(output),
                _ => own_outputs(self.step(index)).any(|declared| declared == output),
            },
        }
    }

    /// The outputs that a step declares.
    pub(super) fn outputs(&self, index: u32) -> Vec<&'a str> {
        match self.common.get(&index) {
            Some(common) => common.iter().copied().collect(),
            None => declared(self.step(index), 0).into_iter().collect(),
        }
    }
}

/// Those of a task or an approval. Those beyond the limit are refused, and not searched: each reference would look through all of
/// them.
fn own_outputs(step: &v1::Step) -> impl Iterator<Item = &str> {
    let fixed: &[&str] = match &step.work {
        Some(Work::Approval(_)) => &outline::APPROVAL_OUTPUTS,
        _ => &[],
    };
    fixed.iter().copied().chain(step.outputs.iter().take(limits::OUTPUTS).map(String::as_str))
}

/// The outputs of a step, whose branches are looked into so many levels deep.
fn declared(step: &v1::Step, levels: usize) -> BTreeSet<&str> {
    match (&step.work, levels.checked_sub(1)) {
        (Some(Work::Group(group)), _) => {
            group.outputs.keys().take(limits::OUTPUTS).map(String::as_str).collect()
        }
        (Some(Work::Branches(branches)), Some(below)) => {
            let all = branches.branches.iter().map(|branch| declared(branch, below));
            all.reduce(|common, branch| &common & &branch).unwrap_or_default()
        }
        (Some(Work::Branches(_)), None) => BTreeSet::new(),
        (Some(Work::Task(_) | Work::Approval(_)) | None, _) => own_outputs(step).collect(),
    }
}
