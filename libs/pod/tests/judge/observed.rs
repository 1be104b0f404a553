//! What is read of a pod, as an API server tells it.

use serde_json::json;
use windlass_engine::{output::AttemptRef, record::StepIndex, time::Timestamp};
use windlass_pod::observed::ObservedPod;

const RUN: &str = "run_0123456789abcdefghijklmnop";

#[test]
fn of_a_pod_is_kept_what_its_outcome_depends_on() {
    let pod: ObservedPod = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "train-1", "namespace": "jobs", "uid": "6b0c", "resourceVersion": "812", "generation": 1,
            "creationTimestamp": "2026-03-01T10:00:00Z",
            "deletionTimestamp": "2026-03-01T10:01:00Z", "deletionGracePeriodSeconds": 45,
            "labels": {
                "windlass.dev/run": RUN, "windlass.dev/step-index": "1000000", "windlass.dev/attempt": "2",
                "windlass.dev/shard": "7",
            },
            "annotations": {"windlass.dev/step": "train"},
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:status": {}}}],
            "ownerReferences": null,
        },
        "spec": {
            "nodeName": "n1", "restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}],
            "volumes": [{"name": "token", "projected": {"sources": []}}],
        },
        "status": {"phase": "Running", "podIP": "10.0.0.3", "qosClass": "BestEffort", "startTime": "2026-03-01T10:00:01Z"},
    }))
    .expect("a pod as an API server tells it");

    let key = pod.key().expect("it is an attempt");
    assert_eq!(key.run.as_str(), RUN);
    assert_eq!(key.attempt, AttemptRef { step: StepIndex(1_000_000), attempt: 2 });
    assert_eq!(key.shard, 7);
    let created = pod.created_at().expect("it was created");
    assert_eq!(pod.deletion_asked_at(), Some(created.plus(15_000)));
    assert_eq!(created.0 % 60_000, 0);
    assert!(created > Timestamp(0));
    assert_eq!(pod.metadata.resource_version.as_deref(), Some("812"));
    assert_eq!(pod.metadata.managed_fields, None);
    assert_eq!(pod.spec.node_name.as_deref(), Some("n1"));

    for spoilt in [
        json!({"labels": {"windlass.dev/run": "run_1"}}),
        json!({"labels": {"windlass.dev/run": RUN, "windlass.dev/attempt": "-1"}}),
        json!({}),
    ] {
        let pod: ObservedPod =
            serde_json::from_value(json!({"metadata": spoilt})).expect("still a pod");
        assert_eq!(pod.key(), None);
    }
}
