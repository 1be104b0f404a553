//! Programs that do not run yet, and those that never will.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use windlass_engine::time::Timestamp;
use windlass_pod::{
    judge::{PodWait, wait},
    observed::ObservedPod,
};

use super::{Row, at, check, deleted_at, disrupted, ended, pod, running, waiting, with};

fn pending(containers: Value) -> Value {
    pod("Pending", containers)
}

#[test]
fn a_pod_that_waits_says_for_what() {
    let unplaced = |reason: &str, message: &str| {
        json!({"metadata": {"name": "p"}, "status": {"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": reason, "message": message},
        ]}})
    };
    check(vec![
        Row {
            name: "no node has room",
            pod: unplaced(
                "Unschedulable",
                "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
            ),
            judged: "waiting | Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        },
        Row {
            name: "a queue holds it back",
            pod: unplaced(
                "SchedulingGated",
                "Scheduling is blocked due to non-empty scheduling gates",
            ),
            judged: "waiting | SchedulingGated: Scheduling is blocked due to non-empty scheduling gates",
        },
        Row {
            name: "first try for the image",
            pod: pending(json!([waiting("main", "ErrImagePull", Some("dial tcp: i/o timeout"))])),
            judged: "waiting | ErrImagePull: dial tcp: i/o timeout",
        },
        Row {
            name: "just placed",
            pod: pending(json!([waiting("main", "ContainerCreating", None)])),
            judged: "waiting | ContainerCreating",
        },
        Row {
            name: "an init container runs",
            pod: with(
                pending(json!([waiting("main", "PodInitializing", None)])),
                json!({"status": {"initContainerStatuses": [ended("a", 0, "Completed", None), running("fetch")]}}),
            ),
            judged: "waiting | the init container `fetch` runs",
        },
        Row {
            name: "an init container waits for its image",
            pod: with(
                pending(json!([waiting("main", "PodInitializing", None)])),
                json!({"status": {"initContainerStatuses": [waiting("fetch", "ErrImagePull", Some("no"))]}}),
            ),
            judged: "waiting | container `fetch`: ErrImagePull: no",
        },
    ]);
}

#[test]
fn what_a_pod_waits_for_is_told_in_parts_and_since_when_it_has_a_node_or_has_none() {
    let scheduled = |status: &str| {
        json!({"status": {"conditions": [{"type": "PodScheduled", "status": status, "reason": "Unschedulable",
            "message": "0/3 nodes are available", "lastTransitionTime": at(5)}]}})
    };
    let read = |pod: Value| serde_json::from_value::<ObservedPod>(pod).expect("a pod");
    let unplaced = read(with(pending(json!([])), scheduled("False")));
    let expected = PodWait {
        since: unplaced.status.conditions[0].last_transition_time.as_ref().map(milliseconds),
        container: None,
        reason: Some("Unschedulable"),
        message: Some("0/3 nodes are available".into()),
    };
    assert!(expected.since.is_some());
    assert_eq!(wait(&unplaced), expected);
    let placed = with(
        pending(json!([waiting("main", "PodInitializing", None)])),
        json!({"status": {"initContainerStatuses": [waiting("fetch", "ErrImagePull", Some("no"))]}}),
    );
    let placed = read(with(placed, scheduled("True")));
    let (reason, message) = (Some("ErrImagePull"), Some("no".into()));
    assert_eq!(wait(&placed), PodWait { container: Some("fetch"), reason, message, ..expected });
    assert_eq!(wait(&read(json!({}))), PodWait::default());
}

fn milliseconds(time: &Time) -> Timestamp {
    Timestamp(time.0.as_millisecond().try_into().expect("after 1970"))
}

