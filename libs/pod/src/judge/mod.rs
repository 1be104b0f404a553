//! What became of an attempt, told from its pod.
//!
//! ```text
//!   main has ended ──▶ ended       the container's end, and who brought it about
//!   it has not     ──▶ waiting     why not yet, and what will never be
//!   the pod failed ──▶ cause       what the cluster did to it
//! ```
//!
//! The container [`MAIN_CONTAINER`] decides alone: how a sidecar ends is of no interest, and a pod
//! whose main container has ended is over, whatever else runs in it.

mod cause;
mod ended;
mod outputs;
mod waiting;

use std::sync::Arc;

use windlass_engine::{
    reason::{Failure, FailureReason},
    time::Timestamp,
};

use self::cause::Cause;
pub use self::waiting::{DEFAULT_FATAL_REASONS, PodWait, wait};
use crate::{
    label::MAIN_CONTAINER,
    observed::{ObservedContainer, ObservedPod, timestamp},
};

/// What a pod's status says of its attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The program does not run yet.
    Waiting {
        /// Why, for people, in the cluster's words; none where it does not say.
        message: Option<String>,
    },
    /// The program runs.
    Running {
        /// Since when.
        started_at: Option<Timestamp>,
    },
    /// The program ended well, and its outputs are as declared.
    Succeeded {
        /// A JSON object, where outputs are declared and some were written.
        outputs: Option<Arc<str>>,
        /// When the program began.
        started_at: Option<Timestamp>,
        /// When it ended.
        ended_at: Option<Timestamp>,
        /// Whether the pod still has containers that run, or would start some, and so has to be deleted.
        must_delete: bool,
    },
    /// The attempt failed.
    Failed {
        /// How.
        failure: Failure,
        /// When the program began, where it did.
        started_at: Option<Timestamp>,
        /// When it ended.
        ended_at: Option<Timestamp>,
        /// Whether the program could still begin, run, or run again: the pod has to be gone before the failure is reported, since
        /// the next attempt may begin then.
        must_delete: bool,
    },
    /// The pod was deleted before the program had ended by itself. Where that was asked of whoever judges, the attempt is
    /// stopped; otherwise it has failed, by the failure that is given.
    Stopped {
        /// What it is where nobody asked for it: [`FailureReason::Deleted`], whose message says what the pod was doing until then,
        /// or [`FailureReason::Lost`] where nobody saw the end of a program that ran.
        failure: Failure,
        /// When the program began, where it did.
        started_at: Option<Timestamp>,
        /// When it ended.
        ended_at: Option<Timestamp>,
    },
}

/// What a pod that exists says of its attempt. A pure function, for any status whatever.
///
/// Who deletes a pod since it `must_delete` may judge it again meanwhile: the outcome stays the same, but for a program that
/// ended by TERM, by KILL or in the second of the deletion, of which the judgement before the deletion is the true one. Times are
/// whole seconds of two clocks: the node's, and that of the API server or whoever else told the pod to end.
pub fn judge(pod: &ObservedPod) -> Judgement {
    let main = pod.status.container_statuses.iter().find(|it| it.name == MAIN_CONTAINER);
    if let Some(judgement) = main.and_then(|main| ended::judge(pod, main)) {
        return judgement;
    }
    match pod.status.phase.as_deref() {
        Some("Failed") => failed(pod, main),
        // Its status may be short of containers; that all of them ended with 0 is certain.
        Some("Succeeded") => ended::ended_well(pod, None, false),
        _ => match main.and_then(|main| main.state.running.as_ref()) {
            Some(running) => {
                Judgement::Running { started_at: timestamp(running.started_at.as_ref()) }
            }
            None => waiting::judge(pod),
        },
    }
}

/// What a pod that exists no more says of its attempt, by the last state of it that was seen.
pub fn judge_gone(last: &ObservedPod) -> Judgement {
    let started_at = match judge(last) {
        Judgement::Succeeded { outputs, started_at, ended_at, .. } => {
            return Judgement::Succeeded { outputs, started_at, ended_at, must_delete: false };
        }
        Judgement::Failed { failure, started_at, ended_at, .. } => {
            return Judgement::Failed { failure, started_at, ended_at, must_delete: false };
        }
        stopped @ Judgement::Stopped { .. } => return stopped,
        Judgement::Waiting { .. } => None,
        Judgement::Running { started_at } => Some(started_at),
    };
    let failure = match Cause::of(last) {
        Some(cause) => {
            let started_at = started_at.flatten();
            return cause.judgement(started_at, false);
        }
        None if started_at.is_some() && !last.is_being_deleted() => plain(
            FailureReason::Lost,
            "the pod is gone, and nobody saw how the program ended; the API server's audit log says who deleted it"
                .to_owned(),
        ),
        None => deleted(started_at.is_some()),
    };
    Judgement::Stopped { failure, started_at: started_at.flatten(), ended_at: None }
}

/// A pod that failed, while of its main container no end is known.
fn failed(pod: &ObservedPod, main: Option<&ObservedContainer>) -> Judgement {
    let running = main.and_then(|main| main.state.running.as_ref());
    let started_at = running.and_then(|running| timestamp(running.started_at.as_ref()));
    // The node has not told its end: what says `Failed` is not the node, which may be cut off and run it still.
    let must_delete = running.is_some();
    if let Some(cause) = Cause::of(pod) {
        return cause.judgement(started_at, must_delete);
    }
    if let Some(failure) = waiting::init_failure(pod) {
        return Judgement::Failed { failure, started_at, ended_at: None, must_delete };
    }
    if pod.is_being_deleted() {
        return Judgement::Stopped {
            failure: deleted(running.is_some()),
            started_at,
            ended_at: None,
        };
    }
    let failure = cause::refused_by_node(pod).unwrap_or_else(|| {
        plain(
            FailureReason::Lost,
            format!(
                "the pod failed, and its status says nothing of how the container `{MAIN_CONTAINER}` ended; \
                 the log of its node may say why"
            ),
        )
    });
    Judgement::Failed { failure, started_at, ended_at: None, must_delete }
}

/// What an end is that somebody brought about by deleting the pod: who that was, the pod does not say.
fn deleted(ran: bool) -> Failure {
    let was = if ran { "its program ran until then" } else { "its program had not begun to run" };
    plain(FailureReason::Deleted, was.to_owned())
}

/// A failure by neither an exit code nor a signal.
fn plain(reason: FailureReason, message: String) -> Failure {
    Failure { reason, message, exit_code: None, signal: None }
}

/// The names in an annotation.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// A reason in one word and a text for people, as one text; none where there is neither.
fn words(reason: Option<&str>, message: Option<&str>) -> Option<String> {
    let written = |text: &&str| !text.trim().is_empty();
    match (reason.filter(written), message.map(str::trim).filter(written)) {
        (Some(reason), Some(message)) => Some(format!("{reason}: {message}")),
        (Some(text), None) | (None, Some(text)) => Some(text.to_owned()),
        (None, None) => None,
    }
}
