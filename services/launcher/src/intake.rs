//! Takes commands from the bus and has them carried out.
//!
//! Three rows of commands, so that none waits for another: those that need room (LAUNCH, taken only while there is some), those
//! about attempts that exist (CONTROL), and those that only this host can carry out (HOST).

use std::{
    slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future;
use prost::Message as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use windlass_bus::{Bus, BusError, Delivery};
use windlass_proto::{
    id::{InvalidRunId, RunId},
    subject::Subject,
    v1::{self, command::Command as Body},
};
use windlass_service::{
    dead_letters::{DeadLetters, Refused},
    fail_point,
    recurring::Recurring,
};

use crate::{
    attempts::AttemptsError,
    clock,
    launch::{Launches, key},
    runtime::Runtime,
};

/// The most commands taken at once. They are carried out beside each other.
const BATCH: usize = 256;

/// How long to wait after the bus or the store has failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(250);

/// How long a command waits that only a newer program knows.
const WAIT_FOR_NEWER: Duration = Duration::from_secs(30);

/// Takes commands and carries them out.
#[derive(Debug)]
pub(crate) struct Intake<R> {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) launches: Arc<Launches<R>>,
    pub(crate) dead_letters: DeadLetters,
    /// What is told of commands that are tried again and again.
    pub(crate) troubles: Mutex<Recurring>,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Attempts(#[from] AttemptsError),
    #[error("it is of no known kind: it waits for a newer launcher")]
    Newer,
    #[error("it cannot be decoded: {0}; its sender is broken")]
    Decode(#[from] prost::DecodeError),
    #[error(transparent)]
    RunId(#[from] InvalidRunId),
}

impl CommandError {
    /// After how long the command is to be tried again; none where that is of no use.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Attempts(AttemptsError::Store(error)) if !error.is_retryable() => None,
            Self::Attempts(AttemptsError::Bus(error)) if !error.is_retryable() => None,
            Self::Attempts(_) => Some(PAUSE_AFTER_ERROR),
            Self::Newer => Some(WAIT_FOR_NEWER),
            Self::Decode(_) | Self::RunId(_) => None,
        }
    }
}

impl<R: Runtime> Intake<R> {
    /// Takes the commands of a subject until `shutdown`. One that was not carried out by then goes back.
    pub(crate) async fn run(&self, subject: Subject, shutdown: CancellationToken) {
        let mut troubles = Recurring::default();
        while !shutdown.is_cancelled() {
            let served = tokio::select! {
                served = self.serve(subject) => served,
                () = shutdown.cancelled() => return,
            };
            if let Err(error) = served {
                if let Some(untold) = troubles.came(&error.to_string(), Instant::now()) {
                    warn!(%subject, %error, untold, "commands wait");
                }
                tokio::select! {
                    () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
                    () = shutdown.cancelled() => {}
                }
            }
        }
    }

    async fn serve(&self, subject: Subject) -> Result<(), BusError> {
        let mut consumer = self.bus.consume(subject).await?;
        loop {
            let room = match subject {
                Subject::Launch => self.launches.attempts.runtime.room().await,
                _ => usize::MAX,
            };
            // A command that finds no room would keep others waiting: where room is counted, they are taken one by one.
            let limit = if room == usize::MAX { BATCH } else { 1 };
            let deliveries = consumer.fetch(limit).await?;
            fail_point::reach("launcher.fetched");
            let served = deliveries.into_iter().map(|it| self.serve_one(subject, it, room));
            future::try_join_all(served).await?;
            fail_point::reach("launcher.acked");
        }
    }

    async fn serve_one(
        &self,
        subject: Subject,
        delivery: Delivery,
        room: usize,
    ) -> Result<(), BusError> {
        let payload = delivery.payload.clone();
        let carried_out = self.carry_out(&payload, room);
        let carried_out = windlass_bus::hold(slice::from_ref(&delivery), carried_out).await;
        self.settle(subject, delivery, carried_out).await
    }

    /// Acknowledges a command that was carried out. One that can never be carried out is put where an operator finds it: the
    /// scheduler asks again for what it misses.
    async fn settle(
        &self,
        subject: Subject,
        delivery: Delivery,
        carried_out: Result<(), CommandError>,
    ) -> Result<(), BusError> {
        if let Err(error) = carried_out {
            if let Some(delay) = error.retry_after() {
                let untold = self.troubles().came(&error.to_string(), Instant::now());
                if let Some(untold) = untold {
                    warn!(%subject, %error, untold, "a command is tried again");
                }
                return delivery.receipt.nak(delay).await;
            }
            let (reason, record) = (error.to_string(), delivery.payload.clone());
            let refused = Refused { run: None, reason, record };
            self.dead_letters.keep(subject, refused, clock::now().0).await?;
        }
        delivery.receipt.ack().await
    }

    fn troubles(&self) -> MutexGuard<'_, Recurring> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry_out(&self, payload: &[u8], room: usize) -> Result<(), CommandError> {
        let command = v1::Command::decode(payload)?;
        let run: RunId = command.run_id.parse()?;
        let attempts = &self.launches.attempts;
        match command.command.ok_or(CommandError::Newer)? {
            Body::Launch(launch) => self.launches.launch(run, launch, room).await?,
            Body::Stop(stop) => {
                let keys: Vec<_> = stop.attempts.into_iter().map(|it| key(run, it)).collect();
                attempts.stop(run, &keys).await?;
            }
            Body::Probe(probe) => {
                let keys: Vec<_> = probe.attempts.into_iter().map(|it| key(run, it)).collect();
                attempts.probe(run, &keys).await?;
            }
            // Told to all on a subject of its own.
            Body::Remove(_) => {}
        }
        Ok(())
    }
}
