//! The rules of a pipeline. What passes here compiles, and every service relies on it.
//!
//! Linear in the size of the pipeline, and with no text made for what is in order: a million steps take seconds, and
//! some 100 bytes each.

mod arguments;
mod branches;
mod cache;
mod field;
mod for_each;
mod group;
mod names;
mod outputs;
mod parameters;
mod pipeline;
mod place;
mod pod;
mod retry;
mod rules;
mod scope;
mod step;
mod task;
mod text;
mod violation;
mod walk;

use std::collections::BTreeMap;

use prost_types::Duration;
use windlass_proto::v1;

pub(crate) use place::{List, Place};
pub(crate) use violation::Report;
pub use violation::{Violation, ViolationReason, Violations};

use crate::compile;
use field::Shortest;
use names::Names;
use scope::{Scope, Whole};
use walk::Walk;

/// Checks a pipeline against all rules.
///
/// # Errors
///
/// All violations that were found. Cycles are looked for only where there is no other violation.
pub fn check(pipeline: &v1::Pipeline) -> Result<(), Violations> {
    let mut walk = Walk::default();
    pipeline::check(pipeline, &mut walk.violations);
    if pipeline::is_too_large(pipeline, &mut walk.violations) {
        return Err(walk.violations);
    }
    parameters::check(&pipeline.parameters, &mut walk.violations);
    let parameters = parameters::types(&pipeline.parameters);
    let names = Names::of_pipeline(pipeline, &mut walk.violations);
    for (list, steps, whole) in [
        (List::Steps, &pipeline.steps, Whole::Steps),
        (List::ExitSteps, &pipeline.exit_steps, Whole::ExitSteps),
    ] {
        step::check_all(list, steps, &Scope::whole(whole, &names, &parameters), &mut walk);
    }
    drop(names);
    walk.finish()?;
    compile::graph(pipeline, 0).map(drop)
}

/// Checks a time-out that comes in place of a run's, where there is one: 0 is none.
pub(crate) fn changed_timeout(timeout: Option<&Duration>) -> Result<(), Violations> {
    let mut violations = Violations::default();
    field::duration(&mut violations, "timeout", timeout, Shortest::Zero);
    violations.into_result()
}

/// Checks what a pipeline outputs where it is used as a group.
///
/// # Errors
///
/// All violations; fields read `outputs[NAME]`.
pub(crate) fn outputs(
    pipeline: &v1::Pipeline,
    outputs: &BTreeMap<String, String>,
) -> Result<(), Violations> {
    if outputs.is_empty() {
        return Ok(());
    }
    let mut violations = Violations::default();
    let names = Names::of_pipeline(pipeline, &mut violations);
    outputs::check(outputs, &names, &mut violations);
    violations.into_result()
}
