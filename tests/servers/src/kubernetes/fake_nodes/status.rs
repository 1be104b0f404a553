//! The status that a kubelet would write.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
        ContainerStateWaiting, ContainerStatus, Pod, PodCondition, PodStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::ResourceExt as _;

use super::{
    ending::{Containers, Ending},
    plan::Life,
};

/// Why a pod with init containers that are not over yet is not initialized.
const NOT_INITIALIZED: &str = "ContainersNotInitialized";

/// Of a pod whose first container waits for this reason.
pub(super) fn waiting(pod: &Pod, life: &Life, reason: &str, now: Timestamp) -> PodStatus {
    let waits = |_: &Container| waits(reason);
    PodStatus {
        phase: Some("Pending".to_owned()),
        container_statuses: Some(containers(pod, waits)),
        init_container_statuses: init_containers(pod, |_| waits_for_init()),
        ..status(pod, life, now, Some(NOT_INITIALIZED), Some("ContainersNotReady"))
    }
}

/// Of a pod whose containers run.
pub(super) fn running(pod: &Pod, life: &Life, now: Timestamp) -> PodStatus {
    let started = life.started.unwrap_or(now);
    PodStatus {
        phase: Some("Running".to_owned()),
        container_statuses: Some(containers(pod, |_| runs(started))),
        init_container_statuses: init_containers(pod, |container| {
            if is_sidecar(container) { runs(started) } else { exited(0, None, life, now) }
        }),
        ..status(pod, life, now, None, None)
    }
}

/// Of a pod that has ended so.
pub(super) fn ended(pod: &Pod, life: &Life, ending: &Ending, now: Timestamp) -> PodStatus {
    let failed = ending.exit != 0 || ending.pod.is_some();
    let (phase, why) = if failed { ("Failed", "PodFailed") } else { ("Succeeded", "PodCompleted") };
    let init_failed = ending.containers == Containers::InitFailed;
    let initialized = init_failed.then_some(NOT_INITIALIZED);
    let mut status = status(pod, life, now, initialized, Some(why));
    status.phase = Some(phase.to_owned());
    if ending.containers != Containers::Unknown {
        status.container_statuses = Some(ended_containers(pod, life, ending, now));
        status.init_container_statuses = ended_init_containers(pod, life, ending, now);
    }
    if let Some((reason, message)) = &ending.pod {
        (status.reason, status.message) = (Some(reason.clone()), Some(message.clone()));
    }
    if let Some((reason, message)) = &ending.disruption {
        let mut disruption = condition(pod, "DisruptionTarget", true, Some(reason), now);
        disruption.message = Some(message.clone());
        status.conditions.get_or_insert_default().push(disruption);
    }
    status
}

fn ended_containers(
    pod: &Pod,
    life: &Life,
    ending: &Ending,
    now: Timestamp,
) -> Vec<ContainerStatus> {
    let mut first = true;
    containers(pod, |_| {
        let is_first = std::mem::take(&mut first);
        match ending.containers {
            Containers::Unknown | Containers::InitFailed => waits("PodInitializing"),
            Containers::Waited => unknown(ending.exit),
            Containers::Killed if life.started.is_none() => unknown(ending.exit),
            Containers::Exited if !is_first => exited(0, None, life, now),
            Containers::Exited | Containers::Killed => {
                let mut state = exited(ending.exit, ending.container_reason.clone(), life, now);
                if let Some(terminated) = state.terminated.as_mut().filter(|_| is_first) {
                    terminated.message.clone_from(&ending.message);
                }
                state
            }
        }
    })
}

fn ended_init_containers(
    pod: &Pod,
    life: &Life,
    ending: &Ending,
    now: Timestamp,
) -> Option<Vec<ContainerStatus>> {
    let mut failed = false;
    init_containers(pod, |container| match ending.containers {
        Containers::InitFailed if failed => waits_for_init(),
        Containers::InitFailed if !is_sidecar(container) => {
            failed = true;
            exited(ending.exit, None, life, now)
        }
        _ if life.started.is_none() && ending.containers != Containers::InitFailed => {
            unknown(ending.exit)
        }
        _ => exited(0, None, life, now),
    })
}

