//! The rules of a pipeline. What passes here compiles, and every service relies on it.
//!
//! Linear in the size of the pipeline, and with no text made for what is in order: a million steps take seconds, and
//! some 100 bytes each.

mod field;
mod parameters;
mod pipeline;
mod scope;
mod step;
mod task;
mod violation;

use windlass_proto::v1;

pub(crate) use violation::Report;
pub use violation::{Violation, ViolationReason, Violations};

use crate::compile;

/// Checks a pipeline against all rules.
///
/// # Errors
///
/// All violations that were found. Cycles are looked for only where there is no other violation.
pub fn check(pipeline: &v1::Pipeline) -> Result<(), Violations> {
    let mut violations = Violations::default();
    pipeline::check(pipeline, &mut violations);
    if pipeline::is_too_large(pipeline, &mut violations) {
        return Err(violations);
    }
    parameters::check(&pipeline.parameters, &mut violations);
    let scope = scope::Scope::new(pipeline, &mut violations);
    step::check_all(pipeline, &scope, &mut violations);
    drop(scope);
    violations.into_result()?;
    compile::graph(pipeline, 0).map(drop)
}
