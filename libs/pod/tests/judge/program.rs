//! How the program ended by itself.

use serde_json::json;

use super::{Row, at, check, check_gone, deleted_at, ended, pod, running, waiting, with};

#[test]
fn the_end_of_the_main_container_is_that_of_the_attempt() {
    check(vec![
        Row {
            name: "exit code 0",
            pod: pod("Succeeded", json!([ended("main", 0, "Completed", None)])),
            judged: "succeeded 3..8 | no outputs",
        },
        Row {
            name: "exit code 0, and the kernel ended some child",
            pod: pod("Succeeded", json!([ended("main", 0, "OOMKilled", None)])),
            judged: "succeeded 3..8 | no outputs",
        },
        Row {
            name: "exit code",
            pod: pod("Failed", json!([ended("main", 3, "Error", None)])),
            judged: "failed ExitCode (Step) 3..8 code=3 | the program ended with exit code 3; its log may say why",
        },
        Row {
            name: "exit code and a message",
            pod: pod("Failed", json!([ended("main", 3, "Error", Some("no such table\n"))])),
            judged: "failed ExitCode (Step) 3..8 code=3 | the program ended with exit code 3: no such table",
        },
        Row {
            name: "exit code above 128 that is no signal",
            pod: pod("Failed", json!([ended("main", 255, "Error", None)])),
            judged: "failed ExitCode (Step) 3..8 code=255 | the program ended with exit code 255; its log may say why",
        },
        Row {
            name: "exit code 128 + the number of a signal that ends nothing",
            pod: pod("Failed", json!([ended("main", 145, "Error", None)])),
            judged: "failed ExitCode (Step) 3..8 code=145 | the program ended with exit code 145; its log may say why",
        },
        Row {
            name: "signal as an exit code",
            pod: pod("Failed", json!([ended("main", 139, "Error", None)])),
            judged: "failed Signal (Step) 3..8 signal=11 | the program was ended by SIGSEGV; its log may say why",
        },
        Row {
            name: "signal in its own field",
            pod: pod(
                "Failed",
                json!([{"name": "main", "state": {"terminated": {"exitCode": 0, "signal": 6}}}]),
            ),
            judged: "failed Signal (Step) _.._ signal=6 | the program was ended by SIGABRT; its log may say why",
        },
        Row {
            name: "out of memory",
            pod: pod("Failed", json!([ended("main", 137, "OOMKilled", None)])),
            judged: "failed OutOfMemory (Step) 3..8 signal=9 | the program used more memory than it may; let it use less, \
                     or raise the step's memory limit",
        },
        Row {
            name: "command that is not in the image",
            pod: pod(
                "Failed",
                json!([{"name": "main", "state": {"terminated": {
                    "exitCode": 128, "reason": "StartError", "startedAt": "1970-01-01T00:00:00Z",
                    "finishedAt": at(2),
                    "message": "exec: \"trian\": executable file not found in $PATH: unknown",
                }}}]),
            ),
            judged: "failed CannotStart (Step) _..2 | the program could not be started: exec: \"trian\": executable file \
                     not found in $PATH: unknown",
        },
        Row {
            name: "the same from another runtime",
            pod: pod(
                "Failed",
                json!([ended("main", 127, "ContainerCannotRun", Some("no such file"))]),
            ),
            judged: "failed CannotStart (Step) 3..8 | the program could not be started: no such file",
        },
        Row {
            name: "node restarted meanwhile",
            pod: pod(
                "Failed",
                json!([{"name": "main", "state": {"terminated": {
                    "exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": null, "finishedAt": null,
                    "message": "The container could not be located when the pod was terminated",
                }}}]),
            ),
            judged: "failed Lost (System) _.._ | the node does not know any more how the program ended, as after a restart \
                     of the node: The container could not be located when the pod was terminated",
        },
        Row { name: "runs", pod: pod("Running", json!([running("main")])), judged: "running 3" },
    ]);
}

