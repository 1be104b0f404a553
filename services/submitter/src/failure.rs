//! How attempts failed, in words.

use windlass_engine::reason::{Failure, FailureReason};

/// How an attempt failed, in words: the reporter's own where it had any.
pub(crate) fn message(failure: &Failure) -> String {
    let words = words(failure.reason);
    match (failure.reason, &*failure.message) {
        (FailureReason::Timeout, "") => format!("{words} while its program ran"),
        (_, "") => words.to_owned(),
        // Who reports that it is gone says what it was doing until then, and cannot know who asked.
        (FailureReason::Deleted | FailureReason::StartupTimeout, was) => format!("{words}; {was}"),
        (_, told) => told.to_owned(),
    }
}

/// What a reason means, in words.
pub(crate) fn words(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::ExitCode => "the program ended with an exit code other than 0",
        FailureReason::Signal => "a signal ended the program",
        FailureReason::OutOfMemory => "the program used more memory than it may",
        FailureReason::Timeout => "the step's time-out passed",
        FailureReason::CannotStart => "the program could not be started",
        FailureReason::OutputInvalid => "a declared output is missing or not valid",
        FailureReason::StartupTimeout => "the attempt did not run within the start-up time-out",
        FailureReason::Lost => "its process or its pod is gone, and no launcher saw how it ended",
        FailureReason::LaunchFailed => "the attempt could not be created",
        FailureReason::ExpressionInvalid => "the condition, or the list of items, has no value",
        FailureReason::Rejected => "somebody rejected it",
        FailureReason::Evicted => "the attempt's host had it go, for room or for maintenance",
        FailureReason::ImagePull => "the image of the program could not be had",
        FailureReason::Preempted => {
            "the attempt had to make room for something of a higher priority"
        }
        FailureReason::Deleted => {
            "somebody deleted the pod, and the API server's audit log says who"
        }
        FailureReason::InitFailed => "what was to run before the program failed",
        FailureReason::ConfigInvalid => {
            "what the step asks for names something that is not there or that will not do"
        }
        FailureReason::Refused => "the cluster refused the attempt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pod_did_is_told_with_who_ended_it_where_that_was_not_windlass() {
        let said = |reason, message: &str| {
            let message = message.to_owned();
            super::message(&Failure { reason, message, exit_code: None, signal: None })
        };
        let waited = "it waited: Unschedulable: 0/3 nodes are available";
        let expected = [
            (
                FailureReason::Deleted,
                waited,
                "somebody deleted the pod, and the API server's audit log says who; it waited: Unschedulable: 0/3 nodes are available",
            ),
            (
                FailureReason::StartupTimeout,
                waited,
                "the attempt did not run within the start-up time-out; it waited: Unschedulable: 0/3 nodes are available",
            ),
            (
                FailureReason::StartupTimeout,
                "",
                "the attempt did not run within the start-up time-out",
            ),
            (FailureReason::Timeout, "", "the step's time-out passed while its program ran"),
            (FailureReason::Timeout, "the pod ran too long", "the pod ran too long"),
        ];
        for (reason, message, words) in expected {
            assert_eq!(said(reason, message), words);
        }
    }
}
