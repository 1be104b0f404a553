//! Says what an attempt's directory tells of the attempt.

use std::fs::File;

use tracing::warn;
use windlass_engine::reason::FailureReason;

use super::leftovers;
use crate::{
    clock,
    supervisor::{
        attempt_dir::{AttemptDir, DirError},
        outcome::{End, Outcome},
    },
};

/// What is known of an attempt that has a directory.
#[derive(Debug)]
pub(super) enum Standing {
    /// Its supervisor lives.
    Alive(Times),
    /// It is over.
    Ended(Outcome),
}

/// When a living attempt went through its phases, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Times {
    pub(super) created_ms: Option<u64>,
    /// None before the program runs.
    pub(super) started_ms: Option<u64>,
}

/// How the attempt stands. One that nobody supervises any more is lost from here on.
pub(super) fn standing(dir: &AttemptDir) -> Result<Standing, DirError> {
    if let Some(outcome) = dir.read_outcome() {
        return Ok(Standing::Ended(outcome));
    }
    match dir.try_lock()? {
        Some(lock) => Ok(Standing::Ended(settle(dir, &lock, "its supervisor vanished"))),
        None => Ok(Standing::Alive(times(dir))),
    }
}

/// What is written down of a living attempt.
pub(super) fn times(dir: &AttemptDir) -> Times {
    Times {
        created_ms: dir.read_spec().ok().map(|spec| spec.created_ms),
        started_ms: dir.read_process().map(|process| process.started_ms),
    }
}

/// The outcome of an attempt that nobody supervises; `_lock` is the attempt's. Where none was written, the attempt is
/// lost, and `why` tells people how that came.
pub(super) fn settle(dir: &AttemptDir, _lock: &File, why: &str) -> Outcome {
    if let Some(outcome) = dir.read_outcome() {
        return outcome;
    }
    let left = leftovers::end(dir);
    let mut message = lost(why);
    if left > 0 {
        message = format!(
            "{message}; {left} of its processes cannot be ended: see to them on the launcher's host"
        );
    }
    let Times { created_ms, started_ms } = times(dir);
    let end = End::failed(FailureReason::Lost, message);
    let outcome = Outcome { created_ms, started_ms, ended_ms: Some(clock::now().0), end };
    write(dir, &outcome);
    outcome
}

/// What people are told of an attempt whose outcome nobody knows.
pub(super) fn lost(why: &str) -> String {
    format!(
        "{why}, so that what became of the program is not known; it is tried again as often as the step's system retries allow"
    )
}

/// Writes down an outcome. Where that fails it is still true, and will be found out again.
pub(super) fn write(dir: &AttemptDir, outcome: &Outcome) {
    if let Err(error) = dir.write_outcome(outcome) {
        warn!(%error, "an outcome is reported without being kept");
    }
}
