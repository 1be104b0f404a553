//! Conversions between generated types and the engine's, parsed once at the border.

use std::sync::Arc;

use windlass_engine::{
    event::{AttemptPhase, AttemptReport, Decision, Order, RunChanges},
    output::AttemptRef,
    policy::LimitChanges,
    reason::{Failure, FailureReason, Reason, StopCause},
    record::{CacheSource, RunRecord, RunState, StepIndex, StepState},
    time::Timestamp,
};

use crate::v1;

/// A message that no sender of this version makes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field that must be set is not.
    #[error("`{0}` is not set: its sender is of another version, or broken")]
    Missing(&'static str),
    /// A field has a value that means nothing.
    #[error(
        "`{field}` is {value}, which means nothing here: its sender is of another version, or broken"
    )]
    Unknown {
        /// The field's name.
        field: &'static str,
        /// Its value.
        value: i32,
    },
}

/// A report as it travels.
pub fn report_to_proto(report: &AttemptReport) -> v1::AttemptReport {
    let mut message = v1::AttemptReport {
        step: report.step.0,
        attempt: report.attempt,
        create_time_ms: to_ms(report.created_at),
        start_time_ms: to_ms(report.started_at),
        end_time_ms: to_ms(report.ended_at),
        ..v1::AttemptReport::default()
    };
    let phase = match &report.phase {
        AttemptPhase::Starting => v1::AttemptPhase::Starting,
        AttemptPhase::Running => v1::AttemptPhase::Running,
        AttemptPhase::Stopped => v1::AttemptPhase::Stopped,
        AttemptPhase::NotCreated => v1::AttemptPhase::NotCreated,
        AttemptPhase::Succeeded(outputs) => {
            outputs.as_deref().unwrap_or_default().clone_into(&mut message.outputs_json);
            v1::AttemptPhase::Ended
        }
        AttemptPhase::Cached(outputs, source) => {
            outputs.as_deref().unwrap_or_default().clone_into(&mut message.outputs_json);
            message.cached_from = Some(cache_source(source));
            v1::AttemptPhase::Cached
        }
        AttemptPhase::Failed(failure) => {
            message.reason = failure_reason(failure.reason).into();
            message.message.clone_from(&failure.message);
            message.exit_code = failure.exit_code;
            message.signal = failure.signal;
            v1::AttemptPhase::Ended
        }
    };
    message.phase = phase.into();
    message
}

/// A report as the engine takes it.
pub fn report_from_proto(message: v1::AttemptReport) -> Result<AttemptReport, Malformed> {
    let phase = match message.phase() {
        v1::AttemptPhase::Unspecified => {
            return Err(Malformed::Unknown { field: "phase", value: message.phase });
        }
        v1::AttemptPhase::Starting => AttemptPhase::Starting,
        v1::AttemptPhase::Running => AttemptPhase::Running,
        v1::AttemptPhase::Stopped => AttemptPhase::Stopped,
        v1::AttemptPhase::NotCreated => AttemptPhase::NotCreated,
        v1::AttemptPhase::Ended if message.reason == 0 => {
            AttemptPhase::Succeeded(outputs(message.outputs_json))
        }
        v1::AttemptPhase::Cached => {
            let source = message.cached_from.ok_or(Malformed::Missing("cached_from"))?;
            AttemptPhase::Cached(outputs(message.outputs_json), cache_source_from_proto(source))
        }
        v1::AttemptPhase::Ended => AttemptPhase::Failed(Failure {
            reason: v1::Reason::try_from(message.reason)
                .ok()
                .and_then(failure_reason_from_proto)
                .ok_or(Malformed::Unknown { field: "reason", value: message.reason })?,
            message: message.message,
            exit_code: message.exit_code,
            signal: message.signal,
        }),
    };
    Ok(AttemptReport {
        step: StepIndex(message.step),
        attempt: message.attempt,
        phase,
        created_at: from_ms(message.create_time_ms),
        started_at: from_ms(message.start_time_ms),
        ended_at: from_ms(message.end_time_ms),
    })
}

fn outputs(json: String) -> Option<Arc<str>> {
    (!json.is_empty()).then(|| json.into())
}

/// Where a result came from that was taken.
pub fn cache_source(source: &CacheSource) -> v1::CacheSource {
    v1::CacheSource {
        run_id: source.run.clone(),
        step: source.step.clone(),
        time: timestamp(source.ended_at),
    }
}

fn cache_source_from_proto(source: v1::CacheSource) -> CacheSource {
    let v1::CacheSource { run_id, step, time } = source;
    let time = time.unwrap_or_default();
    let ms = time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos) / 1_000_000);
    CacheSource { run: run_id, step, ended_at: Timestamp(u64::try_from(ms).unwrap_or(0)) }
}

