//! Reads what was selected, and goes on while it grows.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use prost::Message as _;
use tokio::{
    sync::mpsc,
    task,
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use windlass_bus::{Bus, Heard, Listener};
use windlass_engine::{record::StepIndex, time::Timestamp};
use windlass_pipeline::outline::RunSteps;
use windlass_proto::{encoded::EncodedPipeline, id::RunId, subject::Subject, v1};
use windlass_service::error::{ApiError, ErrorReason};
use windlass_store::Store;

use crate::{
    merge::{Line, Merge},
    places::LogPlaces,
    reach,
    targets::{Targets, unreadable},
};

/// The most bytes of one batch of lines.
const BATCH_BYTES: usize = 256 << 10;

/// Batches that wait for a slow reader.
const BATCHES_WAITING: usize = 4;

/// The most lines that may be asked for from the end.
const MAX_TAIL: u32 = 100_000;

/// How often files that grow are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How often the state is read although no change was heard: one may have been lost.
const SILENCE: Duration = Duration::from_secs(5);

/// How long no log at all of what has begun may be found before those who follow are told: where directories are shared, a new
/// file may be seen that much later.
const BLIND: Duration = Duration::from_secs(30);

/// How many steps are read from the store at once.
const STEPS_AT_ONCE: u32 = 10_000;

/// What a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    run: RunId,
    step: String,
    attempt: u32,
    follow: bool,
    since: Option<Timestamp>,
    tail: Option<usize>,
}

impl Selection {
    /// Checks a request.
    pub(crate) fn of(request: v1::StreamLogsRequest) -> Result<Self, ApiError> {
        let run = request
            .run_id
            .parse()
            .map_err(|error| ApiError::invalid("run_id", format!("{error}")))?;
        if request.attempt > 0 && request.step.is_empty() {
            return Err(ApiError::invalid("attempt", "is of a step; name the step, too"));
        }
        if request.tail.is_some_and(|tail| tail > MAX_TAIL) {
            let message = format!("is above {MAX_TAIL}; leave it out to get all lines");
            return Err(ApiError::invalid("tail", message));
        }
        let since = request.since.map(|time| {
            let ms = i128::from(time.seconds) * 1000 + i128::from(time.nanos) / 1_000_000;
            Timestamp(u64::try_from(ms.max(0)).unwrap_or(u64::MAX))
        });
        Ok(Self {
            run,
            step: request.step,
            attempt: request.attempt,
            follow: request.follow,
            since,
            tail: request.tail.map(|tail| tail as usize),
        })
    }
}

/// A reader of logs.
pub(crate) struct Follow {
    store: Arc<dyn Store>,
    changes: Box<dyn Listener>,
    selection: Selection,
    targets: Targets,
    merge: Merge,
    /// Nothing of what is meant will grow any more.
    over: bool,
    /// When the whole state was read.
    state_read: Instant,
    /// Since when something has begun and no log was found.
    blind_since: Option<Instant>,
}

type Reply = Result<Vec<v1::LogLine>, ApiError>;

/// Why reading ends before its end.
enum Stop {
    Gone,
    Failed(ApiError),
}

impl<E: Into<ApiError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Follow {
    /// Finds out what is meant.
    pub(crate) async fn new(
        bus: &dyn Bus,
        store: Arc<dyn Store>,
        places: Arc<LogPlaces>,
        selection: Selection,
    ) -> Result<Self, ApiError> {
        let run = selection.run;
        // Listening begins before the state is read, so that nothing falls between.
        let changes = bus.listen(Subject::Change { run }).await?;
        let pipeline =
            store.read_pipeline(run).await?.ok_or_else(|| ApiError::run_not_found(run))?;
        let steps = EncodedPipeline::new(pipeline).and_then(|it| RunSteps::of_encoded(&it));
        let mut steps = steps.map_err(|error| {
            let message =
                format!("the stored pipeline of run {run} cannot be decoded: {error}; restore the store from a copy");
            ApiError::new(ErrorReason::Damaged, message)
        })?;
        let expansions =
            store.read_expansions(run, 0).await?.ok_or_else(|| ApiError::run_not_found(run))?;
        steps
            .add(expansions)
            .map_err(|error| ApiError::new(ErrorReason::Damaged, error.to_string()))?;
        let targets = Targets::new(run, &selection.step, selection.attempt, places, steps)?;
        Ok(Self {
            store,
            changes,
            selection,
            targets,
            merge: Merge::default(),
            over: false,
            state_read: Instant::now(),
            blind_since: None,
        })
    }

