//! `windlass run`: a server within the process, one run, and its end.

use std::time::Duration;

use tokio::time::timeout;
use windlass_client::{
    Client,
    v1::{Run, SubmitRunRequest},
};
use windlass_service::signal::EndSignals;

use super::end_signals;
use crate::{
    args::{OutputFormat, RunArgs},
    embedded::{Embedded, EmbeddedConfig, RuntimeConfig, StateDir},
    exit::Exit,
    failure::Failure,
    follow::{OnSignal, follow},
    output,
    submission::{self, BaseDir},
    view,
};

/// How long the services may take to end when somebody wants to leave at once.
const LEAVE: Duration = Duration::from_secs(2);

/// What of the run is shown.
struct Show {
    format: OutputFormat,
    quiet: bool,
    logs: bool,
}

pub(super) async fn run(args: RunArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let request = submission::request(&args.submission, BaseDir::OfFile)?;
    let mut signals = end_signals()?;
    let state = match args.state_dir {
        Some(dir) => StateDir::Persistent(std::path::absolute(&dir).unwrap_or(dir)),
        None => StateDir::temporary().map_err(crate::embedded::StartError::from)?,
    };
    let runtime = RuntimeConfig::Process { slots: args.slots, supervisor: None };
    let embedded = Embedded::start(EmbeddedConfig { state, runtime }).await?;
    let show = Show { format, quiet: args.quiet, logs: !args.no_logs && !args.quiet };
    let exit = one_run(&embedded.client(), request, &mut signals, &show).await;
    if matches!(exit, Ok(Exit::Left)) {
        // What has not ended by then ends with the process.
        let _ = timeout(LEAVE, embedded.shutdown()).await;
    } else {
        embedded.shutdown().await;
    }
    exit
}

async fn one_run(
    client: &Client,
    request: SubmitRunRequest,
    signals: &mut EndSignals,
    show: &Show,
) -> Result<Exit, Failure> {
    let run = client.submit(request).await?;
    let mut view = view::of(show.format, show.quiet);
    let followed = follow(client, &run, view.as_mut(), signals, OnSignal::Cancel, show.logs).await;
    drop(view);
    match followed {
        // Whoever read the output has gone, as by `| head`: nobody wants the rest.
        Err(failure) if failure.is_broken_pipe() => abandon(client, &run, signals).await,
        Err(failure) => {
            output::report(&failure, show.format);
            abandon(client, &run, signals).await.map(|_| failure.exit())
        }
        followed => followed,
    }
}

/// Ends a run that nobody watches any more: its steps must not outlive this process unseen.
async fn abandon(client: &Client, run: &Run, signals: &mut EndSignals) -> Result<Exit, Failure> {
    // If the run has ended meanwhile, there is nothing to cancel.
    if client.cancel(&run.run_id).await.is_ok() {
        output::note("the output cannot be written any more, so the run is cancelled");
    }
    follow(client, run, view::silent().as_mut(), signals, OnSignal::Cancel, false).await
}
