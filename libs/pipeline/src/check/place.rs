//! Where a step stands in a pipeline. Texts are made only of the places that are told of.

use std::fmt;

use crate::quote::shown;

/// The list that a step is an entry of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum List<'p> {
    /// The pipeline's steps.
    Steps,
    /// The pipeline's exit steps.
    ExitSteps,
    /// The steps of the group that stands there.
    Group(&'p Place<'p>),
    /// The branches of the step that stands there.
    Branches(&'p Place<'p>),
}

/// A step's place: a chain from the step to the pipeline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'p> {
    /// The list.
    pub(crate) list: List<'p>,
    /// The place in the list.
    pub(crate) at: usize,
    /// The step's name.
    pub(crate) name: &'p str,
}

impl<'p> Place<'p> {
    /// The step that this one lies in.
    fn up(&self) -> Option<&'p Place<'p>> {
        match self.list {
            List::Steps | List::ExitSteps => None,
            List::Group(up) | List::Branches(up) => Some(up),
        }
    }

    /// In how many steps it lies.
    pub(crate) fn depth(&self) -> usize {
        std::iter::successors(self.up(), |place| place.up()).count()
    }

    /// The place as a path of the contract's field names.
    pub(crate) fn field(self) -> Field<'p> {
        Field(self)
    }

    /// The step's path, between backticks: its own name behind those of the steps that it lies in.
    pub(crate) fn path(self) -> Path<'p> {
        Path(self)
    }
}

/// Displays `steps[2].group.steps[0]`.
pub(crate) struct Field<'p>(Place<'p>);

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { list, at, .. } = self.0;
        match list {
            List::Steps => write!(f, "steps[{at}]"),
            List::ExitSteps => write!(f, "exit_steps[{at}]"),
            List::Group(up) => write!(f, "{}.group.steps[{at}]", up.field()),
            List::Branches(up) => write!(f, "{}.branches.branches[{at}]", up.field()),
        }
    }
}

/// Displays `` `prepare.load` ``.
pub(crate) struct Path<'p>(Place<'p>);

impl Path<'_> {
    fn write(place: &Place<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(up) = place.up() {
            Self::write(up, f)?;
            f.write_str(".")?;
        }
        write!(f, "{}", shown(place.name))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        Self::write(&self.0, f)?;
        f.write_str("`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_from_the_pipeline_on() {
        let prepare = Place { list: List::ExitSteps, at: 2, name: "prepare" };
        let choose = Place { list: List::Group(&prepare), at: 0, name: "choose" };
        let good = Place { list: List::Branches(&choose), at: 1, name: "go\nod" };
        assert_eq!(good.field().to_string(), "exit_steps[2].group.steps[0].branches.branches[1]");
        assert_eq!(good.path().to_string(), "`prepare.choose.go\\nod`");
        assert_eq!((prepare.depth(), good.depth()), (0, 2));
    }
}
