//! What is stored, as clients see it.

use std::collections::BTreeMap;

use prost_types::Value;
use windlass_engine::{
    policy::LimitChanges,
    reason::{Reason, StopCause},
    record::{
        AttemptEnd, AttemptRecord, CacheSource, RunRecord, RunState, StepIndex, StepRecord,
        StepState,
    },
    time::Timestamp,
};
use windlass_pipeline::outline::RunSteps;
use windlass_proto::{convert, id::RunId, json, v1};
use windlass_service::error::{ApiError, ErrorReason};
use windlass_store::RunView;

use crate::{Submitter, failure};

impl Submitter {
    /// A run as clients see it.
    pub(crate) async fn show(&self, view: &RunView) -> Result<v1::Run, ApiError> {
        let submission = &view.submission;
        let record = &view.record;
        let (reason, message) = self.why(view).await?;
        Ok(v1::Run {
            run_id: submission.id.to_string(),
            namespace: submission.namespace.clone(),
            pipeline: submission.pipeline.clone(),
            labels: submission.labels.clone(),
            arguments: fields(view.arguments_json()),
            state: convert::run_state(record).into(),
            reason: reason.into(),
            message,
            create_time: convert::timestamp(view.created_at),
            start_time: convert::timestamp(record.started_at),
            end_time: convert::timestamp(record.ended_at),
            step_counts: Some(convert::step_counts(record)),
            version: view.version.number,
            retries: record.retries,
            rerun_of: submission.rerun_of.map(|run| run.to_string()).unwrap_or_default(),
            changed_limits: changed_limits(view.limit_changes()),
            priority: submission.priority,
        })
    }

    /// Why a run is where it is.
    async fn why(&self, view: &RunView) -> Result<(v1::Reason, String), ApiError> {
        let record = &view.record;
        match (record.stop_cause, record.failed_step) {
            (Some(StopCause::Cancelled), _) => {
                Ok((v1::Reason::RunCancelled, "the run was cancelled".to_owned()))
            }
            (Some(StopCause::TimedOut), _) => {
                Ok((v1::Reason::RunTimedOut, "the run's time-out passed".to_owned()))
            }
            (Some(StopCause::Defect), _) => {
                let defect = record.defect.as_deref().unwrap_or_default();
                Ok((v1::Reason::RunDefect, defect.to_owned()))
            }
            (_, Some(step)) => {
                let failed = match self.names.of(&*self.store, view.submission.id, Some(step)).await
                {
                    Ok(names) => format!("step `{}` failed", names.path(step)),
                    // A list is not to fail because of one run.
                    Err(error) if error.reason == ErrorReason::Damaged => {
                        format!("the step of index {} failed", step.0)
                    }
                    Err(error) => return Err(error),
                };
                let others = record.count(StepState::Failed).saturating_sub(1);
                let others = match others {
                    0 => String::new(),
                    1 => ", and one other step too".to_owned(),
                    _ => format!(", and {others} other steps too"),
                };
                Ok((v1::Reason::StepFailed, failed + &others))
            }
            (_, None) => Ok((v1::Reason::Unspecified, waiting_note(record))),
        }
    }