    /// Reads in a task of its own, until the end or until nobody takes the lines.
    pub(crate) fn start(mut self, stop: CancellationToken) -> ReceiverStream<Reply> {
        let (replies, stream) = mpsc::channel(BATCHES_WAITING);
        tokio::spawn(async move {
            let ended = tokio::select! {
                ended = self.run(&replies) => ended,
                () = replies.closed() => Ok(()),
                () = stop.cancelled() => Err(Stop::Failed(ApiError::ending())),
            };
            if let Err(Stop::Failed(error)) = ended {
                // Nobody reads any more: there is nobody to tell.
                let _ = replies.send(Err(error)).await;
            }
        });
        ReceiverStream::new(stream)
    }

    async fn run(&mut self, replies: &mpsc::Sender<Reply>) -> Result<(), Stop> {
        self.read_state().await?;
        if let Some(tail) = self.selection.tail {
            self.send_last(tail, replies).await?;
        }
        loop {
            // What is over now is over before its files are read to their ends.
            let over = self.over || !self.selection.follow;
            while self.send_next(replies).await? {}
            if over {
                return self.check_reach().await;
            }
            self.check_sight().await?;
            self.hear().await?;
        }
    }

    /// Tells what could not be found of what was to be read: an end without a word would say that nothing was written.
    async fn check_reach(&mut self) -> Result<(), Stop> {
        let unseen = self.merge.unseen();
        match reach::out_of_reach(&*self.store, &self.targets, unseen).await? {
            Some(error) => Err(Stop::Failed(error)),
            None => Ok(()),
        }
    }

    /// Tells the same before the end, where there is nothing to follow.
    async fn check_sight(&mut self) -> Result<(), Stop> {
        if !self.merge.is_blind() {
            self.blind_since = None;
            return Ok(());
        }
        if self.blind_since.get_or_insert_with(Instant::now).elapsed() < BLIND {
            return Ok(());
        }
        self.blind_since = None;
        self.check_reach().await
    }

    /// Sends the next batch. False if there is none for now.
    async fn send_next(&mut self, replies: &mpsc::Sender<Reply>) -> Result<bool, Stop> {
        let lines = self.read(|merge| merge.next(BATCH_BYTES)).await?;
        let more = !lines.is_empty();
        self.send(lines, replies).await?;
        Ok(more)
    }

    /// Sends the last lines of what is there now.
    async fn send_last(&mut self, count: usize, replies: &mpsc::Sender<Reply>) -> Result<(), Stop> {
        let last = self
            .read(move |merge| {
                merge.skip_to_last(count)?;
                let mut last = VecDeque::new();
                loop {
                    let lines = merge.next(BATCH_BYTES)?;
                    if lines.is_empty() {
                        return Ok(last);
                    }
                    last.extend(lines);
                    last.drain(..last.len().saturating_sub(count));
                }
            })
            .await?;
        let mut last = Vec::from(last);
        while !last.is_empty() {
            let rest = last.split_off(last.len().min(1000));
            self.send(std::mem::replace(&mut last, rest), replies).await?;
        }
        Ok(())
    }

