//! What a node does next with a pod: a pure function.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

use super::{
    behavior::Behavior,
    ending::Ending,
    status::{ended, running, waiting},
};

/// What a node knows of a pod beside what the API server has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Life {
    /// Since when it has the pod.
    pub(super) accepted: Timestamp,
    /// Why the pod waits, if that was told.
    pub(super) waits: Option<String>,
    /// When its containers started.
    pub(super) started: Option<Timestamp>,
    /// When they were asked to end.
    pub(super) asked: Option<Timestamp>,
    /// Whether all is over.
    pub(super) ended: bool,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Its life goes on so, which the status tells if there is one. Look again at once.
    Become(Life, Option<Box<PodStatus>>),
    /// Remove the object.
    Remove,
    /// Look again then, or when the pod changes.
    Wait(Option<Timestamp>),
}

impl Life {
    /// Of a pod that a node sees for the first time: it may come from a node before it.
    pub(super) fn of(pod: &Pod, now: Timestamp) -> Self {
        let status = pod.status.as_ref();
        let container = status.and_then(|it| it.container_statuses.as_ref()?.first());
        let running = container.and_then(|it| it.state.as_ref()?.running.as_ref());
        Self {
            accepted: status.and_then(|it| it.start_time.as_ref()).map_or(now, |it| it.0),
            waits: None,
            started: running.map(|it| it.started_at.as_ref().map_or(now, |it| it.0)),
            asked: None,
            ended: false,
        }
    }
}

/// Decides it.
pub(super) fn plan(pod: &Pod, life: &Life, now: Timestamp) -> Action {
    if life.ended || has_ended(pod) {
        return if is_deleted(pod) { Action::Remove } else { Action::Wait(None) };
    }
    let behavior = match Behavior::of(pod) {
        Ok(behavior) => behavior,
        Err(why) => return end(pod, life, now, &Ending::refused("BadAnnotation", &why)),
    };
    let limit = deadline(pod, life);
    if limit.is_some_and(|limit| limit <= now) {
        return end(pod, life, now, &Ending::deadline_exceeded());
    }
    let next = match life.started {
        None if is_deleted(pod) => return end(pod, life, now, &Ending::never_started()),
        None => begin(pod, life, now, &behavior),
        Some(started) => go_on(pod, life, now, &behavior, started),
    };
    match (next, limit) {
        (Action::Wait(next), Some(limit)) => {
            Action::Wait(Some(next.map_or(limit, |next| next.min(limit))))
        }
        (next, _) => next,
    }
}

/// What becomes of a pod none of whose containers has started.
fn begin(pod: &Pod, life: &Life, now: Timestamp, behavior: &Behavior) -> Action {
    if let Some(ending) = Ending::at_admission(behavior) {
        return end(pod, life, now, &ending);
    }
    let start = after(life.accepted, behavior.start_after);
    let why = match &behavior.waiting {
        Some(why) => why,
        None if now < start => "ContainerCreating",
        None if behavior.init_exit != 0 => {
            return end(pod, life, now, &Ending::init_failed(behavior));
        }
        None => {
            let life = Life { started: Some(now), ..life.clone() };
            let status = running(pod, &life, now);
            return Action::Become(life, Some(Box::new(status)));
        }
    };
    if life.waits.as_deref() == Some(why) {
        return Action::Wait(behavior.waiting.is_none().then_some(start));
    }
    let life = Life { waits: Some(why.to_owned()), ..life.clone() };
    let status = waiting(pod, &life, why, now);
    Action::Become(life, Some(Box::new(status)))
}

/// What becomes of a pod whose containers run.
fn go_on(
    pod: &Pod,
    life: &Life,
    now: Timestamp,
    behavior: &Behavior,
    started: Timestamp,
) -> Action {
    let by_itself = behavior.run_for.map(|run_for| after(started, run_for));
    if by_itself.is_some_and(|it| it <= now) {
        return end(pod, life, now, &Ending::by_itself(behavior, pod));
    }
    if !is_deleted(pod) {
        return Action::Wait(by_itself);
    }
    let Some(asked) = life.asked else {
        return Action::Become(Life { asked: Some(now), ..life.clone() }, None);
    };
    let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
    let killed = after(asked, Duration::from_secs(u64::try_from(grace).unwrap_or(0)));
    let obeys = after(asked, behavior.term_after);
    if obeys.min(killed) <= now {
        return end(pod, life, now, &Ending::asked(behavior, obeys <= killed));
    }
    let next = obeys.min(killed);
    Action::Wait(Some(by_itself.map_or(next, |it| it.min(next))))
}

fn end(pod: &Pod, life: &Life, now: Timestamp, ending: &Ending) -> Action {
    let status = ended(pod, life, ending, now);
    Action::Become(Life { ended: true, ..life.clone() }, Some(Box::new(status)))
}

fn is_deleted(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Also by others' word: controllers end pods of nodes that are gone.
fn has_ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

fn deadline(pod: &Pod, life: &Life) -> Option<Timestamp> {
    let seconds = pod.spec.as_ref()?.active_deadline_seconds?;
    Some(after(life.accepted, Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
}

/// The last time there is where that is none.
fn after(begin: Timestamp, duration: Duration) -> Timestamp {
    begin.checked_add(duration).unwrap_or(Timestamp::MAX)
}