    /// Steps as clients see them; without those that a retry of the run has superseded.
    pub(crate) async fn show_steps(
        &self,
        view: &RunView,
        steps: Vec<(StepIndex, StepRecord)>,
    ) -> Result<Vec<v1::StepStatus>, ApiError> {
        let run = view.submission.id;
        let mentioned = steps.iter().flat_map(|(step, record)| [Some(*step), record.cause]);
        let last = mentioned.flatten().max();
        let names = self.names.of(&*self.store, run, last).await?;
        let steps = self.current(view, &names, steps).await?;
        let having = |test: fn(&StepRecord) -> bool| -> Vec<StepIndex> {
            steps.iter().filter(|(_, record)| test(record)).map(|(step, _)| *step).collect()
        };
        let told = having(|record| matches!(record.reason, Reason::Failure(_) | Reason::Cached));
        let succeeded = having(StepRecord::latest_succeeded);
        let attempts = match told.as_slice() {
            [] => BTreeMap::new(),
            told => self.store.read_latest_attempts(run, told).await?,
        };
        let outputs = match succeeded.as_slice() {
            [] => BTreeMap::new(),
            succeeded => self.store.read_outputs(run, succeeded).await?,
        };
        let show = |(step, record): &(StepIndex, StepRecord)| v1::StepStatus {
            outputs: outputs.get(step).map(|text| fields(text)).unwrap_or_default(),
            ..step_status(run, *step, record, attempts.get(step), &names)
        };
        Ok(steps.iter().map(show).collect())
    }

    /// Leaves out the steps of items whose loop has expanded anew since.
    pub(crate) async fn current(
        &self,
        view: &RunView,
        names: &RunSteps,
        steps: Vec<(StepIndex, StepRecord)>,
    ) -> Result<Vec<(StepIndex, StepRecord)>, ApiError> {
        let layout = names.layout();
        if view.record.retries == 0 || layout.expansions().is_empty() {
            return Ok(steps);
        }
        let mut loops: Vec<_> = layout.expansions().iter().map(|it| it.step).collect();
        loops.sort_unstable();
        loops.dedup();
        let read = self.store.read_steps(view.submission.id, &loops).await?;
        let (_, records) = read.ok_or_else(|| ApiError::run_not_found(view.submission.id))?;
        let open: BTreeMap<StepIndex, bool> =
            loops.into_iter().zip(records.iter().map(StepRecord::has_opened)).collect();
        let has_opened = |step| open.get(&step).copied().unwrap_or_default();
        let ranges: Vec<_> = layout.current_where(has_opened).collect();
        let is_current = |step: StepIndex| {
            // The ranges are in order.
            let after = ranges.partition_point(|range| range.start <= step.0);
            after.checked_sub(1).is_some_and(|at| ranges[at].contains(&step.0))
        };
        Ok(steps.into_iter().filter(|(step, _)| is_current(*step)).collect())
    }
}

fn waiting_note(record: &RunRecord) -> String {
    let note = match (record.state, record.count(StepState::Suspended)) {
        (RunState::Pending, _) => "no scheduler has begun the run yet",
        (_, 1) => "a step waits for approval",
        (_, count @ 2..) => return format!("{count} steps wait for approval"),
        (RunState::Exiting, 0) => "its exit steps run",
        (_, 0) => "",
    };
    note.to_owned()
}

fn step_status(
    run: RunId,
    step: StepIndex,
    record: &StepRecord,
    attempt: Option<&AttemptRecord>,
    names: &RunSteps,
) -> v1::StepStatus {
    let ended = record.state.is_final();
    let began = !matches!(record.state, StepState::Starting);
    let node = names.layout().node(step);
    let allowance = names.outline().allowance(node);
    v1::StepStatus {
        name: names.path(step),
        index: step.0,
        state: convert::step_state(record.state).into(),
        reason: convert::reason(record.reason).into(),
        message: match record.state {
            StepState::Suspended => suspended_message(run, &names.path(step)),
            StepState::Blocked => blocked_message(names.outline().limits(node)),
            _ => step_message(record, attempt, names),
        },
        cause: record.cause.map(|cause| names.path(cause)).unwrap_or_default(),
        attempt: record.attempt,
        failures: record.failures.into(),
        losses: record.losses.into(),
        queue_time: convert::timestamp(record.queued_at),
        start_time: convert::timestamp(record.started_at).filter(|_| began),
        end_time: convert::timestamp(record.until).filter(|_| ended),
        retry_time: convert::timestamp(record.until).filter(|_| record.state == StepState::Delayed),
        outputs: BTreeMap::new(),
        retry_limit: allowance.map_or(0, |it| it.retry_limit.into()),
        system_retry_limit: allowance.map_or(0, |it| it.system_retry_limit.into()),
    }
}

