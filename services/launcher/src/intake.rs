//! Takes commands from the bus and has them carried out, attempt by attempt where one of them is at fault. Of those that
//! nothing can be done about the schedulers are told: they would wait for ever.
//!
//! Three rows of commands, so that none waits for another: those that need room (LAUNCH, taken only while there is some), those
//! about attempts that exist (CONTROL), and those that only this host can carry out (HOST).

use std::{
    slice,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use prost::Message as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use windlass_bus::{Bus, BusError, Consumer, Delivery};
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

/// How long a command waits none of whose attempts could be created.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(1);

/// How long a command waits that only a newer program knows.
const WAIT_FOR_NEWER: Duration = Duration::from_secs(30);

/// The most attempts that one message tells about.
const TOLD_AT_ONCE: usize = 256;

/// Takes commands and carries them out.
#[derive(Debug)]
pub(crate) struct Intake<R> {
    /// Into how many partitions runs are divided.
    pub(crate) partitions: u32,
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
    #[error("it can never be carried out: {error}")]
    Refused { run: RunId, error: AttemptsError },
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
            Self::Attempts(AttemptsError::NotTaken) => Some(WAIT_FOR_ROOM),
            Self::Attempts(_) => Some(PAUSE_AFTER_ERROR),
            Self::Newer => Some(WAIT_FOR_NEWER),
            Self::Refused { .. } | Self::Decode(_) | Self::RunId(_) => None,
        }
    }

    /// The run that the command is about, where it could be read.
    fn run(&self) -> Option<RunId> {
        match self {
            Self::Refused { run, .. } => Some(*run),
            Self::Attempts(_) | Self::Newer | Self::Decode(_) | Self::RunId(_) => None,
        }
    }
}

impl<R: Runtime> Intake<R> {
    /// Takes the commands of a subject until `shutdown`, and carries those through that it has taken: an attempt that was claimed
    /// for this host and is not created here would be lost.
    pub(crate) async fn run(&self, subject: Subject, shutdown: CancellationToken) {
        let mut troubles = Recurring::default();
        while !shutdown.is_cancelled() {
            if let Err(error) = self.serve(subject, &shutdown).await {
                if let Some(untold) = troubles.came(&error.to_string(), Instant::now()) {
                    warn!(%subject, %error, untold, "commands wait");
                }
                shutdown.run_until_cancelled(tokio::time::sleep(PAUSE_AFTER_ERROR)).await;
            }
        }
    }

    async fn serve(&self, subject: Subject, shutdown: &CancellationToken) -> Result<(), BusError> {
        let consumer = shutdown.run_until_cancelled(self.bus.consume(subject)).await;
        let mut consumer = match consumer {
            Some(consumer) => consumer?,
            None => return Ok(()),
        };
        let mut under_way = FuturesUnordered::new();
        loop {
            let more = self.at_once(subject).saturating_sub(under_way.len());
            tokio::select! {
                served = under_way.next(), if !under_way.is_empty() => {
                    served.transpose()?;
                    fail_point::reach("launcher.acked");
                }
                taken = self.take(subject, &mut *consumer, more), if more > 0 => {
                    let (deliveries, room) = taken?;
                    fail_point::reach("launcher.fetched");
                    let served = |delivery| self.serve_one(subject, delivery, room);
                    under_way.extend(deliveries.into_iter().map(served));
                }
                () = shutdown.cancelled() => break,
            }
        }
        while let Some(served) = under_way.next().await {
            served?;
        }
        Ok(())
    }

    /// How many commands of a subject are carried out at once.
    fn at_once(&self, subject: Subject) -> usize {
        match subject {
            Subject::Launch { .. } => self.launches.attempts.runtime.commands_at_once().min(BATCH),
            _ => BATCH,
        }
    }

