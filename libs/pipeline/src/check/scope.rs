//! What can be named at a place of a pipeline.
//!
//! Names are looked for from the inside out: among the steps of the same list, then among those around the group that the
//! list is of, and so on up to the pipeline or to a group that is self-contained.

mod lookup;

use std::collections::BTreeMap;

use windlass_proto::v1::{self, ParameterType};

use super::names::Names;
pub(super) use lookup::Mention;

/// Types of parameters by name.
pub(super) type Parameters<'a> = BTreeMap<&'a str, ParameterType>;

/// What can be named at one place: a chain from the inside out.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a, 's> {
    frame: Frame<'a, 's>,
    up: Option<&'s Scope<'a, 's>>,
    /// What the chain ends with, and its parameters.
    whole: Whole,
    parameters: &'s Parameters<'a>,
}

/// One link of the chain.
#[derive(Clone, Copy)]
enum Frame<'a, 's> {
    /// Steps of one list.
    Steps(&'s Names<'a>),
    /// Branches, none of which can be named.
    Branches(&'a [v1::Step]),
    /// The step that all further in lies in; it stands in the next list further out.
    Within(&'a str),
    /// The loop of the step of this name.
    Loop(&'a str),
}

/// What sees nothing around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    /// The pipeline, seen from its steps.
    Steps,
    /// The pipeline, seen from its exit steps.
    ExitSteps,
    /// A self-contained group.
    Group {
        /// Whether it lies in an exit step.
        in_exit: bool,
    },
}

impl<'a, 's> Scope<'a, 's> {
    /// The steps of what sees nothing around it.
    pub(super) fn whole(
        whole: Whole,
        names: &'s Names<'a>,
        parameters: &'s Parameters<'a>,
    ) -> Self {
        Self { frame: Frame::Steps(names), up: None, whole, parameters }
    }

    /// The steps of a group that sees what is around it.
    pub(super) fn group(&'s self, names: &'s Names<'a>) -> Self {
        self.further_in(Frame::Steps(names))
    }

    /// The branches of a step.
    pub(super) fn branches(&'s self, branches: &'a [v1::Step]) -> Self {
        self.further_in(Frame::Branches(branches))
    }

    /// What lies in a step of this list.
    pub(super) fn within(&'s self, step: &'a str) -> Self {
        self.further_in(Frame::Within(step))
    }

    /// What is done for each item of the loop of a step of this list.
    pub(super) fn in_loop(&'s self, step: &'a str) -> Self {
        self.further_in(Frame::Loop(step))
    }

    fn further_in(&'s self, frame: Frame<'a, 's>) -> Self {
        Self { frame, up: Some(self), ..*self }
    }

    /// Whether this is part of what exit steps do.
    pub(super) fn is_exit(&self) -> bool {
        matches!(self.whole, Whole::ExitSteps | Whole::Group { in_exit: true })
    }
}
