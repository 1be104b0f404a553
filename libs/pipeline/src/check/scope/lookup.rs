//! Looking up what is named, and saying what is wrong with a name.

use std::fmt;

use windlass_proto::v1::ParameterType;

use super::{Frame, Scope, Whole};
use crate::{
    check::{Report, ViolationReason, names::Names},
    limits,
    quote::quote,
    suggest::did_you_mean,
    template::Reference,
};

/// A reference where it is written.
#[derive(Debug, Clone, Copy)]
pub(in crate::check) enum Mention<'r> {
    /// In a text, between braces.
    Text(Reference<'r>),
    /// In an expression.
    Expression(Reference<'r>),
}

impl<'r> Mention<'r> {
    fn reference(self) -> Reference<'r> {
        match self {
            Self::Text(reference) | Self::Expression(reference) => reference,
        }
    }
}

impl fmt::Display for Mention<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(reference) => write!(f, "`{reference}`"),
            Self::Expression(reference) => {
                let text = reference.to_string();
                write!(f, "`{}`", text.trim_start_matches("${{ ").trim_end_matches(" }}"))
            }
        }
    }
}

/// A step that was looked for.
struct Found<'a, 's> {
    names: &'s Names<'a>,
    index: u32,
    /// Whether what names it lies in it.
    is_around: bool,
    /// Whether its list is the outermost one.
    is_outermost: bool,
}

impl<'a, 's> Scope<'a, 's> {
    /// Reports a dependency on what is no step of this list.
    pub(in crate::check) fn dependency(&self, report: &mut impl Report, at: usize, name: &str) {
        let field = format_args!("depends_on[{at}]");
        let Frame::Steps(names) = self.frame else { return };
        let Some(index) = names.find(name) else {
            let of = if self.up.is_none() { "" } else { " of its group" };
            return report.add(
                ViolationReason::UnknownDependency,
                field,
                format_args!(
                    "depends on {}, which is no step{of}{}",
                    quote(name),
                    did_you_mean(name, names.iter()).or("; add such a step, or correct the name")
                ),
            );
        };
        let message = match self.whole {
            Whole::Steps if names.is_exit(index) => {
                "is an exit step and begins once all steps have ended; remove the dependency"
            }
            Whole::ExitSteps if self.up.is_none() && !names.is_exit(index) => {
                "has ended when exit steps begin; remove the dependency"
            }
            _ => return,
        };
        report.add(
            ViolationReason::UnknownDependency,
            field,
            format_args!("depends on {}, which {message}", quote(name)),
        );
    }

    /// Reports a reference to what cannot be named here. Tells whether it makes the step wait for another one.
    pub(in crate::check) fn reference(
        &self,
        report: &mut impl Report,
        field: fmt::Arguments<'_>,
        mention: Mention<'_>,
    ) -> bool {
        match mention.reference() {
            Reference::Output { step, output } => {
                return self.step(report, field, mention, step, Some(output));
            }
            Reference::State(step) => return self.step(report, field, mention, step, None),
            Reference::Param(name) => self.parameter(report, field, mention, name),
            Reference::Item { of, .. } | Reference::Index(of) => {
                self.item(report, field, mention, of);
            }
            Reference::RunState if !self.is_exit() => report.add(
                ViolationReason::InvalidReference,
                field,
                format_args!(
                    "{mention}: how the run ends is known to exit steps only; move the step to `exit_steps`"
                ),
            ),
            Reference::RunState
            | Reference::RunId
            | Reference::StepName
            | Reference::StepAttempt => {}
        }
        false
    }

    /// The type of what a reference stands for, where it is known before a run.
    pub(in crate::check) fn kind(&self, reference: Reference<'_>) -> Option<ParameterType> {
        match reference {
            Reference::Param(name) => self.parameters.get(name).copied(),
            Reference::Output { step, .. } => {
                let found = self.find(step)?;
                let is_loop = found.names.step(found.index).for_each.is_some();
                is_loop.then_some(ParameterType::List)
            }
            Reference::Item { .. } => None,
            Reference::Index(_) | Reference::StepAttempt => Some(ParameterType::Integer),
            Reference::State(_) | Reference::RunState | Reference::RunId | Reference::StepName => {
                Some(ParameterType::String)
            }
        }
    }

    /// This one and those around it.
    fn chain(&self) -> impl Iterator<Item = Self> + Clone + use<'a, 's> {
        std::iter::successors(Some(*self), |scope| scope.up.copied())
    }