fn to_ms(time: Option<Timestamp>) -> i64 {
    time.map_or(0, |time| i64::try_from(time.0).unwrap_or(i64::MAX))
}

fn from_ms(ms: i64) -> Option<Timestamp> {
    u64::try_from(ms).ok().filter(|ms| *ms > 0).map(Timestamp)
}

/// An order as it lies in a run's inbox.
pub fn order_to_proto(order: &Order) -> v1::Order {
    use v1::order::Order as Body;
    let body = match order {
        Order::Cancel => Body::Cancel(v1::CancelOrder {}),
        Order::Pause => Body::Pause(v1::PauseOrder {}),
        Order::Resume => Body::Resume(v1::ResumeOrder {}),
        Order::Retry { from, changes } => {
            let RunChanges { arguments_json, limits } =
                changes.as_deref().cloned().unwrap_or_default();
            Body::Retry(v1::RetryOrder {
                from_step: from.map(|step| step.0),
                arguments_json: arguments_json.to_string(),
                max_parallelism: limits.max_parallelism,
                timeout_ms: limits.timeout_ms,
            })
        }
        Order::Decide(Decision { step, approved, by, comment }) => Body::Decide(v1::DecideOrder {
            step: step.0,
            approved: *approved,
            by: by.to_string(),
            comment: comment.to_string(),
        }),
    };
    v1::Order { order: Some(body) }
}

/// An order as the engine takes it.
pub fn order_from_proto(order: v1::Order) -> Result<Order, Malformed> {
    use v1::order::Order as Body;
    match order.order {
        None => Err(Malformed::Missing("order")),
        Some(Body::Cancel(_)) => Ok(Order::Cancel),
        Some(Body::Pause(_)) => Ok(Order::Pause),
        Some(Body::Resume(_)) => Ok(Order::Resume),
        Some(Body::Retry(order)) => {
            let v1::RetryOrder { from_step, arguments_json, max_parallelism, timeout_ms } = order;
            let limits = LimitChanges { max_parallelism, timeout_ms };
            let changes = RunChanges { arguments_json: arguments_json.into(), limits };
            let changes = (changes != RunChanges::default()).then(|| Arc::new(changes));
            Ok(Order::Retry { from: from_step.map(StepIndex), changes })
        }
        Some(Body::Decide(v1::DecideOrder { step, approved, by, comment })) => {
            let (by, comment) = (by.into(), comment.into());
            Ok(Order::Decide(Decision { step: StepIndex(step), approved, by, comment }))
        }
    }
}

/// An attempt as commands name it.
pub fn attempt_ref_to_proto(attempt: AttemptRef) -> v1::AttemptRef {
    v1::AttemptRef { step: attempt.step.0, attempt: attempt.attempt }
}

/// The reason of a failure.
pub fn failure_reason(reason: FailureReason) -> v1::Reason {
    match reason {
        FailureReason::ExitCode => v1::Reason::ExitCode,
        FailureReason::Signal => v1::Reason::Signal,
        FailureReason::OutOfMemory => v1::Reason::OutOfMemory,
        FailureReason::Timeout => v1::Reason::Timeout,
        FailureReason::CannotStart => v1::Reason::CannotStart,
        FailureReason::OutputInvalid => v1::Reason::OutputInvalid,
        FailureReason::StartupTimeout => v1::Reason::StartupTimeout,
        FailureReason::Lost => v1::Reason::Lost,
        FailureReason::LaunchFailed => v1::Reason::LaunchFailed,
        FailureReason::ExpressionInvalid => v1::Reason::ExpressionInvalid,
        FailureReason::Rejected => v1::Reason::Rejected,
        FailureReason::Evicted => v1::Reason::Evicted,
        FailureReason::ImagePull => v1::Reason::ImagePull,
        FailureReason::Preempted => v1::Reason::Preempted,
        FailureReason::Deleted => v1::Reason::Deleted,
        FailureReason::InitFailed => v1::Reason::InitFailed,
        FailureReason::ConfigInvalid => v1::Reason::ConfigInvalid,
        FailureReason::Refused => v1::Reason::Refused,
    }
}