#[test]
fn what_will_not_go_away_by_itself_ends_the_attempt() {
    let fatal = |names: &str| json!({"metadata": {"annotations": {"windlass.dev/fatal-waiting-reasons": names}}});
    check(vec![
        Row {
            name: "image is not there",
            pod: pending(json!([waiting(
                "main",
                "ImagePullBackOff",
                Some("Back-off pulling image \"x\"")
            )])),
            judged: "failed ImagePull (System) _.._ delete | the image of the container `main` cannot be had: \
                     ImagePullBackOff: Back-off pulling image \"x\"; check its name, and the node's right to pull it",
        },
        Row {
            name: "no name of an image",
            pod: pending(json!([waiting(
                "main",
                "InvalidImageName",
                Some("couldn't parse image name")
            )])),
            judged: "failed ImagePull (System) _.._ delete | the image of the container `main` cannot be had: \
                     InvalidImageName: couldn't parse image name; check its name, and the node's right to pull it",
        },
        Row {
            name: "image is never pulled",
            pod: pending(json!([waiting("main", "ErrImageNeverPull", None)])),
            judged: "failed ImagePull (System) _.._ delete | the image of the container `main` cannot be had: \
                     ErrImageNeverPull; check its name, and the node's right to pull it",
        },
        Row {
            name: "image of an init container",
            pod: with(
                pending(json!([waiting("main", "PodInitializing", None)])),
                json!({"status": {"initContainerStatuses": [waiting("fetch", "ImagePullBackOff", None)]}}),
            ),
            judged: "failed ImagePull (System) _.._ delete | the image of the container `fetch` cannot be had: \
                     ImagePullBackOff; check its name, and the node's right to pull it",
        },
        Row {
            name: "no such secret",
            pod: pending(json!([waiting(
                "main",
                "CreateContainerConfigError",
                Some("secret \"db\" not found")
            )])),
            judged: "failed ConfigInvalid (Step) _.._ delete | the container `main` cannot be created: \
                     CreateContainerConfigError: secret \"db\" not found; correct what the step asks for, or create what it \
                     names",
        },
        Row {
            name: "container cannot be created",
            pod: pending(json!([waiting(
                "main",
                "CreateContainerError",
                Some("no command specified")
            )])),
            judged: "failed ConfigInvalid (Step) _.._ delete | the container `main` cannot be created: \
                     CreateContainerError: no command specified; correct what the step asks for, or create what it names",
        },
        Row {
            name: "declared to be no end",
            pod: with(
                pending(json!([waiting("main", "ImagePullBackOff", Some("later"))])),
                fatal("CreateContainerError,RunContainerError"),
            ),
            judged: "waiting | ImagePullBackOff: later",
        },
        Row {
            name: "declared to be an end",
            pod: with(
                pending(json!([waiting("main", "RunContainerError", Some("no"))])),
                fatal("CreateContainerError, RunContainerError"),
            ),
            judged: "failed CannotStart (Step) _.._ delete | the container `main` cannot be started: RunContainerError: no; \
                     correct what the step asks for",
        },
        Row {
            name: "nothing is declared to be an end",
            pod: with(pending(json!([waiting("main", "InvalidImageName", None)])), fatal("")),
            judged: "waiting | InvalidImageName",
        },
    ]);
}

#[test]
fn an_init_container_that_fails_is_named() {
    let init = |phase: &str, init: Value| {
        with(
            pod(phase, json!([waiting("main", "PodInitializing", None)])),
            json!({
                "spec": {"initContainers": [{"name": "fetch"}]},
                "status": {"initContainerStatuses": [init]},
            }),
        )
    };
    let failed = || ended("fetch", 2, "Error", Some("no route to host"));
    check(vec![
        Row {
            name: "failed",
            pod: init("Failed", failed()),
            judged: "failed InitFailed (Step) _.._ code=2 | the init container `fetch` ended with exit code 2: no route to \
                     host",
        },
        Row {
            name: "failed, and the pod's phase lags behind",
            pod: init("Pending", failed()),
            judged: "failed InitFailed (Step) _.._ delete code=2 | the init container `fetch` ended with exit code 2: no \
                     route to host",
        },
        Row {
            name: "out of memory",
            pod: init("Failed", ended("fetch", 137, "OOMKilled", None)),
            judged: "failed InitFailed (Step) _.._ code=137 | the init container `fetch` ended with exit code 137: OOMKilled",
        },
        Row {
            name: "deleted while it ran",
            pod: with(init("Failed", ended("fetch", 143, "Error", None)), deleted_at(7)),
            judged: "stopped Deleted (System) _.._ | its program had not begun to run",
        },
        Row {
            name: "evicted while it ran",
            pod: with(
                init("Failed", ended("fetch", 143, "Error", None)),
                disrupted("EvictionByEvictionAPI", "evicting"),
            ),
            judged: "failed Evicted (System) _..7 | the pod was evicted from the node `n1`: EvictionByEvictionAPI: \
                     evicting; where that is for want of room, let the step request what it uses",
        },
        Row {
            name: "tried again by the cluster",
            pod: with(init("Pending", failed()), json!({"spec": {"restartPolicy": "OnFailure"}})),
            judged: "waiting | container `fetch`: it ended with exit code 2: no route to host",
        },
    ]);
}

