//! Orders to a run: `cancel`, `pause`, `resume`, `retry`, `rerun`, `delete`.

use std::collections::BTreeMap;

use windlass_client::v1::{RetryRunRequest, Run, RunState};

use super::{submit, target};
use crate::{
    args::{OneRunArgs, OutputFormat, RerunArgs, RetryArgs},
    document::{DeleteResult, RunResult},
    exit::Exit,
    failure::Failure,
    output,
    render::{Theme, words},
    submission,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Cancel,
    Pause,
    Resume,
}

pub(super) async fn order(
    order: Order,
    args: &OneRunArgs,
    format: OutputFormat,
) -> Result<Exit, Failure> {
    let (client, run_id) = target::connect_to_run(args, format).await?;
    let was_paused =
        order == Order::Pause && client.get(&run_id).await?.state() == RunState::Paused;
    let run = match order {
        Order::Cancel => client.cancel(&run_id).await?,
        Order::Pause => client.pause(&run_id).await?,
        Order::Resume => client.resume(&run_id).await?,
    };
    if was_paused && format == OutputFormat::Text {
        output::write(&format!("{run_id} was paused already\n"))?;
        return Ok(Exit::Success);
    }
    let taken = match order {
        Order::Cancel => "will be cancelled",
        Order::Pause => "will pause",
        Order::Resume => "will go on",
    };
    tell(&run, taken, format)?;
    Ok(Exit::Success)
}

pub(super) async fn retry(args: RetryArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let (client, run_id) = target::connect_to_run(&args.target, format).await?;
    let arguments = if args.params.is_empty() {
        BTreeMap::new()
    } else {
        submission::changed_arguments(&client.get(&run_id).await?, &args.params)?
    };
    let run = client
        .retry(RetryRunRequest {
            run_id,
            from_step: args.from.clone().unwrap_or_default(),
            arguments,
            max_parallelism: args.max_parallelism,
            timeout: args.timeout.and_then(|timeout| timeout.try_into().ok()),
        })
        .await?;
    match args.from {
        Some(from) => {
            let taken = format!("will be retried from {}", words::harmless(&from));
            tell(&run, &taken, format)?;
        }
        None => tell(&run, "will be retried", format)?,
    }
    Ok(Exit::Success)
}

/// An order is taken before it is carried out: the state tells how far that is.
fn tell(run: &Run, taken: &str, format: OutputFormat) -> Result<(), Failure> {
    if format == OutputFormat::Json {
        return output::write_json(&RunResult { run: run.into() });
    }
    let state = Theme::stdout().run_state(run.state(), &words::run_state(run.state()));
    output::write(&format!("{} {taken}; it is {state} now\n", run.run_id))
}

pub(super) async fn rerun(args: RerunArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let (client, run_id) = target::connect_to_run(&args.target, format).await?;
    let run = client.rerun(&run_id, args.request_id).await?;
    submit::tell(&run, format)?;
    Ok(Exit::Success)
}

pub(super) async fn delete(args: &OneRunArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let (client, run_id) = target::connect_to_run(args, format).await?;
    client.delete(&run_id).await?;
    match format {
        OutputFormat::Json => output::write_json(&DeleteResult { deleted: run_id })?,
        OutputFormat::Text => output::write(&format!("{run_id} is deleted\n"))?,
    }
    Ok(Exit::Success)
}
