//! Watching a run: the present state first, then every change with no gap.
//!
//! The watcher listens first and reads the state then, so that no commit falls between. A change says which steps a
//! commit touched, and those are read anew: what is sent is never older than what the change speaks of. Whatever breaks
//! the row of versions (a lost message, a store that went back) has the whole state read again.

use std::time::Duration;

use prost::Message as _;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use windlass_bus::{Heard, Listener};
use windlass_engine::record::StepIndex;
use windlass_proto::{id::RunId, subject::Subject, v1};
use windlass_service::error::ApiError;
use windlass_store::{RunView, Version};

use crate::Submitter;

/// How many steps one message carries: keeps it well below a message's limit.
const STEPS_PER_MESSAGE: u32 = 4096;

/// Messages that wait for a slow client. Past that, changes pile up in the bus, and are lost there: the client then gets
/// the whole state again.
const MESSAGES_WAITING: usize = 16;

/// After a silence of this length the version is compared.
const SILENCE: Duration = Duration::from_secs(5);

/// One watcher of one run.
struct Watch {
    submitter: Submitter,
    run: RunId,
    run_only: bool,
    changes: Box<dyn Listener>,
    replies: mpsc::Sender<Result<v1::WatchRunResponse, Status>>,
}

/// Why a watch ends before the run does.
enum Stop {
    /// Nobody reads any more.
    Gone,
    /// It cannot go on.
    Failed(ApiError),
}

impl<E: Into<ApiError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Submitter {
    pub(crate) async fn watch(
        &self,
        run: RunId,
        run_only: bool,
    ) -> Result<ReceiverStream<Result<v1::WatchRunResponse, Status>>, ApiError> {
        let changes = self.bus.listen(Subject::Change { run }).await?;
        // A run that is not there is refused at once, not in the stream.
        self.store.read_run(run).await?.ok_or_else(|| ApiError::run_not_found(run))?;
        let (replies, stream) = mpsc::channel(MESSAGES_WAITING);
        let watch = Watch { submitter: self.clone(), run, run_only, changes, replies };
        tokio::spawn(watch.serve());
        Ok(ReceiverStream::new(stream))
    }
}

impl Watch {
    async fn serve(mut self) {
        let replies = self.replies.clone();
        let stop = self.submitter.stop.clone();
        let ended = tokio::select! {
            ended = self.follow() => ended,
            () = replies.closed() => Ok(()),
            () = stop.cancelled() => Err(Stop::Failed(ApiError::ending())),
        };
        if let Err(Stop::Failed(error)) = ended {
            // Nobody reads any more: there is nobody to tell.
            let _ = replies.send(Err(error.into())).await;
        }
    }

    /// Sends the state and its changes until the run has ended.
    async fn follow(&mut self) -> Result<(), Stop> {
        let mut seen = self.snapshot().await?;
        while !seen.record.state.is_final() {
            seen = match timeout(SILENCE, self.changes.next()).await {
                Ok(heard) => match heard? {
                    Heard::Message(message) => self.change(&message.payload, seen).await?,
                    Heard::Gap => self.snapshot().await?,
                },
                Err(_silence) => self.compare(seen).await?,
            };
        }
        Ok(())
    }

    /// Sends the whole state. Its parts may be of several versions; changes after the first part's are heard anyway.
    async fn snapshot(&mut self) -> Result<RunView, Stop> {
        let mut from = 0;
        let mut first: Option<RunView> = None;
        loop {
            let until = if self.run_only { from } else { from + STEPS_PER_MESSAGE };
            let read = self.submitter.store.read_step_range(self.run, from..until).await?;
            let (view, records) = read.ok_or_else(|| ApiError::run_not_found(self.run))?;
            let steps: Vec<_> = (from..).map(StepIndex).zip(records).collect();
            let last = self.run_only || until >= view.step_count;
            let snapshot = v1::RunSnapshot {
                run: Some(self.submitter.show(&view).await?),
                steps: self.submitter.show_steps(&view, steps).await?,
                last,
            };
            self.send(v1::watch_run_response::Event::Snapshot(snapshot)).await?;
            let version = first.as_ref().unwrap_or(&view).version;
            let seen = RunView { version, ..view };
            if last {
                return Ok(seen);
            }
            first = Some(seen);
            from = until;
        }
    }

    /// Sends what a change speaks of. Gives the version that has been seen in full.
    async fn change(&mut self, bytes: &[u8], seen: RunView) -> Result<RunView, Stop> {
        let Ok(change) = v1::Change::decode(bytes) else {
            return self.snapshot().await;
        };
        if change.version <= seen.version.number {
            return Ok(seen);
        }
        let previous = Version { number: change.previous_version, commit: change.previous_commit };
        if previous != seen.version || change.all_steps {
            return self.snapshot().await;
        }
        let now_seen = Version { number: change.version, commit: change.commit };
        let steps: Vec<_> = change.steps.into_iter().map(StepIndex).collect();
        let mut view = seen;
        let chunks: Vec<&[StepIndex]> = match steps.as_slice() {
            [] => vec![&[]],
            _ if self.run_only => vec![&[]],
            steps => steps.chunks(STEPS_PER_MESSAGE as usize).collect(),
        };
        for chunk in chunks {
            let read = self.submitter.store.read_steps(self.run, chunk).await?;
            let (read, records) = read.ok_or_else(|| ApiError::run_not_found(self.run))?;
            let steps: Vec<_> = chunk.iter().copied().zip(records).collect();
            let delta = v1::RunDelta {
                run: Some(self.submitter.show(&read).await?),
                steps: self.submitter.show_steps(&read, steps).await?,
            };
            self.send(v1::watch_run_response::Event::Delta(delta)).await?;
            view = read;
        }
        // The run as read may be ahead of the change; it has ended for the watcher only when all changes are heard.
        if view.version != now_seen && view.record.state.is_final() {
            return self.snapshot().await;
        }
        Ok(RunView { version: now_seen, ..view })
    }

    /// After a silence: reads again if something has changed unheard.
    async fn compare(&mut self, seen: RunView) -> Result<RunView, Stop> {
        let read = self.submitter.store.read_run(self.run).await?;
        let now = read.ok_or_else(|| ApiError::run_not_found(self.run))?;
        if now.version == seen.version { Ok(seen) } else { self.snapshot().await }
    }

    async fn send(&mut self, event: v1::watch_run_response::Event) -> Result<(), Stop> {
        let reply = v1::WatchRunResponse { event: Some(event) };
        self.replies.send(Ok(reply)).await.map_err(|_| Stop::Gone)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("run", &self.run).finish_non_exhaustive()
    }
}
