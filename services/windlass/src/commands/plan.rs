//! `windlass run --dry-run` and `windlass submit --dry-run`.

use windlass_client::v1::SubmitRunRequest;
use windlass_pipeline::plan::Plan;
use windlass_service::error::ErrorReason;

use crate::{
    args::OutputFormat,
    document::PlanResult,
    exit::Exit,
    failure::{Failure, InputError},
    output,
    render::{self, Theme},
};

/// Shows what a run would do.
pub(super) fn tell(request: &SubmitRunRequest, format: OutputFormat) -> Result<Exit, Failure> {
    let pipeline = request.pipeline.clone().unwrap_or_default();
    // A request that was put together has been checked.
    let plan = Plan::of(&pipeline, &request.arguments).map_err(|violations| {
        InputError::because(ErrorReason::InvalidPipeline, violations.to_string())
    })?;
    match format {
        OutputFormat::Json => output::write_json(&PlanResult { plan: plan.into() })?,
        OutputFormat::Text => output::write(&render::plan(&plan, &Theme::stdout()))?,
    }
    Ok(Exit::Success)
}
