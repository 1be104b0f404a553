//! What a service answers when it cannot do what it was asked to: one type, mapped to a gRPC status in one place.
//!
//! The status carries a `google.rpc.ErrorInfo` (AIP-193) with a reason from [`ErrorReason`], and details where there are any:
//! violations of fields, or when to try again. docs/errors.md lists them for clients.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use windlass_bus::BusError;
use windlass_proto::id::RunId;
use windlass_store::StoreError;

/// The domain of all reasons.
pub const ERROR_DOMAIN: &str = "windlass";

/// Why a request was refused, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorReason {
    /// A field of the request is not as it must be.
    InvalidRequest,
    /// The pipeline, or an argument of it, breaks a rule.
    InvalidPipeline,
    /// The request id was used before, with other content.
    RequestIdReused,
    /// The run was removed, and its request id cannot be used again.
    RunRemoved,
    /// There is no such run.
    RunNotFound,
    /// The run has no such step.
    StepNotFound,
    /// The run has ended.
    RunEnded,
    /// The run has not ended.
    RunNotEnded,
    /// The run succeeded, and there is nothing to retry.
    RunSucceeded,
    /// Steps that keep their results have come from values that a retry is to change.
    ParameterInUse,
    /// The run is not paused.
    RunNotPaused,
    /// The step is no approval.
    NotAnApproval,
    /// The approval has not begun to wait, or waits no more.
    ApprovalNotWaiting,
    /// The message, or what it asks for, is too large.
    TooLarge,
    /// Something that this service depends on cannot be reached or has no room.
    Unavailable,
    /// What an attempt wrote is not where the streamer looks.
    LogOutOfReach,
    /// What is stored cannot be understood.
    Damaged,
}

impl ErrorReason {
    /// All reasons, in the order of docs/errors.md.
    pub const ALL: [Self; 17] = [
        Self::InvalidRequest,
        Self::InvalidPipeline,
        Self::RequestIdReused,
        Self::RunRemoved,
        Self::RunNotFound,
        Self::StepNotFound,
        Self::RunEnded,
        Self::RunNotEnded,
        Self::RunSucceeded,
        Self::ParameterInUse,
        Self::RunNotPaused,
        Self::NotAnApproval,
        Self::ApprovalNotWaiting,
        Self::TooLarge,
        Self::Unavailable,
        Self::LogOutOfReach,
        Self::Damaged,
    ];

