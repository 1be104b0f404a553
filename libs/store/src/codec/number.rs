//! The numbers that stand for the words of the engine. Stored, and so the same for ever.

use windlass_engine::{
    reason::{FailureReason, Reason, StopCause},
    record::{RunState, StepState},
};

/// From 0.
pub(super) fn step_state(number: u8) -> Option<StepState> {
    StepState::ALL.get(usize::from(number)).copied()
}

const RUN_STATES: [RunState; 7] = [
    RunState::Pending,
    RunState::Running,
    RunState::Stopping,
    RunState::Succeeded,
    RunState::Failed,
    RunState::Cancelled,
    RunState::Exiting,
];

/// From 0.
pub(super) fn run_state(number: u8) -> Option<RunState> {
    RUN_STATES.get(usize::from(number)).copied()
}

/// From 1; 0 stands for none.
pub(super) fn stop_cause_number(cause: StopCause) -> u8 {
    match cause {
        StopCause::Failure => 1,
        StopCause::TimedOut => 2,
        StopCause::Cancelled => 3,
        StopCause::Defect => 4,
    }
}

/// The inverse of [`stop_cause_number`].
pub(super) fn stop_cause(number: u8) -> Option<StopCause> {
    match number {
        1 => Some(StopCause::Failure),
        2 => Some(StopCause::TimedOut),
        3 => Some(StopCause::Cancelled),
        4 => Some(StopCause::Defect),
        _ => None,
    }
}

/// From 1.
pub(super) fn failure_reason_number(reason: FailureReason) -> u8 {
    match reason {
        FailureReason::ExitCode => 1,
        FailureReason::Signal => 2,
        FailureReason::OutOfMemory => 3,
        FailureReason::Timeout => 4,
        FailureReason::CannotStart => 5,
        FailureReason::OutputInvalid => 6,
        FailureReason::StartupTimeout => 7,
        FailureReason::Lost => 8,
        FailureReason::LaunchFailed => 9,
        FailureReason::ExpressionInvalid => 10,
        FailureReason::Evicted => 11,
        FailureReason::ImagePull => 12,
        FailureReason::Rejected => 13,
        FailureReason::Preempted => 14,
        FailureReason::Deleted => 15,
        FailureReason::InitFailed => 16,
        FailureReason::ConfigInvalid => 17,
        FailureReason::Refused => 18,
    }
}

/// The inverse of [`failure_reason_number`].
pub(super) fn failure_reason(number: u8) -> Option<FailureReason> {
    match number {
        1 => Some(FailureReason::ExitCode),
        2 => Some(FailureReason::Signal),
        3 => Some(FailureReason::OutOfMemory),
        4 => Some(FailureReason::Timeout),
        5 => Some(FailureReason::CannotStart),
        6 => Some(FailureReason::OutputInvalid),
        7 => Some(FailureReason::StartupTimeout),
        8 => Some(FailureReason::Lost),
        9 => Some(FailureReason::LaunchFailed),
        10 => Some(FailureReason::ExpressionInvalid),
        11 => Some(FailureReason::Evicted),
        12 => Some(FailureReason::ImagePull),
        13 => Some(FailureReason::Rejected),
        14 => Some(FailureReason::Preempted),
        15 => Some(FailureReason::Deleted),
        16 => Some(FailureReason::InitFailed),
        17 => Some(FailureReason::ConfigInvalid),
        18 => Some(FailureReason::Refused),
        _ => None,
    }
}

/// Where the stop causes begin among the reasons, and where the failures do.
const RUN_STOPPED: u8 = 32;
const FAILURE: u8 = 64;

/// One byte for any reason.
pub(super) fn reason_number(reason: Reason) -> u8 {
    match reason {
        Reason::None => 0,
        Reason::UpstreamFailed => 1,
        Reason::UpstreamSkipped => 2,
        Reason::UpstreamCancelled => 3,
        Reason::TriggerRuleNotMet => 4,
        Reason::Withdrawn => 5,
        Reason::ConditionFalse => 6,
        Reason::StepFailed => 7,
        Reason::Cached => 8,
        Reason::RunStopped(cause) => RUN_STOPPED + stop_cause_number(cause),
        Reason::Failure(failure) => FAILURE + failure_reason_number(failure),
    }
}

/// The inverse of [`reason_number`].
pub(super) fn reason(number: u8) -> Option<Reason> {
    match number {
        0 => Some(Reason::None),
        1 => Some(Reason::UpstreamFailed),
        2 => Some(Reason::UpstreamSkipped),
        3 => Some(Reason::UpstreamCancelled),
        4 => Some(Reason::TriggerRuleNotMet),
        5 => Some(Reason::Withdrawn),
        6 => Some(Reason::ConditionFalse),
        7 => Some(Reason::StepFailed),
        8 => Some(Reason::Cached),
        FAILURE.. => failure_reason(number - FAILURE).map(Reason::Failure),
        RUN_STOPPED.. => stop_cause(number - RUN_STOPPED).map(Reason::RunStopped),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_stands_for_one_word() {
        let mut known = 0;
        for number in 0..=u8::MAX {
            if let Some(reason) = reason(number) {
                assert_eq!(reason_number(reason), number);
                known += 1;
            }
            if let Some(state) = step_state(number) {
                assert_eq!(state as u8, number);
            }
            if let Some(state) = run_state(number) {
                assert_eq!(state as u8, number);
            }
        }
        assert_eq!(known, 9 + 4 + 18);
    }
}
