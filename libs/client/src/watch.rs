//! Following a run across broken connections.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tonic::Streaming;
use windlass_proto::v1::{Run, StepStatus, WatchRunRequest, WatchRunResponse};

use crate::{Client, ClientError, backoff::Backoff, view::View};

/// A run that is being followed: its state, and the way to the next change.
#[derive(Debug)]
pub struct RunWatch {
    client: Client,
    request: WatchRunRequest,
    view: View,
    phase: Phase,
    backoff: Backoff,
}

/// What a watch has to tell.
#[derive(Debug, Clone)]
pub enum WatchEvent {
    /// The run is other than before.
    Changed(RunChange),
    /// The server cannot be reached; the watch goes on by itself.
    Interrupted {
        /// Why.
        error: ClientError,
        /// When it is tried again.
        retry_in: Duration,
    },
}

/// What is other than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunChange {
    /// The indices of the steps that changed; at first, of all steps. Empty in a watch of the run alone.
    pub steps: Vec<u32>,
}

#[derive(Debug)]
enum Phase {
    Connecting,
    Streaming(Box<Streaming<WatchRunResponse>>),
    Waiting(Instant),
    Ended,
}

impl RunWatch {
    pub(crate) fn new(client: Client, run_id: &str, run_only: bool) -> Self {
        let backoff = Backoff::new(client.patience);
        let request = WatchRunRequest { run_id: run_id.to_owned(), run_only };
        Self { client, request, view: View::default(), phase: Phase::Connecting, backoff }
    }

    /// The run as it is known; a default one before the first change.
    pub fn run(&self) -> &Run {
        &self.view.run
    }

    /// The steps by index, as they are known; empty in a watch of the run alone. A run grows while its loops begin: a step of
    /// which nothing has been heard yet is a default one, without a name and in no state.
    pub fn steps(&self) -> &[StepStatus] {
        &self.view.steps
    }

    /// Whether the run has ended.
    pub fn has_ended(&self) -> bool {
        self.view.has_ended()
    }

    /// Waits for the next change; none once the run has ended.
    ///
    /// May be dropped while it waits, and called again, without losing anything.
    ///
    /// # Errors
    ///
    /// What trying again does not heal, or the last error when patience has ended; the watch is over then.
    pub async fn next(&mut self) -> Result<Option<WatchEvent>, ClientError> {
        loop {
            let received = match &mut self.phase {
                Phase::Ended => return Ok(None),
                Phase::Waiting(until) => {
                    sleep_until(*until).await;
                    self.phase = Phase::Connecting;
                    continue;
                }
                Phase::Connecting => match self.client.runs.watch_run(self.request.clone()).await {
                    Ok(stream) => {
                        self.phase = Phase::Streaming(Box::new(stream.into_inner()));
                        continue;
                    }
                    Err(status) => Err(status),
                },
                Phase::Streaming(stream) => stream.message().await,
            };
            match received {
                Ok(Some(message)) => {
                    if let Some(steps) = self.take_in(message) {
                        return Ok(Some(WatchEvent::Changed(RunChange { steps })));
                    }
                }
                // The server ends a stream when the run has ended; before, it is going away.
                Ok(None) if self.view.has_ended() => self.phase = Phase::Ended,
                Ok(None) => return self.interrupt(going_away()).map(Some),
                Err(status) => return self.interrupt(status.into()).map(Some),
            }
        }
    }

    fn take_in(&mut self, message: WatchRunResponse) -> Option<Vec<u32>> {
        self.backoff.reset();
        self.view.apply(message)
    }

    fn interrupt(&mut self, error: ClientError) -> Result<WatchEvent, ClientError> {
        self.view.drop_parts();
        self.phase = Phase::Ended;
        let retry_in = self.backoff.after(error.clone())?;
        self.phase = Phase::Waiting(Instant::now() + retry_in);
        Ok(WatchEvent::Interrupted { error, retry_in })
    }
}

/// The stream ended before what it tells of did.
pub(crate) fn going_away() -> ClientError {
    tonic::Status::unavailable("the server is going away; see whether it comes back").into()
}
