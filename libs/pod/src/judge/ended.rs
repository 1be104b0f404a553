//! A pod whose main container has ended.

use nix::sys::signal::Signal;
use windlass_engine::{
    reason::{Failure, FailureReason},
    time::Timestamp,
};

use super::{Judgement, cause::Cause, deleted, outputs, plain};
use crate::{
    label::MAIN_CONTAINER,
    observed::{ContainerTerminated, ObservedContainer, ObservedPod, timestamp},
};

/// The exit code of what a signal ended is this and the signal's number.
const SIGNALLED: i32 = 128;

/// By how much the clocks of a node and of the API server may differ, in milliseconds, where the program ended as a deletion
/// would end it.
const CLOCKS_APART_MS: u64 = 1000;

/// What is said of an end where nothing better is known.
const SEE_LOG: &str = "; its log may say why";

/// How the attempt ended; none where its main container has not.
pub(super) fn judge(pod: &ObservedPod, main: &ObservedContainer) -> Option<Judgement> {
    let state = &main.state;
    // Where a cluster has the container restarted against what was asked for, its first end counts.
    let restarting = state.running.is_none() && state.terminated.is_none();
    let before = main.last_state.terminated.as_ref().filter(|_| restarting);
    let end = state.terminated.as_ref().or(before)?;
    let must_delete = before.is_some() || goes_on(pod);
    if end.exit_code == 0 && end.signal.unwrap_or(0) == 0 {
        return Some(ended_well(pod, Some(end), must_delete));
    }
    let (started_at, ended_at) = times(end);
    Some(match badly(pod, end) {
        Bad::Failed(failure) => Judgement::Failed { failure, started_at, ended_at, must_delete },
        Bad::Deleted => Judgement::Stopped { failure: deleted(true), started_at, ended_at },
    })
}

fn times(end: &ContainerTerminated) -> (Option<Timestamp>, Option<Timestamp>) {
    (timestamp(end.started_at.as_ref()), timestamp(end.finished_at.as_ref()))
}

/// Whether something in the pod runs on, or will be restarted.
fn goes_on(pod: &ObservedPod) -> bool {
    if matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return false;
    }
    // Sidecars among the init containers are none of these: the node ends them itself when the others have ended.
    let mut others = pod.status.container_statuses.iter().filter(|it| it.name != MAIN_CONTAINER);
    restarts(pod) || others.any(|it| it.state.terminated.is_none())
}

/// Whether the node restarts containers that end. No pod is made so, but a cluster may change it.
pub(super) fn restarts(pod: &ObservedPod) -> bool {
    pod.spec.restart_policy.as_deref().is_some_and(|policy| policy != "Never")
}

/// The program ended with 0. Where it was told to end before that, it has obeyed, and its work may be half done: then nothing
/// that it put out is taken, and nothing that depends on it may run.
pub(super) fn ended_well(
    pod: &ObservedPod,
    end: Option<&ContainerTerminated>,
    must_delete: bool,
) -> Judgement {
    let (started_at, ended_at) = end.map_or((None, None), times);
    if let Some(cause) = Cause::of_ending_well(pod, ended_at) {
        let failure = cause.into_failure();
        return Judgement::Failed { failure, started_at, ended_at, must_delete };
    }
    if pod.is_being_deleted() && !is_before(ended_at, pod.deletion_asked_at()) {
        return Judgement::Stopped { failure: deleted(true), started_at, ended_at };
    }
    succeeded(pod, end, must_delete)
}

/// Whether a program ended in an earlier second than that in which it was told to. What is not known is not earlier.
pub(super) fn is_before(ended: Option<Timestamp>, told: Option<Timestamp>) -> bool {
    ended.zip(told).is_some_and(|(ended, told)| ended < told)
}

/// The program ended well by itself; whether the attempt did is up to its outputs.
fn succeeded(pod: &ObservedPod, end: Option<&ContainerTerminated>, must_delete: bool) -> Judgement {
    let (started_at, ended_at) = end.map_or((None, None), times);
    let message = end.and_then(|end| end.message.as_deref()).unwrap_or_default();
    match outputs::read(pod, message) {
        Ok(outputs) => Judgement::Succeeded { outputs, started_at, ended_at, must_delete },
        Err(error) => {
            let failure = plain(FailureReason::OutputInvalid, error.to_string());
            Judgement::Failed { failure, started_at, ended_at, must_delete }
        }
    }
}

/// How an end that is not good counts.
enum Bad {
    Failed(Failure),
    /// Somebody deleted the pod, and that ended the program.
    Deleted,
}

fn badly(pod: &ObservedPod, end: &ContainerTerminated) -> Bad {
    let code = end.exit_code;
    if let Some(cause) = Cause::of(pod) {
        return Bad::Failed(cause.into_failure());
    }
    let signal = signal(end);
    let told = end.message.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let says = told.map_or_else(|| SEE_LOG.to_owned(), |told| format!(": {told}"));
    let (exit_code, by_signal) = if signal.is_some() { (None, signal) } else { (Some(code), None) };
    let failed =
        |reason, message| Bad::Failed(Failure { reason, message, exit_code, signal: by_signal });
    match end.reason.as_deref() {
        // The node's own code, not the program's.
        Some("ContainerStatusUnknown") => Bad::Failed(plain(
            FailureReason::Lost,
            format!(
                "the node does not know any more how the program ended, as after a restart of the node{says}"
            ),
        )),
        Some("OOMKilled") => failed(
            FailureReason::OutOfMemory,
            format!(
                "the program used more memory than it may; let it use less, or raise the step's memory limit{}",
                told.map(|told| format!(": {told}")).unwrap_or_default()
            ),
        ),
        Some("StartError" | "ContainerCannotRun" | "RunContainerError") => Bad::Failed(plain(
            FailureReason::CannotStart,
            format!("the program could not be started{says}"),
        )),
        _ if by_deletion(pod, end) => Bad::Deleted,
        _ => match signal {
            Some(signal) => failed(
                FailureReason::Signal,
                format!("the program was ended by {}{says}", name(signal)),
            ),
            None => failed(
                FailureReason::ExitCode,
                format!("the program ended with exit code {code}{says}"),
            ),
        },
    }
}

/// The signal that ended a container.
fn signal(end: &ContainerTerminated) -> Option<i32> {
    let told = end.signal.filter(|signal| *signal > 0);
    told.or_else(|| {
        let signal = end.exit_code.checked_sub(SIGNALLED)?;
        // Other codes above 128 are the program's own.
        Signal::try_from(signal).ok().filter(|signal| ends_programs(*signal)).map(|it| it as i32)
    })
}

fn ends_programs(signal: Signal) -> bool {
    use Signal::{SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
    !matches!(signal, SIGCHLD | SIGCONT | SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU | SIGURG | SIGWINCH)
}

fn name(signal: i32) -> String {
    Signal::try_from(signal)
        .map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string())
}

/// Whether a deletion of the pod ended a container, as far as times tell, which are whole seconds of two clocks.
pub(super) fn by_deletion(pod: &ObservedPod, end: &ContainerTerminated) -> bool {
    let Some(asked) = pod.deletion_asked_at() else { return false };
    let signal = signal(end);
    let as_told = [Signal::SIGTERM as i32, Signal::SIGKILL as i32].map(Some).contains(&signal);
    match timestamp(end.finished_at.as_ref()) {
        Some(ended) if as_told => ended.plus(CLOCKS_APART_MS) >= asked,
        Some(ended) => ended >= asked,
        None => as_told,
    }
}
