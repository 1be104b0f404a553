//! A program from its start to its end.

use std::{io, net::SocketAddr};

use tokio::{
    net::TcpListener,
    task::{JoinError, JoinHandle},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Context, Exit, ServiceError, panics};
use crate::{
    health::{self, Readiness},
    settings::{Program, Settings, ShutdownSettings},
    signal::EndSignals,
};

/// What became of the service.
type Ended = Result<Result<(), ServiceError>, JoinError>;

pub(super) async fn live<S, F>(program: Program, settings: Settings, service: S) -> Exit
where
    S: FnOnce(Context) -> F + Send + 'static,
    F: Future<Output = Result<(), ServiceError>> + Send,
{
    let mut signals = match EndSignals::new() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "signals cannot be received");
            return Exit::Failure;
        }
    };
    let panicked = panics::watch();
    let readiness = Readiness::default();
    if let Some(address) = settings.admin_listen(program)
        && let Err(error) = listen(address, readiness.clone()).await
    {
        error!(%address, %error, "the port for operators cannot be opened; set `admin_listen` of the program to another one");
        return Exit::Failure;
    }
    let shutdown = CancellationToken::new();
    let limits = settings.shutdown.clone();
    let context = Context { settings, readiness: readiness.clone(), shutdown: shutdown.clone() };
    let mut running = tokio::spawn(async move { service(context).await });
    let exit = tokio::select! {
        ended = &mut running => return ended_early(ended),
        () = signals.next() => Exit::Success,
        () = panicked.cancelled() => Exit::Failure,
    };
    readiness.end();
    info!("ending");
    tokio::select! {
        ended = end(&mut running, &limits, shutdown) => match ended {
            Exit::Success if panicked.is_cancelled() => Exit::Failure,
            Exit::Success => exit,
            other => other,
        },
        () = signals.next() => {
            warn!("left before all had ended; nothing that was told is lost");
            Exit::Left
        }
    }
}

/// Opens the port for operators, which stays open for as long as the process runs.
async fn listen(address: SocketAddr, readiness: Readiness) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    info!(address = %listener.local_addr()?, "operators are answered");
    tokio::spawn(async move {
        if let Err(error) = health::http::serve(listener, readiness).await {
            error!(%error, "operators are no longer answered");
        }
    });
    Ok(())
}

/// Tells the service to end, and waits for that.
async fn end(
    running: &mut JoinHandle<Result<(), ServiceError>>,
    limits: &ShutdownSettings,
    shutdown: CancellationToken,
) -> Exit {
    tokio::select! {
        // A service that ends before it is told to has nothing left to wait for.
        ended = &mut *running => return ended_as_asked(ended),
        () = sleep(limits.delay) => {}
    }
    shutdown.cancel();
    if let Ok(ended) = timeout(limits.limit, running).await {
        return ended_as_asked(ended);
    }
    error!(limit = ?limits.limit, "had not ended within `shutdown.limit`, and is left; nothing that was told is lost");
    Exit::Failure
}

fn ended_as_asked(ended: Ended) -> Exit {
    match ended {
        Ok(Ok(())) => {
            info!("ended");
            Exit::Success
        }
        Ok(Err(error)) => failed(error.as_ref()),
        // The hook has told of the panic.
        Err(_) => Exit::Failure,
    }
}

fn ended_early(ended: Ended) -> Exit {
    match ended {
        Ok(Ok(())) => {
            error!("ended without being asked to");
            Exit::Failure
        }
        Ok(Err(error)) => failed(error.as_ref()),
        Err(_) => Exit::Failure,
    }
}

/// Tells why, with what is behind it.
fn failed(error: &(dyn std::error::Error + 'static)) -> Exit {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        // Many messages hold that of their cause.
        if !message.contains(&said) {
            message = format!("{message}: {said}");
        }
        cause = error.source();
    }
    error!("failed: {message}");
    Exit::Failure
}