    /// Waits for commands for which there is room, at most so many, and tells for how many attempts there is. Several commands that
    /// are taken at once may name more than that: a runtime that carries out several at once declines what is too much.
    async fn take(
        &self,
        subject: Subject,
        consumer: &mut dyn Consumer,
        most: usize,
    ) -> Result<(Vec<Delivery>, usize), BusError> {
        let room = match subject {
            Subject::Launch { .. } => self.launches.attempts.runtime.room().await,
            _ => usize::MAX,
        };
        // Each command names one attempt at least.
        Ok((consumer.fetch(most.min(room)).await?, room))
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

    /// Acknowledges a command that was carried out. One that can never be carried out is put where an operator finds it.
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
            let (run, reason, record) = (error.run(), error.to_string(), delivery.payload.clone());
            let refused = Refused { run, reason, record };
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
        let body = command.command.ok_or(CommandError::Newer)?;
        let error = match self.obey(run, body, room).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_retryable() => return Err(error.into()),
            Err(error) => error,
        };
        // Rare enough to be read a second time.
        let again = v1::Command::decode(payload)?.command;
        let mut refused = Vec::new();
        for (attempt, part) in again.iter().flat_map(parts) {
            match self.obey(run, part, room).await {
                Ok(()) => {}
                Err(error) if error.is_retryable() => return Err(error.into()),
                Err(error) => refused.push(defect(attempt, &error)),
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        self.tell(run, refused).await?;
        Err(CommandError::Refused { run, error })
    }

    async fn obey(&self, run: RunId, body: Body, room: usize) -> Result<(), AttemptsError> {
        let attempts = &self.launches.attempts;
        match body {
            Body::Launch(launch) => self.launches.launch(run, launch, room).await,
            Body::Stop(stop) => {
                let keys: Vec<_> = stop.attempts.into_iter().map(|it| key(run, it)).collect();
                attempts.stop(run, &keys).await
            }
            Body::Probe(probe) => {
                let keys: Vec<_> = probe.attempts.into_iter().map(|it| key(run, it)).collect();
                attempts.probe(run, &keys).await
            }
            // Told to all on a subject of its own.
            Body::Remove(_) => Ok(()),
        }
    }

    /// Tells a run's scheduler of attempts that nothing can be done about.
    async fn tell(&self, run: RunId, events: Vec<v1::Event>) -> Result<(), AttemptsError> {
        let subject = Subject::Event { partition: run.partition(self.partitions) };
        for events in events.chunks(TOLD_AT_ONCE) {
            let events = v1::RunEvents { run_id: run.to_string(), events: events.to_vec() };
            let batch = v1::EventBatch { runs: vec![events] };
            self.bus.publish(subject, Bytes::from(batch.encode_to_vec()).into()).await?;
        }
        Ok(())
    }
}

/// The attempts of a command, and for each the same command about it alone.
fn parts(body: &Body) -> Vec<(v1::AttemptRef, Body)> {
    let alone = |attempt: &v1::AttemptRef| {
        let attempts = vec![*attempt];
        let part = match body {
            Body::Launch(it) => Body::Launch(v1::Launch { generation: it.generation, attempts }),
            Body::Stop(_) => Body::Stop(v1::Stop { attempts }),
            Body::Probe(_) => Body::Probe(v1::Probe { attempts }),
            Body::Remove(_) => Body::Remove(v1::Remove {}),
        };
        (*attempt, part)
    };
    let attempts = match body {
        Body::Launch(it) => &it.attempts[..],
        Body::Stop(it) => &it.attempts,
        Body::Probe(it) => &it.attempts,
        Body::Remove(_) => &[],
    };
    attempts.iter().map(alone).collect()
}

/// The report of an attempt of which nobody can tell any more what becomes: its run fails, and does not wait for it.
fn defect(attempt: v1::AttemptRef, error: &AttemptsError) -> v1::Event {
    let v1::AttemptRef { step, attempt } = attempt;
    let message = format!(
        "nobody can tell what becomes of attempt {attempt} of the step of index {step}: {error}; should a host have begun it, it goes on there until it ends"
    );
    let report = v1::AttemptReport {
        step,
        attempt,
        phase: v1::AttemptPhase::Ended.into(),
        reason: v1::Reason::RunDefect.into(),
        message,
        ..v1::AttemptReport::default()
    };
    v1::Event { event: Some(v1::event::Event::Report(report)) }
}