    async fn send(&mut self, lines: Vec<Line>, replies: &mpsc::Sender<Reply>) -> Result<(), Stop> {
        let since = self.selection.since.unwrap_or_default();
        let lines: Vec<_> = lines
            .into_iter()
            .filter(|(_, record)| record.time >= since)
            .map(|line| self.targets.show(line))
            .collect();
        if lines.is_empty() {
            return Ok(());
        }
        replies.send(Ok(lines)).await.map_err(|_| Stop::Gone)
    }

    /// Reads files where waiting for a disk holds nobody up.
    async fn read<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&mut Merge) -> Result<T, windlass_launcher::log_file::LogError>
        + Send
        + 'static,
    ) -> Result<T, Stop> {
        let mut merge = std::mem::take(&mut self.merge);
        let (merge, result) = task::spawn_blocking(move || {
            let result = read(&mut merge);
            (merge, result)
        })
        .await
        .map_err(|error| {
            ApiError::new(ErrorReason::Unavailable, format!("reading was dropped: {error}"))
        })?;
        self.merge = merge;
        result.map_err(|error| Stop::Failed(unreadable(&error)))
    }

    /// Hears for a while which steps have changed.
    async fn hear(&mut self) -> Result<(), Stop> {
        let until = Instant::now() + LOOK;
        let mut steps = Vec::new();
        let mut anew = self.state_read.elapsed() > SILENCE;
        while let Ok(heard) = timeout_at(until, self.changes.next()).await {
            match heard? {
                Heard::Message(message) => match v1::Change::decode(message.payload) {
                    Ok(change) if change.all_steps => anew = true,
                    Ok(change) => steps.extend(change.steps.into_iter().map(StepIndex)),
                    Err(_) => anew = true,
                },
                Heard::Gap => anew = true,
            }
        }
        if anew {
            return self.read_state().await;
        }
        steps.sort_unstable();
        steps.dedup();
        let read = self.store.read_steps(self.selection.run, &steps).await?;
        let (view, records) = read.ok_or_else(|| ApiError::run_not_found(self.selection.run))?;
        self.over = view.record.state.is_final();
        self.know(view.step_count).await?;
        for (step, record) in steps.into_iter().zip(records) {
            self.take(step, &record);
        }
        self.check_step().await
    }

    /// Reads which attempts there are.
    async fn read_state(&mut self) -> Result<(), Stop> {
        self.state_read = Instant::now();
        let run = self.selection.run;
        let mut from = 0;
        loop {
            let until = from + STEPS_AT_ONCE;
            let read = self.store.read_step_range(run, from..until).await?;
            let (view, records) = read.ok_or_else(|| ApiError::run_not_found(run))?;
            self.know(view.step_count).await?;
            for (step, record) in (from..).map(StepIndex).zip(&records) {
                self.take(step, record);
            }
            if until >= view.step_count {
                self.over = view.record.state.is_final();
                return self.check_step().await;
            }
            from = until;
        }
    }

    /// Knows so many steps from now on.
    async fn know(&mut self, step_count: u32) -> Result<(), Stop> {
        let run = self.selection.run;
        if step_count == 0 || self.targets.contains(StepIndex(step_count - 1)) {
            return Ok(());
        }
        let read = self.store.read_expansions(run, self.targets.expansions()).await?;
        self.targets.grow(read.ok_or_else(|| ApiError::run_not_found(run))?)?;
        Ok(())
    }

    fn take(&mut self, step: StepIndex, record: &windlass_engine::record::StepRecord) {
        self.targets.add(&mut self.merge, step, record);
    }

    /// Where one step is meant, its end is the end.
    async fn check_step(&mut self) -> Result<(), Stop> {
        if let Some(step) = self.targets.step {
            let read = self.store.read_steps(self.selection.run, &[step]).await?;
            let (_, records) = read.ok_or_else(|| ApiError::run_not_found(self.selection.run))?;
            if let [record] = records.as_slice() {
                self.targets.add(&mut self.merge, step, record);
                self.over |= self.targets.step_is_over(record);
            }
        }
        Ok(())
    }
}
