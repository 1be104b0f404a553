//! What the cluster did to pods.

use serde_json::{Value, json};

use super::{
    Row, check, check_gone, deleted_at, disrupted, disrupted_at, ended, pod, running, waiting, with,
};

/// A pod that failed for a reason of its own, with some containers.
fn failed(reason: &str, message: &str, containers: Value) -> Value {
    with(pod("Failed", containers), json!({"status": {"reason": reason, "message": message}}))
}

#[test]
fn what_a_node_does_to_a_pod_is_not_the_steps_fault() {
    check(vec![
        Row {
            name: "evicted for want of memory",
            pod: failed(
                "Evicted",
                "The node was low on resource: memory. Container main was using 3Gi, request is 1Gi.",
                json!([ended("main", 137, "OOMKilled", None)]),
            ),
            judged: "failed Evicted (System) 3..8 | the pod was evicted from the node `n1`: Evicted: The node was low on \
                     resource: memory. Container main was using 3Gi, request is 1Gi.; where that is for want of room, let the \
                     step request what it uses",
        },
        Row {
            name: "evicted before it ran",
            pod: json!({"status": {"phase": "Failed", "reason": "Evicted", "message": "Pod was rejected: The node had condition: [DiskPressure]. "}}),
            judged: "failed Evicted (System) _.._ | the pod was evicted from its node: Evicted: Pod was rejected: The node had \
                     condition: [DiskPressure].; where that is for want of room, let the step request what it uses",
        },
        Row {
            name: "evicted, obeyed TERM and ended with 0",
            pod: failed("Evicted", "low", json!([ended("main", 0, "Completed", None)])),
            judged: "failed Evicted (System) 3..8 | the pod was evicted from the node `n1`: Evicted: low; where that is for want \
                     of room, let the step request what it uses",
        },
        Row {
            name: "node shut down",
            pod: with(
                failed(
                    "Terminated",
                    "Pod was terminated in response to imminent node shutdown.",
                    json!([ended("main", 143, "Error", None)]),
                ),
                disrupted(
                    "TerminationByKubelet",
                    "Pod was terminated in response to imminent node shutdown.",
                ),
            ),
            judged: "failed Evicted (System) 3..8 | the pod was evicted from the node `n1`: Terminated: Pod was \
                     terminated in response to imminent node shutdown.; where that is for want of room, let the step request \
                     what it uses",
        },
        Row {
            name: "node shut down, as older ones write it",
            pod: failed("NodeShutdown", "Node is shutting down", json!([])),
            judged: "failed Evicted (System) _.._ | the pod was evicted from the node `n1`: NodeShutdown: Node is shutting down; \
                     where that is for want of room, let the step request what it uses",
        },
        Row {
            name: "made room for a critical pod",
            pod: failed(
                "Preempting",
                "Preempted in order to admit critical pod",
                json!([ended("main", 137, "Error", None)]),
            ),
            judged: "failed Preempted (System) 3..8 | the pod had to make room for one of a higher priority: \
                     Preempting: Preempted in order to admit critical pod; where that must not be, give the step a higher \
                     priority class",
        },
        Row {
            name: "past its deadline",
            pod: failed(
                "DeadlineExceeded",
                "Pod was active on the node longer than the specified deadline",
                json!([ended("main", 143, "Error", None)]),
            ),
            judged: "failed Timeout (Step) 3..8 | the pod ran longer than its deadline allows: DeadlineExceeded: Pod \
                     was active on the node longer than the specified deadline; let it do less, or raise the deadline",
        },
    ]);
}

