//! `windlass run`: a server within the process, one run, and its end.

use std::{path::PathBuf, time::Duration};

use tokio::time::timeout;
use windlass_client::{
    Client,
    v1::{Run, RunState, SubmitRunRequest},
};
use windlass_service::signal::EndSignals;

use super::end_signals;
use crate::{
    args::{OutputFormat, RunArgs},
    embedded::{Embedded, EmbeddedConfig, RuntimeConfig, StateDir},
    exit::Exit,
    failure::Failure,
    follow::{Manner, OnSignal, follow},
    output,
    state::{self, StateError, StateWatch},
    submission::{self, BaseDir},
    view,
    warnings::Warnings,
};

/// How long the services may take to end when somebody wants to leave at once.
const LEAVE: Duration = Duration::from_secs(2);

/// What of the run is shown.
struct Show {
    format: OutputFormat,
    quiet: bool,
    logs: bool,
}

pub(super) async fn run(
    args: RunArgs,
    format: OutputFormat,
    warnings: Warnings,
) -> Result<Exit, Failure> {
    let request = submission::request(&args.submission, BaseDir::OfFile)?;
    let mut signals = end_signals()?;
    let state = match args.state_dir {
        Some(dir) => StateDir::Persistent(std::path::absolute(&dir).unwrap_or(dir)),
        None => StateDir::temporary().map_err(crate::embedded::StartError::from)?,
    };
    let dir = match &state {
        StateDir::Persistent(dir) => Some(dir.clone()),
        StateDir::Temporary(_) => None,
    };
    dir.as_deref().map_or(Ok(()), state::check)?;
    let runtime = RuntimeConfig::Process { slots: args.slots, supervisor: None };
    let embedded = Embedded::start(EmbeddedConfig { state, runtime }).await?;
    let show = Show { format, quiet: args.quiet, logs: !args.no_logs && !args.quiet };
    let exit = tokio::select! {
        exit = one_run(&embedded, request, &mut signals, &show, warnings) => exit,
        lost = lost(dir) => Err(lost.into()),
    };
    if matches!(exit, Ok(Exit::Left)) {
        // What has not ended by then ends with the process.
        let _ = timeout(LEAVE, embedded.shutdown()).await;
    } else {
        embedded.shutdown().await;
    }
    exit
}

/// Waits until the directory is lost; for ever if there is none.
async fn lost(dir: Option<PathBuf>) -> StateError {
    match dir {
        Some(dir) => StateWatch::new(dir).lost().await,
        None => std::future::pending().await,
    }
}

async fn one_run(
    embedded: &Embedded,
    request: SubmitRunRequest,
    signals: &mut EndSignals,
    show: &Show,
    warnings: Warnings,
) -> Result<Exit, Failure> {
    let client = &embedded.client();
    let run = client.submit(request).await?;
    let mut view = view::of(show.format, show.quiet);
    let mut manner = Manner { on_signal: OnSignal::Cancel, with_logs: show.logs, warnings };
    let followed = follow(client, &run, view.as_mut(), signals, &mut manner).await;
    drop(view);
    let exit = match followed {
        // Whoever read the output has gone, as by `| head`: nobody wants the rest.
        Err(failure) if failure.is_broken_pipe() => abandon(client, &run, signals, manner).await,
        Err(failure) => {
            output::report(&failure, show.format);
            abandon(client, &run, signals, manner).await.map(|_| failure.exit())
        }
        followed => followed,
    };
    // Longer than that would be no leaving at once.
    let _ = timeout(LEAVE, stop_what_is_cancelled(embedded, &run)).await;
    exit
}

/// Sees to it that the steps of a run which was left while it is being cancelled are told to stop before the services end:
/// nobody would tell them later.
async fn stop_what_is_cancelled(embedded: &Embedded, run: &Run) {
    let state = embedded.client().get(&run.run_id).await.map(|run| run.state());
    if state.is_ok_and(|state| state == RunState::Stopping) {
        embedded.stop_attempts(&run.run_id).await;
    }
}

/// Ends a run that nobody watches any more: its steps must not outlive this process unseen.
async fn abandon(
    client: &Client,
    run: &Run,
    signals: &mut EndSignals,
    manner: Manner,
) -> Result<Exit, Failure> {
    let mut manner = Manner { on_signal: OnSignal::Leave, with_logs: false, ..manner };
    follow(client, run, view::silent().as_mut(), signals, &mut manner).await
}
