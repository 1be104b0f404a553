//! Settings for tests.

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Value as Json, json};
use windlass_proto::{json, v1};

#[expect(clippy::unnecessary_wraps, reason = "settings have them so")]
pub(crate) fn list(list: &Json) -> Option<ListValue> {
    match json::to_value(list).kind {
        Some(Kind::ListValue(list)) => Some(list),
        other => panic!("{other:?}"),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "settings have them so")]
pub(crate) fn fields(fields: &Json) -> Option<Struct> {
    match json::to_value(fields) {
        Value { kind: Some(Kind::StructValue(fields)) } => Some(fields),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn map<const N: usize>(
    entries: [(&str, &str); N],
) -> std::collections::BTreeMap<String, String> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Settings that have everything.
pub(crate) fn whole() -> v1::Pod {
    let waiting = ["ErrImagePull", "CrashLoopBackOff"].map(str::to_owned).to_vec();
    v1::Pod {
        name_prefix: "nightly".into(),
        namespace: "ml".into(),
        image_pull_policy: "IfNotPresent".into(),
        labels: map([("team", "vision"), ("example.com/tier", "2")]),
        annotations: map([("example.com/owner", "Ada & Bo, 3rd floor")]),
        node_selector: map([("disk", "ssd")]),
        service_account: "trainer".into(),
        image_pull_secrets: vec!["registry".into()],
        scheduler_name: "packing-scheduler".into(),
        priority_class: "low".into(),
        runtime_class: "gvisor".into(),
        host_ipc: true,
        privileged: true,
        active_deadline: Some(prost_types::Duration { seconds: 5400, nanos: 1 }),
        queue: "gpu_queue".into(),
        fatal_waiting_reasons: Some(v1::WaitingReasons { reasons: waiting }),
        env_from: list(&json!([{"configMapRef": {"name": "settings"}, "prefix": "CONF_"}])),
        resources: Some(v1::PodResources {
            requests: map([("cpu", "500m"), ("ephemeral-storage", "10Gi")]),
            limits: map([("cpu", "2"), ("nvidia.com/gpu", "1")]),
        }),
        tolerations: list(&json!([{
            "key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": null,
        }])),
        affinity: fields(
            &json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}],
            }}}),
        ),
        volumes: list(&json!([
            {"name": "data", "hostPath": {"path": "/srv/data"}},
            {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
        ])),
        volume_mounts: list(&json!([{"name": "data", "mountPath": "/data", "readOnly": true}])),
        security_context: fields(&json!({"runAsUser": 1000, "fsGroup": 2000})),
        container_security_context: fields(&json!({"capabilities": {"drop": ["ALL"]}})),
        init_containers: list(&json!([{
            "name": "fetch", "image": "{{ image }}", "command": ["fetch", "/scratch"],
            "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        }])),
        sidecars: list(&json!([{
            "name": "proxy", "image": "proxy:2",
            "ports": [{"containerPort": 8080}],
            "startupProbe": {"httpGet": {"path": "/", "port": "http"}},
            "resources": {"limits": {"memory": 1024}},
        }])),
        patch: fields(&json!({
            "hostNetwork": true, "enableServiceLinks": false,
            "dnsConfig": {"nameservers": ["10.0.0.10"]},
        })),
    }
}