    fn find(&self, name: &str) -> Option<Found<'a, 's>> {
        let mut left = None;
        self.chain().find_map(|scope| match scope.frame {
            Frame::Steps(names) => names.find(name).map(|index| Found {
                names,
                index,
                is_around: left == Some(name),
                is_outermost: scope.up.is_none(),
            }),
            Frame::Within(step) => {
                left = Some(step);
                None
            }
            Frame::Branches(_) | Frame::Loop(_) => None,
        })
    }

    fn step(
        &self,
        report: &mut impl Report,
        field: fmt::Arguments<'_>,
        mention: Mention<'_>,
        step: &str,
        output: Option<&str>,
    ) -> bool {
        let Some(found) = self.find(step) else {
            self.unknown_step(report, field, mention, step);
            return false;
        };
        let is_exit = found.names.is_exit(found.index);
        if found.is_around {
            report.add(
                ViolationReason::Cycle,
                field,
                format_args!(
                    "{mention}: this is part of step {}, which ends only after it; refer to what comes before",
                    quote(step)
                ),
            );
        } else if is_exit && !self.is_exit() {
            report.add(
                ViolationReason::UnknownStep,
                field,
                format_args!(
                    "{mention}: {} is an exit step and begins once all steps have ended; refer to it from exit steps",
                    quote(step)
                ),
            );
        } else if let Some(output) = output
            && !found.names.declares(found.index, output)
        {
            report.add(
                ViolationReason::UnknownOutput,
                field,
                format_args!(
                    "{mention}: step {} declares no output {}{}",
                    quote(step),
                    quote(output),
                    did_you_mean(output, found.names.outputs(found.index))
                        .or("; add it to the step's `outputs`")
                ),
            );
        }
        // When exit steps begin, all others have ended.
        is_exit || !(found.is_outermost && self.whole == Whole::ExitSteps)
    }

    fn unknown_step(
        &self,
        report: &mut impl Report,
        field: fmt::Arguments<'_>,
        mention: Mention<'_>,
        step: &str,
    ) {
        let is_branch = self.chain().any(|scope| match scope.frame {
            // More are refused, and would be looked through for each wrong name.
            Frame::Branches(branches) => {
                branches.iter().take(limits::BRANCHES).any(|branch| branch.name == step)
            }
            Frame::Steps(_) | Frame::Within(_) | Frame::Loop(_) => false,
        });
        let steps = self.chain().filter_map(|scope| match scope.frame {
            Frame::Steps(names) => Some(names.iter()),
            Frame::Branches(_) | Frame::Within(_) | Frame::Loop(_) => None,
        });
        let advice = match self.whole {
            _ if is_branch => "; it is one of several branches, which do not see each other",
            Whole::Group { .. } => {
                "; the group is self-contained and sees no step around it: pass what it needs in `arguments`"
            }
            Whole::Steps | Whole::ExitSteps => "; add such a step, or correct the name",
        };
        report.add(
            ViolationReason::UnknownStep,
            field,
            format_args!(
                "{mention}: there is no step {}{}",
                quote(step),
                did_you_mean(step, steps.flatten()).or(advice)
            ),
        );
    }

    fn parameter(
        &self,
        report: &mut impl Report,
        field: fmt::Arguments<'_>,
        mention: Mention<'_>,
        name: &str,
    ) {
        if self.parameters.contains_key(name) {
            return;
        }
        let of = match self.whole {
            Whole::Steps | Whole::ExitSteps => "",
            Whole::Group { .. } => " of this group",
        };
        report.add(
            ViolationReason::UnknownParameter,
            field,
            format_args!(
                "{mention}: there is no parameter {}{of}{}",
                quote(name),
                did_you_mean(name, self.parameters.keys().copied())
                    .or("; declare it under `parameters`")
            ),
        );
    }

    fn item(
        &self,
        report: &mut impl Report,
        field: fmt::Arguments<'_>,
        mention: Mention<'_>,
        of: Option<&str>,
    ) {
        let loops = self.chain().filter_map(|scope| match scope.frame {
            Frame::Loop(name) => Some(name),
            Frame::Steps(_) | Frame::Branches(_) | Frame::Within(_) => None,
        });
        match of {
            None if loops.clone().next().is_none() => report.add(
                ViolationReason::UnknownLoop,
                field,
                format_args!(
                    "{mention}: this is no part of a loop; only what a step with `for_each` does for each item knows the item"
                ),
            ),
            Some(of) if !loops.clone().any(|name| name == of) => report.add(
                ViolationReason::UnknownLoop,
                field,
                format_args!(
                    "{mention}: this is no part of a loop {}{}",
                    quote(of),
                    did_you_mean(of, loops).or("; name the step whose `for_each` it is")
                ),
            ),
            None | Some(_) => {}
        }
    }
}
