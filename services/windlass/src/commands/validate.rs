//! `windlass validate`.

use crate::{
    args::{OutputFormat, ValidateArgs},
    document::ValidateResult,
    exit::Exit,
    failure::Failure,
    output,
    render::words,
    submission::{self, BaseDir},
};

pub(super) fn validate(args: &ValidateArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let pipeline = submission::pipeline(&args.file, &BaseDir::OfFile)?;
    match format {
        OutputFormat::Json => output::write_json(&ValidateResult {
            pipeline: pipeline.name,
            steps: pipeline.steps.len(),
        })?,
        OutputFormat::Text => {
            let steps = words::steps(pipeline.steps.len());
            output::write(&format!(
                "{}: ok, pipeline `{}` with {steps}\n",
                submission::called(&args.file),
                pipeline.name
            ))?;
        }
    }
    Ok(Exit::Success)
}