/// What all have in common. Of what is not so yet, the reasons are given.
fn status(
    pod: &Pod,
    life: &Life,
    now: Timestamp,
    uninitialized: Option<&str>,
    unready: Option<&str>,
) -> PodStatus {
    let is = |name, unless: Option<&str>| condition(pod, name, unless.is_none(), unless, now);
    let conditions = vec![
        is("PodScheduled", None),
        is("Initialized", uninitialized.filter(|_| pod.spec.as_ref().is_some_and(has_init))),
        is("ContainersReady", unready),
        is("Ready", unready),
    ];
    let start_time = Some(Time(life.accepted));
    PodStatus { conditions: Some(conditions), start_time, ..PodStatus::default() }
}

fn has_init(spec: &k8s_openapi::api::core::v1::PodSpec) -> bool {
    spec.init_containers.as_ref().is_some_and(|it| !it.is_empty())
}

/// A condition, which keeps the time at which it became so.
fn condition(
    pod: &Pod,
    name: &str,
    holds: bool,
    reason: Option<&str>,
    now: Timestamp,
) -> PodCondition {
    let status = if holds { "True" } else { "False" };
    let before = pod.status.as_ref().and_then(|it| it.conditions.as_ref());
    let same = before.and_then(|all| all.iter().find(|it| it.type_ == name && it.status == status));
    PodCondition {
        type_: name.to_owned(),
        status: status.to_owned(),
        reason: reason.map(str::to_owned),
        last_transition_time: same
            .and_then(|it| it.last_transition_time.clone())
            .or(Some(Time(now))),
        ..PodCondition::default()
    }
}

fn containers(pod: &Pod, state: impl FnMut(&Container) -> ContainerState) -> Vec<ContainerStatus> {
    let containers = pod.spec.as_ref().map_or(&[][..], |it| &it.containers);
    statuses(pod, containers, state)
}

fn init_containers(
    pod: &Pod,
    state: impl FnMut(&Container) -> ContainerState,
) -> Option<Vec<ContainerStatus>> {
    let containers = pod.spec.as_ref()?.init_containers.as_ref()?;
    Some(statuses(pod, containers, state))
}

fn statuses(
    pod: &Pod,
    containers: &[Container],
    mut state: impl FnMut(&Container) -> ContainerState,
) -> Vec<ContainerStatus> {
    let status = |container: &Container| {
        let state = state(container);
        let has_begun = state.waiting.is_none();
        let image = container.image.clone().unwrap_or_default();
        let id = format!("fake://{}/{}", pod.uid().unwrap_or_default(), container.name);
        ContainerStatus {
            name: container.name.clone(),
            ready: state.running.is_some(),
            started: Some(state.running.is_some()),
            image_id: if has_begun { image.clone() } else { String::new() },
            image,
            container_id: has_begun.then_some(id),
            state: Some(state),
            ..ContainerStatus::default()
        }
    };
    containers.iter().map(status).collect()
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

fn waits(reason: &str) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message: None };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn waits_for_init() -> ContainerState {
    waits("PodInitializing")
}

fn runs(since: Timestamp) -> ContainerState {
    let running = ContainerStateRunning { started_at: Some(Time(since)) };
    ContainerState { running: Some(running), ..ContainerState::default() }
}

fn exited(code: i32, reason: Option<String>, life: &Life, now: Timestamp) -> ContainerState {
    let usual = if code == 0 { "Completed" } else { "Error" };
    let terminated = ContainerStateTerminated {
        exit_code: code,
        reason: reason.or_else(|| Some(usual.to_owned())),
        started_at: Some(Time(life.started.unwrap_or(life.accepted))),
        finished_at: Some(Time(now)),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// A container that the kubelet does not find when it looks for how it ended.
fn unknown(code: i32) -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code: code,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}