    /// As it stands in `ErrorInfo.reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::InvalidPipeline => "INVALID_PIPELINE",
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::RunRemoved => "RUN_REMOVED",
            Self::RunNotFound => "RUN_NOT_FOUND",
            Self::StepNotFound => "STEP_NOT_FOUND",
            Self::RunEnded => "RUN_ENDED",
            Self::RunNotEnded => "RUN_NOT_ENDED",
            Self::RunSucceeded => "RUN_SUCCEEDED",
            Self::ParameterInUse => "PARAMETER_IN_USE",
            Self::RunNotPaused => "RUN_NOT_PAUSED",
            Self::NotAnApproval => "NOT_AN_APPROVAL",
            Self::ApprovalNotWaiting => "APPROVAL_NOT_WAITING",
            Self::TooLarge => "TOO_LARGE",
            Self::Unavailable => "UNAVAILABLE",
            Self::LogOutOfReach => "LOG_OUT_OF_REACH",
            Self::Damaged => "DAMAGED",
        }
    }

    /// The gRPC code it goes with.
    pub fn code(self) -> Code {
        match self {
            Self::InvalidRequest | Self::InvalidPipeline => Code::InvalidArgument,
            Self::RequestIdReused => Code::AlreadyExists,
            Self::RunNotFound | Self::StepNotFound => Code::NotFound,
            Self::RunRemoved
            | Self::RunEnded
            | Self::RunNotEnded
            | Self::RunSucceeded
            | Self::ParameterInUse
            | Self::RunNotPaused
            | Self::NotAnApproval
            | Self::ApprovalNotWaiting
            | Self::LogOutOfReach => Code::FailedPrecondition,
            Self::TooLarge => Code::ResourceExhausted,
            Self::Unavailable => Code::Unavailable,
            Self::Damaged => Code::DataLoss,
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// For programs.
    pub reason: ErrorReason,
    /// For people: what is wrong, and what to do.
    pub message: String,
    /// What the message speaks of, such as the run's id.
    pub metadata: Vec<(&'static str, String)>,
    /// Which fields of the request are wrong.
    pub violations: Vec<FieldViolation>,
    /// When the same request may work.
    pub retry_after: Option<Duration>,
}

/// A field that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Where, such as `pipeline.steps[3].name`.
    pub field: String,
    /// What is wrong, and what to do.
    pub description: String,
}

impl ApiError {
    /// A refusal without details.
    pub fn new(reason: ErrorReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: Vec::new(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    /// There is no such run.
    pub fn run_not_found(run: RunId) -> Self {
        let message = format!(
            "there is no run {run}; it may have been deleted, and `windlass list` shows those that are there"
        );
        Self::new(ErrorReason::RunNotFound, message).with("run_id", &run)
    }

    /// The run has no such step.
    pub fn step_not_found(run: RunId, step: &str) -> Self {
        let shown: String = step.chars().take(80).collect();
        let message =
            format!("run {run} has no step `{shown}`; `windlass get {run}` shows its steps");
        Self::new(ErrorReason::StepNotFound, message).with("run_id", &run).with("step", &shown)
    }

    /// The service is about to end, and with it an answer that would have gone on.
    pub fn ending() -> Self {
        let message = "the server is ending; connect again to go on";
        Self {
            retry_after: Some(Duration::from_secs(1)),
            ..Self::new(ErrorReason::Unavailable, message)
        }
    }

    /// Adds what the message speaks of.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: &impl ToString) -> Self {
        self.metadata.push((key, value.to_string()));
        self
    }

    /// A field of the request is not as it must be.
    pub fn invalid(field: &str, description: impl Into<String>) -> Self {
        let description = description.into();
        let violation =
            FieldViolation { field: field.to_owned(), description: description.clone() };
        Self {
            violations: vec![violation],
            ..Self::new(ErrorReason::InvalidRequest, format!("{field}: {description}"))
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let reason =
            if error.is_retryable() { ErrorReason::Unavailable } else { ErrorReason::Damaged };
        let retry_after = error.is_retryable().then_some(Duration::from_secs(1));
        Self { retry_after, ..Self::new(reason, error.to_string()) }
    }
}

impl From<BusError> for ApiError {
    fn from(error: BusError) -> Self {
        let retry_after = error.is_retryable().then_some(Duration::from_secs(1));
        Self { retry_after, ..Self::new(ErrorReason::Unavailable, error.to_string()) }
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        let mut details = ErrorDetails::new();
        let metadata: Vec<(String, String)> =
            error.metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        details.set_error_info(
            error.reason.as_str(),
            ERROR_DOMAIN,
            metadata.into_iter().collect::<std::collections::HashMap<_, _>>(),
        );
        for violation in error.violations {
            details.add_bad_request_violation(violation.field, violation.description);
        }
        if let Some(delay) = error.retry_after {
            details.set_retry_info(Some(delay));
        }
        Self::with_error_details(error.reason.code(), error.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_reason_fields_and_when_to_try_again() {
        let status = Status::from(
            ApiError::invalid("page_size", "is negative; leave it out").with("value", &-1),
        );
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INVALID_REQUEST", "windlass"));
        assert_eq!(info.metadata["value"], "-1");
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "page_size");

        let status = Status::from(ApiError::from(StoreError::Unavailable("no room".into())));
        assert_eq!(status.code(), Code::Unavailable);
        let retry = status.get_error_details().retry_info().unwrap().retry_delay;
        assert_eq!(retry, Some(Duration::from_secs(1)));
    }
}
