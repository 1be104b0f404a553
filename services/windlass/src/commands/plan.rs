//! `windlass run --dry-run` and `windlass submit --dry-run`.

use windlass_client::v1::SubmitRunRequest;
use windlass_pipeline::{check::check, plan::Plan};

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
    // The file has been checked, and what the command line says in its place has not.
    check(&pipeline).map_err(InputError::from)?;
    let plan = Plan::of(&pipeline, &request.arguments).map_err(InputError::from)?;
    match format {
        OutputFormat::Json => output::write_json(&PlanResult { plan: plan.into() })?,
        OutputFormat::Text => output::write(&render::plan(&plan, &Theme::stdout()))?,
    }
    Ok(Exit::Success)
}