/// What an approval waits for, and how it gets it.
fn suspended_message(run: RunId, path: &str) -> String {
    format!("waits for approval: windlass approve {run} {path}")
}

/// Which limits a step waits for. Who holds them is told where somebody asks for an explanation.
fn blocked_message(limits: &[String]) -> String {
    let quoted = |limit: &String| format!("`{limit}`");
    match limits {
        [] => "stands in line for its limits".to_owned(),
        [limit] => format!("stands in line for {}", quoted(limit)),
        [others @ .., last] => {
            let others: Vec<_> = others.iter().map(quoted).collect();
            format!("stands in line for limits {} and {}", others.join(", "), quoted(last))
        }
    }
}

/// Why a step is where it is, in words.
fn step_message(record: &StepRecord, attempt: Option<&AttemptRecord>, names: &RunSteps) -> String {
    let cause = record.cause.map(|cause| names.path(cause)).unwrap_or_default();
    match record.reason {
        Reason::None => String::new(),
        Reason::UpstreamFailed => format!("skipped because step `{cause}` failed"),
        Reason::UpstreamSkipped => format!("skipped because step `{cause}` was skipped"),
        Reason::UpstreamCancelled => format!("skipped because step `{cause}` was cancelled"),
        Reason::TriggerRuleNotMet => {
            "skipped because no dependency ended as its trigger rule asks".to_owned()
        }
        Reason::ConditionFalse => {
            "skipped because its condition is false, or because another branch was taken".to_owned()
        }
        Reason::StepFailed => format!("step `{cause}` failed"),
        Reason::RunStopped(cause) => stopped_message(record.state, cause).to_owned(),
        Reason::Withdrawn => "the attempt was withdrawn by a pause before it existed".to_owned(),
        Reason::Cached => match attempt.map(|attempt| &attempt.end) {
            Some(AttemptEnd::Cached(source)) => cached_message(source),
            _ => "a result was taken from the cache".to_owned(),
        },
        Reason::Failure(reason) => {
            let failure = match attempt.map(|attempt| &attempt.end) {
                Some(AttemptEnd::Failed(failure)) => failure::message(failure),
                _ => failure::words(reason).to_owned(),
            };
            if record.state == StepState::Succeeded {
                format!("a failure was ignored, as a retry rule of the step says: {failure}")
            } else {
                failure
            }
        }
    }
}

fn stopped_message(state: StepState, cause: StopCause) -> &'static str {
    match (state == StepState::Skipped, cause) {
        (true, StopCause::Failure) => {
            "skipped because another step failed and the failure mode ends the run"
        }
        (true, StopCause::TimedOut) => "skipped because the run's time-out passed",
        (true, StopCause::Cancelled) => "skipped because the run was cancelled",
        (true, StopCause::Defect) => {
            "skipped because a record about the run could not be understood"
        }
        (false, StopCause::Defect) => {
            "stopped because a record about the run could not be understood"
        }
        (false, StopCause::Failure) => {
            "stopped because another step failed and the failure mode ends the run"
        }
        (false, StopCause::TimedOut) => "stopped because the run's time-out passed",
        (false, StopCause::Cancelled) => "stopped because the run was cancelled",
    }
}

/// Where a result came from that was taken.
fn cached_message(source: &CacheSource) -> String {
    let CacheSource { run, step, ended_at } = source;
    let time = convert::timestamp(*ended_at).unwrap_or_default();
    format!("taken from {run}, step `{step}`, of {time}")
}