#[test]
fn sidecars_decide_nothing_and_do_not_keep_the_attempt() {
    let native =
        json!({"spec": {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}});
    let native_runs = json!({"status": {"initContainerStatuses": [running("proxy")]}});
    let native_failed =
        json!({"status": {"initContainerStatuses": [ended("proxy", 1, "Error", None)]}});
    check(vec![
        Row {
            name: "sidecar runs on",
            pod: pod("Running", json!([running("agent"), ended("main", 0, "Completed", None)])),
            judged: "succeeded 3..8 delete | no outputs",
        },
        Row {
            name: "sidecar runs on after a failure",
            pod: pod("Running", json!([ended("main", 1, "Error", None), running("agent")])),
            judged: "failed ExitCode (Step) 3..8 delete code=1 | the program ended with exit code 1; its log may say why",
        },
        Row {
            name: "sidecar failed, the program did not",
            pod: pod(
                "Failed",
                json!([ended("agent", 1, "Error", None), ended("main", 0, "Completed", None)]),
            ),
            judged: "succeeded 3..8 | no outputs",
        },
        Row {
            name: "sidecar failed, the program runs",
            pod: pod("Running", json!([ended("agent", 1, "Error", None), running("main")])),
            judged: "running 3",
        },
        Row {
            name: "sidecar waits in vain, the program runs",
            pod: pod(
                "Pending",
                json!([waiting("agent", "ImagePullBackOff", None), running("main")]),
            ),
            judged: "running 3",
        },
        Row {
            name: "sidecar among the init containers, which the node ends itself",
            pod: with(
                with(pod("Running", json!([ended("main", 0, "Completed", None)])), native.clone()),
                native_runs,
            ),
            judged: "succeeded 3..8 | no outputs",
        },
        Row {
            name: "sidecar among the init containers failed",
            pod: with(with(pod("Running", json!([running("main")])), native), native_failed),
            judged: "running 3",
        },
        Row {
            name: "restarted against what was asked for",
            pod: with(
                pod(
                    "Running",
                    json!([{
                        "name": "main",
                        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                        "lastState": {"terminated": {"exitCode": 2, "reason": "Error", "finishedAt": at(8)}},
                    }]),
                ),
                json!({"spec": {"restartPolicy": "Always"}}),
            ),
            judged: "failed ExitCode (Step) _..8 delete code=2 | the program ended with exit code 2; its log may say why",
        },
        Row {
            name: "about to be restarted against what was asked for",
            pod: with(
                pod("Running", json!([ended("main", 0, "Completed", None)])),
                json!({"spec": {"restartPolicy": "Always"}}),
            ),
            judged: "succeeded 3..8 delete | no outputs",
        },
    ]);
}