#[test]
fn a_node_may_refuse_what_was_placed_on_it() {
    check(vec![
        Row {
            name: "no room after all",
            pod: failed(
                "OutOfcpu",
                "Pod was rejected: Node didn't have enough resource: cpu",
                json!([]),
            ),
            judged: "failed LaunchFailed (System) _.._ | the node refused the pod that was placed on it: OutOfcpu: Pod was \
                     rejected: Node didn't have enough resource: cpu; another one may take it",
        },
        Row {
            name: "too many pods",
            pod: failed("OutOfpods", "", json!([waiting("main", "ContainerCreating", None)])),
            judged: "failed LaunchFailed (System) _.._ | the node refused the pod that was placed on it: OutOfpods; another one \
                     may take it",
        },
        Row {
            name: "device gone",
            pod: failed(
                "UnexpectedAdmissionError",
                "Allocate failed due to no healthy devices",
                json!([]),
            ),
            judged: "failed LaunchFailed (System) _.._ | the node refused the pod that was placed on it: \
                     UnexpectedAdmissionError: Allocate failed due to no healthy devices; another one may take it",
        },
        Row {
            name: "labels of the node changed",
            pod: failed("NodeAffinity", "Predicate NodeAffinity failed", json!([])),
            judged: "failed LaunchFailed (System) _.._ | the node refused the pod that was placed on it: NodeAffinity: Predicate \
                     NodeAffinity failed; another one may take it",
        },
        Row {
            name: "forbidden",
            pod: failed(
                "SysctlForbidden",
                "forbidden sysctl: \"kernel.msgmax\" not allowlisted",
                json!([]),
            ),
            judged: "failed Refused (Step) _.._ | the node refused the pod: SysctlForbidden: forbidden sysctl: \"kernel.msgmax\" \
                     not allowlisted; do not ask for it, or have the cluster's operators allow it",
        },
    ]);
}

#[test]
fn what_others_do_to_a_pod_is_told_by_a_condition() {
    let killed = || pod("Failed", json!([ended("main", 143, "Error", None)]));
    let preempted = "default-scheduler: preempting to accommodate a higher priority pod";
    check(vec![
        Row {
            name: "preempted",
            pod: with(with(killed(), disrupted("PreemptionByScheduler", preempted)), deleted_at(7)),
            judged: "failed Preempted (System) 3..8 | the pod had to make room for one of a higher priority: \
                     PreemptionByScheduler: default-scheduler: preempting to accommodate a higher priority pod; where that must \
                     not be, give the step a higher priority class",
        },
        Row {
            name: "drained",
            pod: with(
                with(killed(), disrupted("EvictionByEvictionAPI", "Eviction API: evicting")),
                deleted_at(7),
            ),
            judged: "failed Evicted (System) 3..8 | the pod was evicted from the node `n1`: EvictionByEvictionAPI: \
                     Eviction API: evicting; where that is for want of room, let the step request what it uses",
        },
        Row {
            name: "about to be preempted",
            pod: with(
                pod("Running", json!([running("main")])),
                disrupted("PreemptionByScheduler", preempted),
            ),
            judged: "running 3",
        },
        Row {
            name: "node is gone",
            pod: with(
                pod("Failed", json!([running("main")])),
                disrupted("DeletionByPodGC", "PodGC: node no longer exists"),
            ),
            judged: "failed Lost (System) 3..7 delete | the pod was on the node `n1`, which is lost: DeletionByPodGC: PodGC: node \
                     no longer exists; the cluster's operators know what became of it",
        },
        Row {
            name: "disruption called off",
            pod: with(
                killed(),
                json!({"status": {"conditions": [{"type": "DisruptionTarget", "status": "False", "reason": "PreemptionByScheduler"}]}}),
            ),
            judged: "failed Signal (Step) 3..8 signal=15 | the program was ended by SIGTERM; its log may say why",
        },
    ]);
    check_gone(vec![
        Row {
            name: "node does not answer, and the pod was deleted by force",
            pod: with(
                with(
                    pod("Running", json!([running("main")])),
                    disrupted(
                        "DeletionByTaintManager",
                        "Taint manager: deleting due to NoExecute taint",
                    ),
                ),
                deleted_at(7),
            ),
            judged: "failed Lost (System) 3..7 | the pod was on the node `n1`, which is lost: DeletionByTaintManager: Taint \
                     manager: deleting due to NoExecute taint; the cluster's operators know what became of it",
        },
        Row {
            name: "node lost, as older controllers write it",
            pod: with(
                pod("Unknown", json!([running("main")])),
                json!({"status": {"reason": "NodeLost", "message": "Node n1 which was running pod p is unresponsive"}}),
            ),
            judged: "failed Lost (System) 3.._ | the pod was on the node `n1`, which is lost: NodeLost: Node n1 which was running \
                     pod p is unresponsive; the cluster's operators know what became of it",
        },
        Row {
            name: "preempted before it ran",
            pod: with(
                pod("Pending", json!([waiting("main", "ContainerCreating", None)])),
                disrupted("PreemptionByScheduler", "preempting"),
            ),
            judged: "failed Preempted (System) _..7 | the pod had to make room for one of a higher priority: \
                     PreemptionByScheduler: preempting; where that must not be, give the step a higher priority class",
        },
    ]);
}