/// The reason of a failure as the engine has it; none where it tells something else.
pub fn failure_reason_from_proto(reason: v1::Reason) -> Option<FailureReason> {
    match reason {
        v1::Reason::ExitCode => Some(FailureReason::ExitCode),
        v1::Reason::Signal => Some(FailureReason::Signal),
        v1::Reason::OutOfMemory => Some(FailureReason::OutOfMemory),
        v1::Reason::Timeout => Some(FailureReason::Timeout),
        v1::Reason::CannotStart => Some(FailureReason::CannotStart),
        v1::Reason::OutputInvalid => Some(FailureReason::OutputInvalid),
        v1::Reason::StartupTimeout => Some(FailureReason::StartupTimeout),
        v1::Reason::Lost => Some(FailureReason::Lost),
        v1::Reason::LaunchFailed => Some(FailureReason::LaunchFailed),
        v1::Reason::ExpressionInvalid => Some(FailureReason::ExpressionInvalid),
        v1::Reason::Rejected => Some(FailureReason::Rejected),
        v1::Reason::Evicted => Some(FailureReason::Evicted),
        v1::Reason::ImagePull => Some(FailureReason::ImagePull),
        v1::Reason::Preempted => Some(FailureReason::Preempted),
        v1::Reason::Deleted => Some(FailureReason::Deleted),
        v1::Reason::InitFailed => Some(FailureReason::InitFailed),
        v1::Reason::ConfigInvalid => Some(FailureReason::ConfigInvalid),
        v1::Reason::Refused => Some(FailureReason::Refused),
        v1::Reason::Unspecified
        | v1::Reason::UpstreamFailed
        | v1::Reason::UpstreamSkipped
        | v1::Reason::UpstreamCancelled
        | v1::Reason::TriggerRuleNotMet
        | v1::Reason::RunFailed
        | v1::Reason::RunCancelled
        | v1::Reason::RunTimedOut
        | v1::Reason::RunDefect
        | v1::Reason::StepFailed
        | v1::Reason::ConditionFalse
        | v1::Reason::Withdrawn
        | v1::Reason::Cached => None,
    }
}

/// The reason of a step's state.
pub fn reason(reason: Reason) -> v1::Reason {
    match reason {
        Reason::None => v1::Reason::Unspecified,
        Reason::UpstreamFailed => v1::Reason::UpstreamFailed,
        Reason::UpstreamSkipped => v1::Reason::UpstreamSkipped,
        Reason::UpstreamCancelled => v1::Reason::UpstreamCancelled,
        Reason::TriggerRuleNotMet => v1::Reason::TriggerRuleNotMet,
        Reason::RunStopped(cause) => stop_cause(cause),
        Reason::Failure(failure) => failure_reason(failure),
        Reason::Withdrawn => v1::Reason::Withdrawn,
        Reason::Cached => v1::Reason::Cached,
        Reason::ConditionFalse => v1::Reason::ConditionFalse,
        Reason::StepFailed => v1::Reason::StepFailed,
    }
}

/// What the end of a run means for its steps.
pub fn stop_cause(cause: StopCause) -> v1::Reason {
    match cause {
        StopCause::Failure => v1::Reason::RunFailed,
        StopCause::TimedOut => v1::Reason::RunTimedOut,
        StopCause::Cancelled => v1::Reason::RunCancelled,
        StopCause::Defect => v1::Reason::RunDefect,
    }
}

/// The state of a step.
pub fn step_state(state: StepState) -> v1::StepState {
    match state {
        StepState::Waiting => v1::StepState::Waiting,
        StepState::Ready => v1::StepState::Ready,
        StepState::Delayed => v1::StepState::Delayed,
        StepState::Queued => v1::StepState::Queued,
        StepState::Starting => v1::StepState::Starting,
        StepState::Running | StepState::Open => v1::StepState::Running,
        StepState::Stopping => v1::StepState::Stopping,
        StepState::Succeeded => v1::StepState::Succeeded,
        StepState::Failed => v1::StepState::Failed,
        StepState::Skipped => v1::StepState::Skipped,
        StepState::Cancelled => v1::StepState::Cancelled,
        StepState::Suspended => v1::StepState::Suspended,
        StepState::Blocked => v1::StepState::Blocked,
    }
}

/// The state of a run: what the engine holds as running and paused is one word to clients, and while the exit steps of a run
/// run, it is running, or stopping where it was stopped.
pub fn run_state(record: &RunRecord) -> v1::RunState {
    match record.state {
        RunState::Running if record.paused_at.is_some() => v1::RunState::Paused,
        RunState::Pending => v1::RunState::Pending,
        RunState::Exiting if record.stop_cause.is_some() => v1::RunState::Stopping,
        RunState::Running | RunState::Exiting => v1::RunState::Running,
        RunState::Stopping => v1::RunState::Stopping,
        RunState::Succeeded => v1::RunState::Succeeded,
        RunState::Failed => v1::RunState::Failed,
        RunState::Cancelled => v1::RunState::Cancelled,
    }
}

/// How many steps are in which state, as clients see them.
pub fn step_counts(record: &RunRecord) -> v1::StepCounts {
    let sum = |states: &[StepState]| states.iter().map(|state| record.count(*state)).sum();
    v1::StepCounts {
        total: sum(&StepState::ALL),
        waiting: sum(&[
            StepState::Waiting,
            StepState::Ready,
            StepState::Delayed,
            StepState::Suspended,
            StepState::Blocked,
        ]),
        queued: sum(&[StepState::Queued, StepState::Starting]),
        running: sum(&[StepState::Running, StepState::Open]),
        stopping: sum(&[StepState::Stopping]),
        succeeded: sum(&[StepState::Succeeded]),
        failed: sum(&[StepState::Failed]),
        skipped: sum(&[StepState::Skipped]),
        cancelled: sum(&[StepState::Cancelled]),
    }
}

