//! `windlass get`.

use jiff::Timestamp;
use windlass_client::{
    Client,
    v1::{ListAttemptsRequest, ListStepsRequest},
};

use super::target;
use crate::{
    args::{GetArgs, OutputFormat},
    document::{AttemptsResult, GetResult},
    exit::Exit,
    failure::Failure,
    output,
    render::{self, Theme},
};

pub(super) async fn get(args: GetArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let (client, run_id) = target::connect_to_run(&args.target, format).await?;
    match args.attempts {
        Some(step) => attempts(&client, run_id, step, format).await?,
        None => run(&client, run_id, args.limit as usize, format).await?,
    }
    Ok(Exit::Success)
}

async fn run(
    client: &Client,
    run_id: String,
    limit: usize,
    format: OutputFormat,
) -> Result<(), Failure> {
    let run = client.get(&run_id).await?;
    let steps = client.list_steps(ListStepsRequest { run_id, ..ListStepsRequest::default() });
    match format {
        OutputFormat::Json => {
            let steps = steps.all().await?.iter().map(Into::into).collect();
            output::write_json(&GetResult { run: (&run).into(), steps })
        }
        OutputFormat::Text => {
            let (steps, more) = steps.take(limit).await?;
            output::write(&render::run(&run, &steps, more, Timestamp::now(), &Theme::stdout()))
        }
    }
}

async fn attempts(
    client: &Client,
    run_id: String,
    step: String,
    format: OutputFormat,
) -> Result<(), Failure> {
    let request = ListAttemptsRequest { run_id, step, ..ListAttemptsRequest::default() };
    let attempts = client.list_attempts(request).all().await?;
    match format {
        OutputFormat::Json => {
            let attempts = attempts.iter().map(Into::into).collect();
            output::write_json(&AttemptsResult { attempts })
        }
        OutputFormat::Text => {
            output::write(&render::attempts(&attempts, Timestamp::now(), &Theme::stdout()))
        }
    }
}