#[test]
fn a_program_that_ends_with_0_because_it_was_told_to_has_not_succeeded() {
    const EVICTED: &str = "failed Evicted (System) 3..8 | the pod was evicted from the node `n1`: EvictionByEvictionAPI: \
         evicting; where that is for want of room, let the step request what it uses";
    const SUCCEEDED: &str = "succeeded 3..8 | {\"rows\": 3}";
    let done = || {
        with(
            pod("Succeeded", json!([ended("main", 0, "Completed", Some("{\"rows\": 3}"))])),
            json!({"metadata": {"annotations": {"windlass.dev/outputs": "rows"}}}),
        )
    };
    let drained = |seconds| disrupted_at(seconds, "EvictionByEvictionAPI", "evicting");
    check(vec![
        Row {
            name: "drained",
            pod: with(with(done(), drained(7)), deleted_at(7)),
            judged: EVICTED,
        },
        Row {
            name: "drained, in the second in which it ended",
            pod: with(with(done(), drained(8)), deleted_at(8)),
            judged: EVICTED,
        },
        Row { name: "drained when it was done", pod: with(done(), drained(9)), judged: SUCCEEDED },
        Row {
            name: "drained when it was done, and removed",
            pod: with(with(done(), drained(9)), deleted_at(9)),
            judged: SUCCEEDED,
        },
        Row {
            name: "deleted, and drained when it was done",
            pod: with(with(done(), drained(9)), deleted_at(7)),
            judged: "stopped Deleted (System) 3..8 | its program ran until then",
        },
        Row {
            name: "told by its node, which calls it succeeded all the same",
            pod: with(done(), disrupted("TerminationByKubelet", "low on memory")),
            judged: "failed Evicted (System) 3..8 | the pod was evicted from the node `n1`: TerminationByKubelet: low on \
                     memory; where that is for want of room, let the step request what it uses",
        },
        Row {
            name: "preempted",
            pod: with(with(done(), disrupted("PreemptionByScheduler", "higher")), deleted_at(7)),
            judged: "failed Preempted (System) 3..8 | the pod had to make room for one of a higher priority: \
                     PreemptionByScheduler: higher; where that must not be, give the step a higher priority class",
        },
        Row {
            name: "drained, with a container beside it that runs on",
            pod: with(
                pod("Running", json!([ended("main", 0, "Completed", None), running("agent")])),
                drained(8),
            ),
            judged: "failed Evicted (System) 3..8 delete | the pod was evicted from the node `n1`: EvictionByEvictionAPI: \
                     evicting; where that is for want of room, let the step request what it uses",
        },
        Row {
            name: "nobody knows when it was told",
            pod: with(
                done(),
                json!({"status": {"conditions": [
                    {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"},
                ]}}),
            ),
            judged: "failed Preempted (System) 3..8 | the pod had to make room for one of a higher priority: \
                     PreemptionByScheduler; where that must not be, give the step a higher priority class",
        },
    ]);
}

#[test]
fn a_status_without_the_main_container_is_judged_by_its_phase() {
    check(vec![
        Row { name: "nothing at all", pod: json!({}), judged: "waiting | no word" },
        Row {
            name: "only nulls",
            pod: json!({"metadata": null, "spec": null, "status": {"conditions": null, "containerStatuses": null}}),
            judged: "waiting | no word",
        },
        Row {
            name: "runs, and no container is named",
            pod: pod("Running", json!([])),
            judged: "waiting | no word",
        },
        Row {
            name: "succeeded",
            pod: pod("Succeeded", json!([])),
            judged: "succeeded _.._ | no outputs",
        },
        Row {
            name: "failed",
            pod: pod("Failed", json!([ended("agent", 1, "Error", None)])),
            judged: "failed Lost (System) _.._ | the pod failed, and its status says nothing of how the container `main` ended; \
                     the log of its node may say why",
        },
        Row {
            name: "nobody knows",
            pod: with(
                pod("Unknown", json!([])),
                json!({"status": {"reason": "NodeLost", "message": "Node n1 is unresponsive"}}),
            ),
            judged: "waiting | NodeLost: Node n1 is unresponsive",
        },
        Row {
            name: "nobody knows, and it ran",
            pod: pod("Unknown", json!([running("main")])),
            judged: "running 3",
        },
    ]);
}
