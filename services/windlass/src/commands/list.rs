//! `windlass list`.

use jiff::Timestamp;
use windlass_client::v1::{ListRunsRequest, RunFilter, RunState};

use super::target;
use crate::{
    args::{ListArgs, OutputFormat},
    document::ListResult,
    exit::Exit,
    failure::Failure,
    output,
    render::{self, Theme},
};

/// The most runs of a page.
const MAX_PAGE: usize = 1000;

pub(super) async fn list(args: ListArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let limit = args.limit as usize;
    let client = target::connect(&args.server, format).await?;
    let filter = RunFilter {
        states: args.states.into_iter().map(|state| RunState::from(state).into()).collect(),
        pipeline: args.pipeline,
        labels: args.labels.into_iter().collect(),
        ..RunFilter::default()
    };
    // One more than asked for tells whether there are more.
    let page_size = i32::try_from(limit.saturating_add(1).min(MAX_PAGE)).unwrap_or(0);
    let request = ListRunsRequest {
        namespace: args.namespace,
        page_size,
        filter: Some(filter),
        ..Default::default()
    };
    let (runs, more) = client.list_runs(request).take(limit).await?;
    match format {
        OutputFormat::Json => {
            let runs = runs.iter().map(Into::into).collect();
            output::write_json(&ListResult { runs, more })?;
        }
        OutputFormat::Text => {
            output::write(&render::runs(&runs, more, Timestamp::now(), &Theme::stdout()))?;
        }
    }
    Ok(Exit::Success)
}
