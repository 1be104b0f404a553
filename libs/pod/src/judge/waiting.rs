//! A pod whose program does not run yet: why, and whether it ever will.

use std::borrow::Cow;

use windlass_engine::{
    reason::{Failure, FailureReason},
    time::Timestamp,
};

use super::{
    Judgement,
    cause::Cause,
    ended::{by_deletion, restarts},
    names, plain, words,
};
use crate::{
    label::{FATAL_WAITING_REASONS, MAIN_CONTAINER},
    observed::{
        ContainerTerminated, ContainerWaiting, ObservedCondition, ObservedContainer, ObservedPod,
        timestamp,
    },
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
        None => Judgement::Waiting { message: wait(pod).words() },
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

/// What will not go away by itself, of all containers.
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

/// The containers that wait, with their names, in the order in which they begin, those beside the main one last.
fn waits(pod: &ObservedPod) -> impl Iterator<Item = (&str, &ContainerWaiting)> {
    let status = &pod.status;
    let is_main = |it: &&ObservedContainer| it.name == MAIN_CONTAINER;
    let main = status.container_statuses.iter().filter(is_main);
    let beside = status.container_statuses.iter().filter(move |it| !is_main(it));
    let all = status.init_container_statuses.iter().chain(main).chain(beside);
    all.filter_map(|it| Some((it.name.as_str(), it.state.waiting.as_ref()?)))
}

/// What a pod waits for whose program does not run yet, in the cluster's words. Any of it may be unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodWait<'a> {
    /// Since when it waits for a node; where it has one, since when that is.
    pub since: Option<Timestamp>,
    /// The container that is at fault; none where it is the pod as a whole, or the program's own container.
    pub container: Option<&'a str>,
    /// Why, in one word.
    pub reason: Option<&'a str>,
    /// The same for people.
    pub message: Option<Cow<'a, str>>,
}

impl PodWait<'_> {
    /// All but the time as one text; none where nothing is known.
    fn words(&self) -> Option<String> {
        let told = words(self.reason, self.message.as_deref())?;
        Some(match self.container {
            Some(name) => format!("container `{name}`: {told}"),
            None => told,
        })
    }
}

/// What keeps the program of a pod from running that [`judge`](super::judge) says is waiting.
pub fn wait(pod: &ObservedPod) -> PodWait<'_> {
    let mut conditions = pod.status.conditions.iter();
    let scheduled = conditions.find(|it| it.type_ == "PodScheduled");
    let since = scheduled.and_then(|it| timestamp(it.last_transition_time.as_ref()));
    PodWait { since, ..why(pod, scheduled) }
}

fn why<'a>(pod: &'a ObservedPod, scheduled: Option<&'a ObservedCondition>) -> PodWait<'a> {
    if pod.is_being_deleted() {
        return in_words("the pod is being deleted".into());
    }
    let status = &pod.status;
    if let Some(unplaced) = scheduled.filter(|it| it.status == "False") {
        return because(unplaced.reason.as_deref(), unplaced.message.as_deref());
    }
    let mut inits = status.init_container_statuses.iter();
    if let Some(held_up) = inits.find_map(|init| what_holds_up(pod, init)) {
        return held_up;
    }
    if let Some((name, waiting)) = waits(pod).find(|(_, waiting)| !is_in_turn(waiting)) {
        let container = (name != MAIN_CONTAINER).then_some(name);
        let why = because(waiting.reason.as_deref(), waiting.message.as_deref());
        return PodWait { container, ..why };
    }
    let mut inits = status.init_container_statuses.iter().filter(|it| !is_sidecar(pod, &it.name));
    if let Some(running) = inits.find(|it| it.state.running.is_some()) {
        return in_words(format!("the init container `{}` runs", running.name).into());
    }
    let of_pod = because(status.reason.as_deref(), status.message.as_deref());
    match waits(pod).last() {
        Some((_, waiting)) if of_pod.words().is_none() => {
            because(waiting.reason.as_deref(), waiting.message.as_deref())
        }
        _ => of_pod,
    }
}

fn because<'a>(reason: Option<&'a str>, message: Option<&'a str>) -> PodWait<'a> {
    PodWait { reason, message: message.map(Cow::Borrowed), ..PodWait::default() }
}

fn in_words(message: Cow<'_, str>) -> PodWait<'_> {
    PodWait { message: Some(message), ..PodWait::default() }
}

fn is_in_turn(waiting: &ContainerWaiting) -> bool {
    waiting.reason.as_deref().is_none_or(|reason| IN_TURN.contains(&reason))
}

/// Why an init container holds up those after it; none where it only runs, or waits for its turn.
fn what_holds_up<'a>(pod: &ObservedPod, init: &'a ObservedContainer) -> Option<PodWait<'a>> {
    let state = &init.state;
    let is_sidecar = is_sidecar(pod, &init.name);
    if state.running.is_some() && init.started != Some(false) {
        return None;
    }
    // A sidecar is to go on: it is restarted, however it has ended.
    let ended = state.terminated.as_ref().or(init.last_state.terminated.as_ref());
    let ended = ended.filter(|end| is_sidecar || end.exit_code != 0);
    let ended =
        ended.map(|end| format!("it ended with exit code {}{}", end.exit_code, last_words(end)));
    let waiting = state.waiting.as_ref().filter(|waiting| !is_in_turn(waiting));
    let reason = waiting.and_then(|it| it.reason.as_deref());
    let told = waiting.and_then(|it| it.message.as_deref()).filter(|it| !it.is_empty());
    let message = match (ended, told) {
        (Some(ended), Some(told)) => Some(Cow::Owned(format!("{ended}; {told}"))),
        (Some(ended), None) => Some(Cow::Owned(ended)),
        (None, told) if waiting.is_some() => told.map(Cow::Borrowed),
        (None, _) if is_sidecar && state.running.is_some() => {
            Some("it runs, and has not passed its start-up probe".into())
        }
        (None, _) => return None,
    };
    Some(PodWait { container: Some(init.name.as_str()), reason, message, ..PodWait::default() })
}

/// What is known of an end beside its exit code.
fn last_words(end: &ContainerTerminated) -> String {
    let reason = end.reason.as_deref().filter(|it| !matches!(*it, "Error" | "Completed"));
    words(reason, end.message.as_deref()).map(|told| format!(": {told}")).unwrap_or_default()
}
