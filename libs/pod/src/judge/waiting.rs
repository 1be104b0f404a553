//! A pod whose program does not run yet: why, and whether it ever will.

use windlass_engine::reason::{Failure, FailureReason};

use super::{
    Judgement,
    cause::Cause,
    ended::{by_deletion, restarts},
    names, plain, words,
};
use crate::{
    label::{FATAL_WAITING_REASONS, MAIN_CONTAINER},
    observed::{ContainerWaiting, ObservedPod},
};

/// The reasons for which a container waits that end an attempt, where the step does not name others: none of them goes away
/// unless somebody changes something. A first `ErrImagePull` is not among them: the node tries again.
pub const DEFAULT_FATAL_REASONS: [&str; 5] = [
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
];

/// What every container waits for in turn, which says nothing.
const IN_TURN: [&str; 2] = ["PodInitializing", "ContainerCreating"];

/// What is known of a pod whose main container has neither ended nor runs.
pub(super) fn judge(pod: &ObservedPod) -> Judgement {
    // What the cluster does to it may have ended an init container, and is judged when the pod has ended.
    let init = init_failure(pod).filter(|_| Cause::of(pod).is_none());
    match init.or_else(|| fatal(pod)) {
        Some(failure) => {
            Judgement::Failed { failure, started_at: None, ended_at: None, must_delete: true }
        }
        None => Judgement::Waiting { message: why(pod) },
    }
}

/// The init container that failed, where one did by itself.
pub(super) fn init_failure(pod: &ObservedPod) -> Option<Failure> {
    if restarts(pod) {
        // Its next try may do.
        return None;
    }
    let inits = pod.status.init_container_statuses.iter().filter(|it| !is_sidecar(pod, &it.name));
    let mut ended = inits.filter_map(|it| Some((&it.name, it.state.terminated.as_ref()?)));
    let (name, end) = ended.find(|(_, end)| end.exit_code != 0)?;
    if by_deletion(pod, end) {
        return None;
    }
    let code = end.exit_code;
    let told =
        words(end.reason.as_deref().filter(|reason| *reason != "Error"), end.message.as_deref());
    let says = told.map_or_else(|| "; its log may say why".to_owned(), |told| format!(": {told}"));
    let message = format!("the init container `{name}` ended with exit code {code}{says}");
    Some(Failure { exit_code: Some(code), ..plain(FailureReason::InitFailed, message) })
}

fn is_sidecar(pod: &ObservedPod, name: &str) -> bool {
    let mut inits = pod.spec.init_containers.iter();
    inits.any(|it| it.name == name && it.restart_policy.as_deref() == Some("Always"))
}

/// What will not go away by itself, of the containers that the program waits for.
fn fatal(pod: &ObservedPod) -> Option<Failure> {
    let declared = pod.annotation(FATAL_WAITING_REASONS);
    let is_fatal = |reason: &str| match declared {
        Some(list) => names(list).any(|name| name == reason),
        None => DEFAULT_FATAL_REASONS.contains(&reason),
    };
    let (name, waiting) =
        waits(pod).find(|(_, waiting)| waiting.reason.as_deref().is_some_and(is_fatal))?;
    let told = words(waiting.reason.as_deref(), waiting.message.as_deref()).unwrap_or_default();
    Some(match waiting.reason.as_deref().unwrap_or_default() {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => plain(
            FailureReason::ImagePull,
            format!(
                "the image of the container `{name}` cannot be had: {told}; check its name, and the node's right to pull it"
            ),
        ),
        "CreateContainerConfigError" | "CreateContainerError" => plain(
            FailureReason::ConfigInvalid,
            format!(
                "the container `{name}` cannot be created: {told}; correct what the step asks for, or create what it names"
            ),
        ),
        _ => plain(
            FailureReason::CannotStart,
            format!(
                "the container `{name}` cannot be started: {told}; correct what the step asks for"
            ),
        ),
    })
}

/// The containers for which the program waits and that wait themselves, with their names, in the order in which they begin.
fn waits(pod: &ObservedPod) -> impl Iterator<Item = (&str, &ContainerWaiting)> {
    let status = &pod.status;
    let main = status.container_statuses.iter().filter(|it| it.name == MAIN_CONTAINER);
    let all = status.init_container_statuses.iter().chain(main);
    all.filter_map(|it| Some((it.name.as_str(), it.state.waiting.as_ref()?)))
}

/// Why the program does not run yet.
fn why(pod: &ObservedPod) -> Option<String> {
    if pod.is_being_deleted() {
        return Some("the pod is being deleted".to_owned());
    }
    let status = &pod.status;
    let unplaced = status.conditions.iter().find(|it| it.type_ == "PodScheduled");
    if let Some(condition) = unplaced.filter(|it| it.status == "False") {
        return words(condition.reason.as_deref(), condition.message.as_deref());
    }
    let in_turn = |waiting: &ContainerWaiting| {
        waiting.reason.as_deref().is_none_or(|reason| IN_TURN.contains(&reason))
    };
    let held_up = waits(pod).find(|(_, waiting)| !in_turn(waiting));
    if let Some((name, waiting)) = held_up {
        let told = words(waiting.reason.as_deref(), waiting.message.as_deref())?;
        let whose = if name == MAIN_CONTAINER {
            String::new()
        } else {
            format!("init container `{name}`: ")
        };
        return Some(format!("{whose}{told}"));
    }
    let mut inits = status.init_container_statuses.iter().filter(|it| !is_sidecar(pod, &it.name));
    if let Some(running) = inits.find(|it| it.state.running.is_some()) {
        return Some(format!("the init container `{}` runs", running.name));
    }
    let told = words(status.reason.as_deref(), status.message.as_deref());
    told.or_else(|| {
        let (_, waiting) = waits(pod).last()?;
        words(waiting.reason.as_deref(), waiting.message.as_deref())
    })
}
