//! What became of an attempt, as it is written down.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_engine::{
    event::AttemptPhase,
    reason::{Failure, FailureReason},
    record::CacheSource,
    time::Timestamp,
};

use crate::runtime::KeepResult;

/// The last word on an attempt. Times are milliseconds since 1970, where they are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) created_ms: Option<u64>,
    pub(crate) started_ms: Option<u64>,
    pub(crate) ended_ms: Option<u64>,
    pub(crate) end: End,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(crate) enum End {
    /// By itself, well. The text is a JSON object.
    Succeeded {
        outputs: Option<String>,
        /// How the result is to be kept, where it is.
        #[serde(default)]
        keep: Option<KeepResult>,
    },
    /// By itself, or it vanished.
    Failed {
        #[serde(with = "FailureForm")]
        failure: Failure,
    },
    /// As it was told to.
    Stopped,
    /// It never began, and never will.
    NotCreated,
    /// It never began, and never will, since a result was taken: of a step of a run, which ended then.
    Cached { outputs: Option<String>, run: String, step: String, step_ended_ms: u64 },
}

impl End {
    /// A failure without exit code and signal.
    pub(crate) fn failed(reason: FailureReason, message: String) -> Self {
        Self::Failed { failure: Failure { reason, message, exit_code: None, signal: None } }
    }

    /// As it is reported, and how its result is to be kept, where it is.
    pub(crate) fn into_phase(self) -> (AttemptPhase, Option<KeepResult>) {
        let phase = match self {
            Self::Succeeded { outputs, keep } => {
                return (AttemptPhase::Succeeded(outputs.map(Arc::from)), keep);
            }
            Self::Failed { failure } => AttemptPhase::Failed(failure),
            Self::Stopped => AttemptPhase::Stopped,
            Self::NotCreated => AttemptPhase::NotCreated,
            Self::Cached { outputs, run, step, step_ended_ms } => {
                let source = CacheSource { run, step, ended_at: Timestamp(step_ended_ms) };
                AttemptPhase::Cached(outputs.map(Arc::from), source)
            }
        };
        (phase, None)
    }
}

/// How a [`Failure`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Failure")]
struct FailureForm {
    #[serde(with = "FailureReasonForm")]
    reason: FailureReason,
    message: String,
    exit_code: Option<i32>,
    signal: Option<i32>,
}

/// How a [`FailureReason`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "FailureReason", rename_all = "snake_case")]
enum FailureReasonForm {
    ExitCode,
    Signal,
    OutOfMemory,
    Timeout,
    CannotStart,
    OutputInvalid,
    StartupTimeout,
    Lost,
    LaunchFailed,
    ExpressionInvalid,
    Rejected,
    Evicted,
    ImagePull,
    Preempted,
    Deleted,
    InitFailed,
    ConfigInvalid,
    Refused,
}