/// Limits that a retry has changed; none where it has changed none.
fn changed_limits(limits: LimitChanges) -> Option<v1::ChangedLimits> {
    let LimitChanges { max_parallelism, timeout_ms } = limits;
    let timeout = timeout_ms.map(std::time::Duration::from_millis);
    let timeout = timeout.and_then(|timeout| timeout.try_into().ok());
    (limits != LimitChanges::default()).then_some(v1::ChangedLimits { max_parallelism, timeout })
}

/// An attempt that is over and stored on its own.
pub(crate) fn ended_attempt(record: &AttemptRecord) -> v1::Attempt {
    let (state, reason, message, failure) = match &record.end {
        AttemptEnd::Succeeded => {
            (v1::AttemptState::Succeeded, v1::Reason::Unspecified, String::new(), None)
        }
        AttemptEnd::Failed(failure) => (
            v1::AttemptState::Failed,
            convert::failure_reason(failure.reason),
            failure::message(failure),
            Some(failure),
        ),
        AttemptEnd::Cancelled(cause) => (
            v1::AttemptState::Cancelled,
            convert::stop_cause(*cause),
            stopped_message(StepState::Cancelled, *cause).to_owned(),
            None,
        ),
        AttemptEnd::Withdrawn => (
            v1::AttemptState::Cancelled,
            v1::Reason::Withdrawn,
            "withdrawn by a pause before it existed".to_owned(),
            None,
        ),
        AttemptEnd::Cached(source) => {
            (v1::AttemptState::Succeeded, v1::Reason::Cached, cached_message(source), None)
        }
    };
    let cached_from = match &record.end {
        AttemptEnd::Cached(source) => Some(convert::cache_source(source)),
        _ => None,
    };
    v1::Attempt {
        cached_from,
        number: record.attempt,
        state: state.into(),
        reason: reason.into(),
        message,
        exit_code: failure.and_then(|failure| failure.exit_code),
        signal: failure.and_then(|failure| failure.signal),
        ..times(record.queued_at, record.started_at, record.ended_at)
    }
}

/// The latest attempt of a step, where it is not stored on its own: it is in flight, or has succeeded.
pub(crate) fn latest_attempt(record: &StepRecord) -> Option<v1::Attempt> {
    let state = match record.state {
        StepState::Queued => v1::AttemptState::Queued,
        StepState::Starting => v1::AttemptState::Starting,
        StepState::Running => v1::AttemptState::Running,
        StepState::Stopping => v1::AttemptState::Stopping,
        StepState::Succeeded if record.reason == Reason::Cached => return None,
        StepState::Succeeded if record.latest_succeeded() => v1::AttemptState::Succeeded,
        StepState::Succeeded
        | StepState::Blocked
        | StepState::Waiting
        | StepState::Ready
        | StepState::Delayed
        | StepState::Failed
        | StepState::Skipped
        | StepState::Cancelled
        | StepState::Open
        | StepState::Suspended => return None,
    };
    let began = if record.state == StepState::Starting { Timestamp(0) } else { record.started_at };
    let ended = if record.state.is_final() { record.until } else { Timestamp(0) };
    Some(v1::Attempt {
        number: record.attempt,
        state: state.into(),
        reason: convert::reason(record.reason).into(),
        ..times(record.queued_at, began, ended)
    })
}

fn times(queued: Timestamp, started: Timestamp, ended: Timestamp) -> v1::Attempt {
    let ran = started > Timestamp(0) && ended > Timestamp(0);
    let duration = ran.then(|| std::time::Duration::from_millis(ended.since(started)));
    v1::Attempt {
        queue_time: convert::timestamp(queued),
        start_time: convert::timestamp(started),
        end_time: convert::timestamp(ended),
        duration: duration.and_then(|duration| duration.try_into().ok()),
        ..v1::Attempt::default()
    }
}

/// The fields of a JSON object that this program wrote; what is none has no fields.
fn fields(object: &str) -> BTreeMap<String, Value> {
    let fields: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(object).unwrap_or_default();
    fields.into_iter().map(|(key, value)| (key, json::to_value(&value))).collect()
}
