//! Reading and following lines across broken connections.

mod seen;

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tonic::Streaming;
use windlass_proto::v1::{LogLine, StreamLogsRequest, StreamLogsResponse};

use self::seen::Seen;
use crate::{Client, ClientError, backoff::Backoff};

/// Lines that are being read, and followed where the request says so.
#[derive(Debug)]
pub struct LogLines {
    client: Client,
    request: StreamLogsRequest,
    seen: Seen,
    phase: Phase,
    backoff: Backoff,
}

/// What a log has to tell.
#[derive(Debug, Clone)]
pub enum LogEvent {
    /// Further lines; at least one.
    Lines(Vec<LogLine>),
    /// The server cannot be reached; reading goes on by itself, with the first line that was not seen.
    Interrupted {
        /// Why.
        error: ClientError,
        /// When it is tried again.
        retry_in: Duration,
    },
}

#[derive(Debug)]
enum Phase {
    Connecting,
    Streaming(Box<Streaming<StreamLogsResponse>>),
    Waiting(Instant),
    Ended,
}

impl LogLines {
    pub(crate) fn new(client: Client, request: StreamLogsRequest) -> Self {
        let backoff = Backoff::new(client.patience);
        Self { client, request, seen: Seen::default(), phase: Phase::Connecting, backoff }
    }

    /// Waits for further lines; none at the end.
    ///
    /// May be dropped while it waits, and called again, without losing anything.
    ///
    /// # Errors
    ///
    /// What trying again does not heal, or the last error when patience has ended; reading is over then.
    pub async fn next(&mut self) -> Result<Option<LogEvent>, ClientError> {
        loop {
            let received = match &mut self.phase {
                Phase::Ended => return Ok(None),
                Phase::Waiting(until) => {
                    sleep_until(*until).await;
                    self.phase = Phase::Connecting;
                    continue;
                }
                Phase::Connecting => {
                    let request = self.seen.go_on(&self.request);
                    match self.client.logs.stream_logs(request).await {
                        Ok(stream) => {
                            self.phase = Phase::Streaming(Box::new(stream.into_inner()));
                            continue;
                        }
                        Err(status) => Err(status),
                    }
                }
                Phase::Streaming(stream) => stream.message().await,
            };
            match received {
                Ok(Some(message)) => {
                    self.backoff.reset();
                    let lines = self.seen.take_new(message.lines);
                    if !lines.is_empty() {
                        return Ok(Some(LogEvent::Lines(lines)));
                    }
                }
                Ok(None) => self.phase = Phase::Ended,
                Err(status) => return self.interrupt(status.into()).map(Some),
            }
        }
    }

    fn interrupt(&mut self, error: ClientError) -> Result<LogEvent, ClientError> {
        self.phase = Phase::Ended;
        let retry_in = self.backoff.after(error.clone())?;
        self.phase = Phase::Waiting(Instant::now() + retry_in);
        Ok(LogEvent::Interrupted { error, retry_in })
    }
}
