//! `windlass graph`.

use windlass_pipeline::drawing;
use windlass_service::error::ErrorReason;

use crate::{
    args::{GraphArgs, GraphFormat, OutputFormat},
    document::GraphResult,
    exit::Exit,
    failure::{Failure, InputError},
    output,
    submission::{self, BaseDir},
};

pub(super) fn graph(args: &GraphArgs, output: OutputFormat) -> Result<Exit, Failure> {
    let pipeline = submission::pipeline(&args.file, &BaseDir::OfFile)?;
    let drawn = match args.format {
        GraphFormat::Dot => drawing::dot(&pipeline),
        GraphFormat::Mermaid => drawing::mermaid(&pipeline),
    };
    // A file that was read has been checked.
    let graph = drawn.map_err(|violations| {
        InputError::because(ErrorReason::InvalidPipeline, violations.to_string())
    })?;
    match output {
        OutputFormat::Json => output::write_json(&GraphResult { graph })?,
        OutputFormat::Text => output::write(&graph)?,
    }
    Ok(Exit::Success)
}
