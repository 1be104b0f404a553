//! Watching a run: the present state first, then every change with no gap.
//!
//! The watcher listens first and reads the state then, so that no commit falls between. A change says which steps a
//! commit touched, and those are read anew: what is sent is never older than what the change speaks of. Whatever breaks
//! the row of versions (a lost message, a store that went back) has the whole state read again.

use std::{collections::BTreeSet, time::Duration};

use prost::Message as _;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use windlass_bus::{BusError, Heard, Listener};
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

/// The least time from one message to the next: what changes meanwhile is told together. The first change after a rest is told at
/// once.
const BREATH: Duration = Duration::from_millis(50);

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
            let told = Instant::now();
            seen = match timeout(SILENCE, self.changes.next()).await {
                Ok(heard) => match self.gather(heard?, &seen, told + BREATH).await? {
                    Some(change) => self.change(change, seen).await?,
                    None => self.snapshot().await?,
                },
                Err(_silence) => self.compare(seen).await?,
            };
        }
        Ok(())
    }

    /// What has changed since, as one change, with all that is heard until then; none where something is missing in between.
    async fn gather(
        &mut self,
        first: Heard,
        seen: &RunView,
        until: Instant,
    ) -> Result<Option<v1::Change>, BusError> {
        let Version { number, commit } = seen.version;
        let mut all = v1::Change { version: number, commit, ..v1::Change::default() };
        (all.previous_version, all.previous_commit) = (number, commit);
        let mut heard = first;
        loop {
            let Heard::Message(message) = heard else { return Ok(None) };
            let change = v1::Change::decode(message.payload);
            if !change.is_ok_and(|change| add(&mut all, change)) {
                return Ok(None);
            }
            match timeout_at(until, self.changes.next()).await {
                Ok(next) => heard = next?,
                Err(_) => return Ok(Some(all)),
            }
        }
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
    async fn change(&mut self, change: v1::Change, seen: RunView) -> Result<RunView, Stop> {
        if change.version == seen.version.number {
            return Ok(seen);
        }
        let now_seen = Version { number: change.version, commit: change.commit };
        let steps: BTreeSet<_> = change.steps.into_iter().map(StepIndex).collect();
        let steps: Vec<_> = steps.into_iter().collect();
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

/// Adds the change that follows to what has changed. False where it does not follow, or says too little: then the whole state
/// has to be read.
fn add(all: &mut v1::Change, next: v1::Change) -> bool {
    if next.version <= all.version {
        return true;
    }
    if (next.previous_version, next.previous_commit) != (all.version, all.commit) || next.all_steps
    {
        return false;
    }
    (all.version, all.commit) = (next.version, next.commit);
    all.steps.extend(next.steps);
    true
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("run", &self.run).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(from: (u64, u64), to: (u64, u64), steps: &[u32]) -> v1::Change {
        v1::Change {
            previous_version: from.0,
            previous_commit: from.1,
            version: to.0,
            commit: to.1,
            steps: steps.to_vec(),
            ..v1::Change::default()
        }
    }

    #[test]
    fn changes_that_follow_each_other_are_told_as_one_and_anything_else_has_the_run_read_again() {
        let mut all = change((1, 10), (2, 20), &[0]);
        assert!(add(&mut all, change((2, 20), (3, 30), &[0, 1])));
        assert!(add(&mut all, change((1, 10), (2, 20), &[7])), "one that is known says nothing");
        assert_eq!(all, change((1, 10), (3, 30), &[0, 0, 1]));
        let after = all.clone();
        assert!(!add(&mut all, change((4, 40), (5, 50), &[])), "one is missing");
        assert!(!add(&mut all, change((3, 31), (4, 40), &[])), "of another history");
        let too_many = v1::Change { all_steps: true, ..change((3, 30), (4, 40), &[]) };
        assert!(!add(&mut all, too_many));
        assert_eq!(all, after);
    }
}