#[test]
fn who_deletes_a_pod_ends_its_program() {
    const DELETED: &str = "stopped Deleted (System) 3..8 | its program ran until then";
    let ended_with = |code, asked| {
        with(pod("Failed", json!([ended("main", code, "Error", None)])), deleted_at(asked))
    };
    let done = |asked| {
        let pod = pod("Succeeded", json!([ended("main", 0, "Completed", Some("{\"rows\": 3}"))]));
        let declares = json!({"metadata": {"annotations": {"windlass.dev/outputs": "rows"}}});
        with(with(pod, declares), deleted_at(asked))
    };
    check(vec![
        Row { name: "obeyed TERM", pod: ended_with(143, 7), judged: DELETED },
        Row { name: "had to be killed", pod: ended_with(137, 5), judged: DELETED },
        Row { name: "handled TERM", pod: ended_with(1, 8), judged: DELETED },
        Row { name: "clocks differ", pod: ended_with(143, 9), judged: DELETED },
        Row {
            name: "failed before",
            pod: ended_with(1, 9),
            judged: "failed ExitCode (Step) 3..8 code=1 | the program ended with exit code 1; its log may say why",
        },
        Row {
            name: "killed long before",
            pod: ended_with(137, 20),
            judged: "failed Signal (Step) 3..8 signal=9 | the program was ended by SIGKILL; its log may say why",
        },
        Row {
            name: "out of memory, and deleted",
            pod: with(pod("Failed", json!([ended("main", 137, "OOMKilled", None)])), deleted_at(8)),
            judged: "failed OutOfMemory (Step) 3..8 signal=9 | the program used more memory than it may; let it use less, \
                     or raise the step's memory limit",
        },
        Row { name: "obeyed TERM with 0", pod: done(7), judged: DELETED },
        Row { name: "ended with 0 in the same second", pod: done(8), judged: DELETED },
        Row { name: "ended with 0 before", pod: done(9), judged: "succeeded 3..8 | {\"rows\": 3}" },
        Row {
            name: "ended with 0 before, and was removed long after with no time to go",
            pod: with(
                done(9),
                json!({"metadata": {"deletionTimestamp": at(3000), "deletionGracePeriodSeconds": 0}}),
            ),
            judged: "succeeded 3..8 | {\"rows\": 3}",
        },
        Row {
            name: "obeyed TERM with 0, and its node is done with it",
            pod: with(
                done(7),
                json!({"metadata": {"deletionTimestamp": at(7), "deletionGracePeriodSeconds": 0}}),
            ),
            judged: DELETED,
        },
        Row {
            name: "ended with 0, and nobody knows when",
            pod: with(
                pod(
                    "Succeeded",
                    json!([{"name": "main", "state": {"terminated": {"exitCode": 0, "startedAt": at(3)}}}]),
                ),
                deleted_at(20),
            ),
            judged: "stopped Deleted (System) 3.._ | its program ran until then",
        },
        Row {
            name: "ended with 0, and no container is named",
            pod: with(pod("Succeeded", json!([])), deleted_at(7)),
            judged: "stopped Deleted (System) _.._ | its program ran until then",
        },
        Row {
            name: "still runs",
            pod: with(pod("Running", json!([running("main")])), deleted_at(7)),
            judged: "running 3",
        },
        Row {
            name: "never ran, and is going",
            pod: with(
                pod("Pending", json!([waiting("main", "ContainerCreating", None)])),
                deleted_at(7),
            ),
            judged: "waiting | the pod is being deleted",
        },
        Row {
            name: "never ran, and went while its node was told",
            pod: with(
                pod("Failed", json!([waiting("main", "ContainerCreating", None)])),
                deleted_at(7),
            ),
            judged: "stopped Deleted (System) _.._ | its program had not begun to run",
        },
    ]);
}

#[test]
fn a_pod_that_is_gone_is_judged_by_its_last_state() {
    let deleted = |pod| with(pod, deleted_at(7));
    check_gone(vec![
        Row {
            name: "had ended",
            pod: deleted(pod("Failed", json!([ended("main", 3, "Error", Some("bad"))]))),
            judged: "stopped Deleted (System) 3..8 | its program ran until then",
        },
        Row {
            name: "had ended before, with a sidecar for which it was deleted",
            pod: with(
                pod("Running", json!([ended("main", 3, "Error", Some("bad")), running("agent")])),
                deleted_at(9),
            ),
            judged: "failed ExitCode (Step) 3..8 code=3 | the program ended with exit code 3: bad",
        },
        Row {
            name: "had ended well",
            pod: with(
                pod("Running", json!([ended("main", 0, "Completed", None), running("agent")])),
                deleted_at(9),
            ),
            judged: "succeeded 3..8 | no outputs",
        },
        Row {
            name: "ran, and was deleted",
            pod: deleted(pod("Running", json!([running("main")]))),
            judged: "stopped Deleted (System) 3.._ | its program ran until then",
        },
        Row {
            name: "ran, and nobody saw it go",
            pod: pod("Running", json!([running("main")])),
            judged: "stopped Lost (System) 3.._ | the pod is gone, and nobody saw how the program ended; the API server's \
                     audit log says who deleted it",
        },
        Row {
            name: "had no node yet",
            pod: json!({"metadata": {"name": "p"}, "status": {"phase": "Pending"}}),
            judged: "stopped Deleted (System) _.._ | its program had not begun to run",
        },
        Row {
            name: "could not have its image, and was deleted for that",
            pod: deleted(pod("Pending", json!([waiting("main", "ImagePullBackOff", Some("no"))]))),
            judged: "failed ImagePull (System) _.._ | the image of the container `main` cannot be had: ImagePullBackOff: \
                     no; check its name, and the node's right to pull it",
        },
    ]);
}