#[test]
fn a_sidecar_that_holds_up_the_program_is_named_with_its_error() {
    // The sidecar begins first, and another init container waits for it.
    let held_up_by = |sidecar: Value| {
        with(
            pending(json!([waiting("main", "PodInitializing", None)])),
            json!({
                "spec": {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}, {"name": "fetch"}]},
                "status": {"initContainerStatuses": [sidecar, waiting("fetch", "PodInitializing", None)]},
            }),
        )
    };
    let crashed = || ended("proxy", 1, "Error", Some("no such flag\n"));
    let before = || json!({"lastState": crashed()["state"].clone()});
    let starting = json!({"started": false});
    check(vec![
        Row {
            name: "crashes again and again",
            pod: held_up_by(with(
                waiting(
                    "proxy",
                    "CrashLoopBackOff",
                    Some("back-off 20s restarting failed container"),
                ),
                before(),
            )),
            judged: "waiting | container `proxy`: CrashLoopBackOff: it ended with exit code 1: no such flag; back-off 20s \
                     restarting failed container",
        },
        Row {
            name: "has crashed, and is restarted soon",
            pod: held_up_by(crashed()),
            judged: "waiting | container `proxy`: it ended with exit code 1: no such flag",
        },
        Row {
            name: "is restarted, and its probe has not passed",
            pod: held_up_by(with(with(running("proxy"), before()), starting.clone())),
            judged: "waiting | container `proxy`: it ended with exit code 1: no such flag",
        },
        Row {
            name: "used more memory than it may",
            pod: held_up_by(ended("proxy", 137, "OOMKilled", None)),
            judged: "waiting | container `proxy`: it ended with exit code 137: OOMKilled",
        },
        Row {
            name: "ends well, which it should not",
            pod: held_up_by(ended("proxy", 0, "Completed", None)),
            judged: "waiting | container `proxy`: it ended with exit code 0",
        },
        Row {
            name: "runs, and its probe has not passed",
            pod: held_up_by(with(running("proxy"), starting)),
            judged: "waiting | container `proxy`: it runs, and has not passed its start-up probe",
        },
        Row {
            name: "runs, and holds up nobody",
            pod: held_up_by(with(with(running("proxy"), before()), json!({"started": true}))),
            judged: "waiting | PodInitializing",
        },
        Row {
            name: "first try for its image",
            pod: held_up_by(waiting("proxy", "ErrImagePull", Some("no"))),
            judged: "waiting | container `proxy`: ErrImagePull: no",
        },
        Row {
            name: "its image is not there",
            pod: held_up_by(waiting("proxy", "ImagePullBackOff", Some("no"))),
            judged: "failed ImagePull (System) _.._ delete | the image of the container `proxy` cannot be had: \
                     ImagePullBackOff: no; check its name, and the node's right to pull it",
        },
        Row {
            name: "first try for the image of a container beside the program",
            pod: pending(json!([
                waiting("agent", "ErrImagePull", Some("no")),
                waiting("main", "ContainerCreating", None),
            ])),
            judged: "waiting | container `agent`: ErrImagePull: no",
        },
        Row {
            name: "the image of a container beside the program is not there",
            pod: pending(json!([
                waiting("agent", "ImagePullBackOff", Some("no")),
                waiting("main", "ContainerCreating", None),
            ])),
            judged: "failed ImagePull (System) _.._ delete | the image of the container `agent` cannot be had: \
                     ImagePullBackOff: no; check its name, and the node's right to pull it",
        },
    ]);
}