/// A time as clients see it; none for 0, which means that something has not happened.
pub fn timestamp(time: Timestamp) -> Option<prost_types::Timestamp> {
    (time > Timestamp(0)).then(|| prost_types::Timestamp {
        seconds: i64::try_from(time.0 / 1000).unwrap_or(i64::MAX),
        nanos: i32::try_from(time.0 % 1000 * 1_000_000).expect("less than a second"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn phases() -> impl Strategy<Value = AttemptPhase> {
        let reasons = prop::sample::select(vec![
            FailureReason::ExitCode,
            FailureReason::Signal,
            FailureReason::OutOfMemory,
            FailureReason::Timeout,
            FailureReason::CannotStart,
            FailureReason::OutputInvalid,
            FailureReason::StartupTimeout,
            FailureReason::Lost,
            FailureReason::LaunchFailed,
            FailureReason::ExpressionInvalid,
            FailureReason::Rejected,
            FailureReason::Evicted,
            FailureReason::ImagePull,
            FailureReason::Preempted,
            FailureReason::Deleted,
            FailureReason::InitFailed,
            FailureReason::ConfigInvalid,
            FailureReason::Refused,
        ]);
        let failure = (reasons, ".*", any::<Option<i32>>(), any::<Option<i32>>()).prop_map(
            |(reason, message, exit_code, signal)| {
                AttemptPhase::Failed(Failure { reason, message, exit_code, signal })
            },
        );
        prop_oneof![
            Just(AttemptPhase::Starting),
            Just(AttemptPhase::Running),
            Just(AttemptPhase::Stopped),
            Just(AttemptPhase::NotCreated),
            prop::option::of(".+").prop_map(|text| AttemptPhase::Succeeded(text.map(Into::into))),
            (prop::option::of(".+"), ".*", ".*", any::<u32>()).prop_map(
                |(outputs, run, step, ms)| {
                    let ended_at = Timestamp(ms.into());
                    AttemptPhase::Cached(
                        outputs.map(Into::into),
                        CacheSource { run, step, ended_at },
                    )
                }
            ),
            failure,
        ]
    }

    proptest! {
        #[test]
        fn a_report_arrives_as_it_was_sent(
            step: u32,
            attempt: u32,
            phase in phases(),
            times: [Option<u32>; 3],
        ) {
            let [created_at, started_at, ended_at] =
                times.map(|time| time.map(|ms| Timestamp(u64::from(ms) + 1)));
            let report =
                AttemptReport { step: StepIndex(step), attempt, phase, created_at, started_at, ended_at };
            prop_assert_eq!(report_from_proto(report_to_proto(&report)), Ok(report));
        }
    }

    fn changes() -> impl Strategy<Value = Option<Arc<RunChanges>>> {
        let changes = (".*", any::<Option<u32>>(), any::<Option<u64>>());
        changes.prop_map(|(arguments, max_parallelism, timeout_ms)| {
            let limits = LimitChanges { max_parallelism, timeout_ms };
            let changes = RunChanges { arguments_json: arguments.into(), limits };
            // One that changes nothing is none.
            (changes != RunChanges::default()).then(|| Arc::new(changes))
        })
    }

    fn orders() -> impl Strategy<Value = Order> {
        let decision =
            (any::<u32>(), any::<bool>(), ".*", ".*").prop_map(|(step, approved, by, comment)| {
                let (by, comment) = (by.into(), comment.into());
                Order::Decide(Decision { step: StepIndex(step), approved, by, comment })
            });
        prop_oneof![
            Just(Order::Cancel),
            Just(Order::Pause),
            Just(Order::Resume),
            (any::<Option<u32>>(), changes()).prop_map(|(from, changes)| {
                Order::Retry { from: from.map(StepIndex), changes }
            }),
            decision,
        ]
    }

    proptest! {
        #[test]
        fn an_order_is_read_as_it_was_placed(order in orders()) {
            prop_assert_eq!(order_from_proto(order_to_proto(&order)), Ok(order));
        }
    }

    #[test]
    fn a_report_that_means_nothing_is_refused() {
        let refused = |phase, reason| {
            report_from_proto(v1::AttemptReport { phase, reason, ..Default::default() })
                .unwrap_err()
                .to_string()
        };
        assert!(refused(0, 0).starts_with("`phase` is 0"));
        assert!(refused(3, 99).starts_with("`reason` is 99"));
        assert!(refused(3, v1::Reason::UpstreamFailed.into()).starts_with("`reason` is 1"));
    }
}
