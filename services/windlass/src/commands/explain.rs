//! `windlass explain`.

use jiff::Timestamp;

use super::target;
use crate::{
    args::{ExplainArgs, OutputFormat},
    document::ExplainResult,
    exit::Exit,
    failure::Failure,
    output,
    render::{self, Theme},
};

pub(super) async fn explain(args: ExplainArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let (client, run_id) = target::connect_to_run(&args.target, format).await?;
    let explained = client.explain(&run_id, args.step.as_deref()).await?;
    match format {
        OutputFormat::Json => output::write_json(&ExplainResult::from(&explained))?,
        OutputFormat::Text => {
            output::write(&render::explained(&explained, Timestamp::now(), &Theme::stdout()))?;
        }
    }
    Ok(Exit::Success)
}
