//! Which attempts' logs are meant.

use std::{io, sync::Arc};

use windlass_engine::{
    graph::NodeKind,
    layout::Expansion,
    record::{StepIndex, StepRecord, StepState},
    time::Timestamp,
};
use windlass_launcher::{log_file::LogError, runtime::AttemptKey};
use windlass_pipeline::outline::RunSteps;
use windlass_proto::{id::RunId, v1};
use windlass_service::error::{ApiError, ErrorReason};

use crate::{
    merge::{Line, Merge},
    places::LogPlaces,
};

/// The attempts of a run, or of one step of it.
#[derive(Debug)]
pub(crate) struct Targets {
    pub(crate) run: RunId,
    /// Only this step.
    pub(crate) step: Option<StepIndex>,
    /// Only this attempt.
    pub(crate) attempt: Option<u32>,
    pub(crate) places: Arc<LogPlaces>,
    steps: RunSteps,
}

impl Targets {
    pub(crate) fn new(
        run: RunId,
        step: &str,
        attempt: u32,
        places: Arc<LogPlaces>,
        steps: RunSteps,
    ) -> Result<Self, ApiError> {
        let found = || steps.find(step).ok_or_else(|| ApiError::step_not_found(run, step));
        let index = if step.is_empty() { None } else { Some(found()?) };
        let attempt = (attempt > 0).then_some(attempt);
        Ok(Self { run, step: index, attempt, places, steps })
    }

    /// How many expansions of loops are known.
    pub(crate) fn expansions(&self) -> usize {
        self.steps.expansions()
    }

    /// Whether a step is known.
    pub(crate) fn contains(&self, step: StepIndex) -> bool {
        self.steps.contains(step)
    }

    /// Takes in more expansions.
    pub(crate) fn grow(&mut self, expansions: Vec<Expansion>) -> Result<(), ApiError> {
        let grown = self.steps.add(expansions);
        grown.map_err(|error| ApiError::new(ErrorReason::Damaged, error.to_string()))
    }

    /// Adds what a step's state says of its attempts.
    pub(crate) fn add(&self, merge: &mut Merge, step: StepIndex, record: &StepRecord) {
        if self.step.is_some_and(|only| only != step) || !self.is_task(step) {
            return;
        }
        for attempt in 1..=record.attempt {
            if self.attempt.is_some_and(|only| only != attempt) {
                continue;
            }
            let key = AttemptKey { run: self.run, step: step.0, attempt };
            let latest = attempt == record.attempt;
            // One that stands in line for limits is to come.
            let over = !latest || !record.state.claims_limits();
            // While it is starting, that is when it was created.
            let began =
                latest && record.started_at > Timestamp(0) && record.state != StepState::Starting;
            merge.add(key, &self.places, began, over);
        }
    }

    /// Whether what is meant may still grow, as far as one step is meant.
    pub(crate) fn step_is_over(&self, record: &StepRecord) -> bool {
        match self.attempt {
            Some(attempt) if attempt < record.attempt => true,
            Some(attempt) if attempt == record.attempt => {
                !record.state.claims_limits() && record.state != StepState::Waiting
            }
            _ => record.state.is_final(),
        }
    }

    /// The path of a step.
    pub(crate) fn name(&self, step: StepIndex) -> String {
        self.steps.path(step)
    }

    /// Groups, loops and approvals have no attempts, and so no logs of their own.
    fn is_task(&self, step: StepIndex) -> bool {
        self.contains(step) && *self.steps.layout().kind(step) == NodeKind::Task
    }

    /// A record as clients see it.
    pub(crate) fn show(&self, (key, record): Line) -> v1::LogLine {
        v1::LogLine {
            step: self.name(StepIndex(key.step)),
            attempt: key.attempt,
            sequence: record.sequence,
            time: windlass_proto::convert::timestamp(record.time),
            stream: stream(record.stream).into(),
            content: record.content,
            partial: record.partial,
        }
    }
}

fn stream(stream: windlass_launcher::log_file::LogStream) -> v1::LogStream {
    use windlass_launcher::log_file::LogStream;
    match stream {
        LogStream::Stdout => v1::LogStream::Stdout,
        LogStream::Stderr => v1::LogStream::Stderr,
        LogStream::System => v1::LogStream::System,
    }
}

/// A log that cannot be read, as clients are told.
pub(crate) fn unreadable(error: &LogError) -> ApiError {
    match error {
        LogError::Io { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
            let message = format!(
                "the streamer may not read {}: {source}; start it as the user of the launchers, or as one who may read what they \
                 write",
                path.display()
            );
            ApiError::new(ErrorReason::LogOutOfReach, message)
        }
        _ => ApiError::new(ErrorReason::Damaged, error.to_string()),
    }
}
