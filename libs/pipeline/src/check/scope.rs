//! The names that a step may refer to.

use std::collections::{HashMap, HashSet};

use windlass_proto::v1;

use super::{Report, ViolationReason, Violations, field};
use crate::{name, quote::quote, suggest::did_you_mean, template::Reference};

/// Steps and parameters by name.
pub(super) struct Scope<'a> {
    pipeline: &'a v1::Pipeline,
    steps: HashMap<&'a str, u32>,
    parameters: HashSet<&'a str>,
}

impl<'a> Scope<'a> {
    /// Collects the names; reports steps whose name is unlawful or taken.
    pub(super) fn new(pipeline: &'a v1::Pipeline, violations: &mut Violations) -> Self {
        let mut steps = HashMap::with_capacity(pipeline.steps.len());
        for (at, step) in (0..).zip(&pipeline.steps) {
            field::name(
                violations,
                &name::STEP,
                "a step",
                format_args!("steps[{at}].name"),
                &step.name,
            );
            if let Some(first) = steps.insert(step.name.as_str(), at) {
                violations.add(
                    ViolationReason::DuplicateName,
                    format_args!("steps[{at}].name"),
                    format_args!(
                        "there are two steps {}, the first one is steps[{first}]; rename one",
                        quote(&step.name)
                    ),
                );
            }
        }
        let parameters =
            pipeline.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        Self { pipeline, steps, parameters }
    }

    /// Reports a dependency on a step that does not exist.
    pub(super) fn dependency(&self, report: &mut impl Report, at: usize, name: &'a str) {
        if !self.steps.contains_key(name) {
            report.add(
                ViolationReason::UnknownDependency,
                format_args!("depends_on[{at}]"),
                format_args!(
                    "depends on {}, which is no step{}",
                    quote(name),
                    self.did_you_mean_step(name)
                ),
            );
        }
    }

    /// Reports a reference to what does not exist.
    pub(super) fn reference(
        &self,
        report: &mut impl Report,
        field: std::fmt::Arguments<'_>,
        reference: Reference<'a>,
    ) {
        match reference {
            Reference::Param(name) if !self.parameters.contains(name) => report.add(
                ViolationReason::UnknownParameter,
                field,
                format_args!(
                    "`{reference}`: there is no parameter {}{}",
                    quote(name),
                    did_you_mean(name, self.parameters.iter().copied())
                        .or("; declare it under `parameters`")
                ),
            ),
            Reference::Output { step, output } => {
                self.output(report, field, reference, (step, output));
            }
            Reference::Param(_)
            | Reference::RunId
            | Reference::StepName
            | Reference::StepAttempt => {}
        }
    }

    fn output(
        &self,
        report: &mut impl Report,
        field: std::fmt::Arguments<'_>,
        reference: Reference<'a>,
        (step, output): (&'a str, &'a str),
    ) {
        let Some(index) = self.steps.get(step) else {
            return report.add(
                ViolationReason::UnknownStep,
                field,
                format_args!(
                    "`{reference}`: there is no step {}{}",
                    quote(step),
                    self.did_you_mean_step(step)
                ),
            );
        };
        let outputs = self.pipeline.steps[*index as usize].outputs.iter().map(String::as_str);
        if !outputs.clone().any(|declared| declared == output) {
            report.add(
                ViolationReason::UnknownOutput,
                field,
                format_args!(
                    "`{reference}`: step {} declares no output {}{}",
                    quote(step),
                    quote(output),
                    did_you_mean(output, outputs).or("; add it to the step's `outputs`")
                ),
            );
        }
    }

    fn did_you_mean_step(&self, name: &'a str) -> impl std::fmt::Display {
        did_you_mean(name, self.pipeline.steps.iter().map(|step| step.name.as_str()))
            .or("; add such a step, or correct the name")
    }
}
