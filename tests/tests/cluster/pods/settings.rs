//! All that a step may ask of its pod, from the file to the pod that the API server has. It refuses unknown fields, since launchers
//! have it validate strictly; and what it has is compared with what was asked.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    core::v1::{Pod, ServiceAccount},
    node::v1::RuntimeClass,
    scheduling::v1::PriorityClass,
};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};
use windlass_engine::record::RunState;
use windlass_pipeline::{file, schema::json_schema};

use super::support::Ground;
use crate::support::eventually;

const PIPELINE: &str = include_str!("settings.yaml");

/// The steps of it.
const STEPS: usize = 3;

/// How many characters follow the readable part of a pod's name, and a `-`.
const DIGEST: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn all_that_a_step_asks_of_its_pod_is_what_its_pod_has() {
    let Some(ground) = Ground::shared().await else { return };
    let other = ground.kubernetes.namespace().await;
    make_what_is_named(&ground, &other).await;
    let _launcher = ground.launcher_with(|config| {
        config.other_namespaces.insert(other.clone());
    });
    let text = PIPELINE.replace("OTHER", &other);
    let pipeline = file::parse(text.as_bytes(), &file::FileOptions::default());
    let run = ground.cluster.submit(pipeline.expect("it is lawful")).await;
    let pods = eventually("all pods are there", async || {
        let pods: Api<Pod> = Api::all(ground.kubernetes.client());
        let params = ListParams::default().labels(&format!("windlass.dev/run={run}"));
        let pods = pods.list(&params).await.expect("listed").items;
        (pods.len() == STEPS).then_some(pods)
    })
    .await;
    let pods: BTreeMap<String, Value> = pods
        .into_iter()
        .map(|pod| {
            let annotations = pod.metadata.annotations.as_ref().expect("it has some");
            let step = annotations["windlass.dev/step"].clone();
            (step, serde_json::to_value(pod).expect("a pod is JSON"))
        })
        .collect();
    has(&pods["placed"], &placed(&run.to_string(), &other), "placed");
    has(&pods["program"], &program(&run.to_string(), &ground.namespace), "program");
    has(&pods["accompanied"], &accompanied(&ground.namespace), "accompanied");
    for (step, prefix) in
        [("placed", "nightly"), ("program", "program"), ("accompanied", "accompanied")]
    {
        let name = pods[step]["metadata"]["name"].as_str().expect("it has a name");
        let digest = name.strip_prefix(&format!("{prefix}-"));
        assert!(digest.is_some_and(|digest| digest.len() == DIGEST), "{name}");
    }
    ground.cluster.cancel(run).await.expect("taken");
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Cancelled);
}

/// The API server refuses pods that name what is not there.
async fn make_what_is_named(ground: &Ground<'_>, other: &str) {
    let client = ground.kubernetes.client();
    let params = PostParams::default();
    let account = json!({"metadata": {"name": "trainer"}});
    let account: ServiceAccount = serde_json::from_value(account).expect("an account");
    let accounts = Api::namespaced(client.clone(), other);
    accounts.create(&params, &account).await.expect("made");
    let class = json!({"metadata": {"name": format!("low-{other}")}, "value": -7});
    let class: PriorityClass = serde_json::from_value(class).expect("a class");
    Api::all(client.clone()).create(&params, &class).await.expect("made");
    let class = json!({"metadata": {"name": format!("contained-{other}")}, "handler": "contained"});
    let class: RuntimeClass = serde_json::from_value(class).expect("a class");
    Api::all(client).create(&params, &class).await.expect("made");
}

/// What Kubernetes adds to every pod's tolerations.
fn by_kubernetes(condition: &str) -> Value {
    let key = format!("node.kubernetes.io/{condition}");
    json!({"key": key, "operator": "Exists", "effect": "NoExecute"})
}

fn placed(run: &str, namespace: &str) -> Value {
    json!({
        "metadata": {
            "namespace": namespace,
            "labels": {
                "team": "words",
                "stage": "placed",
                "example.com/tier": "2",
                "kueue.x-k8s.io/queue-name": "gpu_queue",
                "app.kubernetes.io/managed-by": "windlass",
                "app.kubernetes.io/name": "settings",
                "app.kubernetes.io/instance": run,
                "app.kubernetes.io/component": "placed",
                "app.kubernetes.io/part-of": "test",
                "windlass.dev/installation": "test",
                "windlass.dev/namespace": "default",
                "windlass.dev/pipeline": "settings",
                "windlass.dev/run": run,
                "windlass.dev/step": "placed",
                "windlass.dev/attempt": "1",
            },
            "annotations": {
                "example.com/owner": "Ada & Bo, 3rd floor",
                "windlass.dev/fatal-waiting-reasons": "ErrImagePull,CrashLoopBackOff",
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "dnsConfig": {"nameservers": ["203.0.113.53"]},
            "schedulerName": "nobody",
            "nodeSelector": {"disk": "ssd"},
            "serviceAccountName": "trainer",
            "imagePullSecrets": [{"name": "registry"}, {"name": "mirror"}],
            "priorityClassName": format!("low-{namespace}"),
            "priority": -7,
            "runtimeClassName": format!("contained-{namespace}"),
            "activeDeadlineSeconds": 91,
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]},
            ]}}},
            // Who tolerates all needs nothing added.
            "tolerations": [
                {"key": "dedicated", "operator": "Equal", "value": "words", "effect": "NoSchedule"},
                {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
            ],
            "volumes": null,
            "initContainers": null,
            "containers": [{
                "name": "main", "image": "example.com/work:words", "command": ["true"], "args": null, "workingDir": null,
            }],
        },
    })
}

fn program(run: &str, namespace: &str) -> Value {
    let secret = |name: &str, key: &str| json!({"secretKeyRef": {"name": name, "key": key}});
    let mut optional = secret("registry.token", "token");
    optional["secretKeyRef"]["optional"] = true.into();
    json!({
        "metadata": {
            "namespace": namespace,
            "labels": {"team": "words", "stage": "default", "kueue.x-k8s.io/queue-name": null},
            "annotations": {"windlass.dev/outputs": "rows,loss", "windlass.dev/fatal-waiting-reasons": null},
        },
        "spec": {
            "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 2,
            "activeDeadlineSeconds": null,
            "hostIPC": null,
            "tolerations": [by_kubernetes("not-ready"), by_kubernetes("unreachable")],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": true}},
                {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}},
            ],
            "containers": [{
                "name": "main",
                "image": "example.com/program:2",
                "imagePullPolicy": "Never",
                // All of a program's words are its command.
                "command": ["python3", "-c", "print('$$(HOME) $$$$')", "--team", "words"],
                "args": null,
                "workingDir": "/data/in",
                "env": [
                    {"name": "AS_IT_IS", "value": "{{ database.url }}"},
                    {"name": "COUNT", "value": "010"},
                    {"name": "PRICE", "value": "5$$ $$(TEAM)"},
                    {"name": "TEAM", "value": "words"},
                    {"name": "TOKEN", "valueFrom": optional},
                    {"name": "URL", "valueFrom": secret("database", "url")},
                    {"name": "WINDLASS_OUTPUT", "value": "/dev/termination-log"},
                    {"name": "WINDLASS_RUN_ID", "value": run},
                    {"name": "WINDLASS_STEP", "value": "program"},
                    {"name": "WINDLASS_ATTEMPT", "value": "1"},
                ],
                "envFrom": [
                    {"prefix": "CONF_", "configMapRef": {"name": "settings"}},
                    {"secretRef": {"name": "others", "optional": true}},
                ],
                "resources": {
                    "requests": {
                        "cpu": "250m", "ephemeral-storage": "1Gi", "memory": "67108864", "example.com/gpu": "1",
                    },
                    "limits": {"cpu": "1500m", "example.com/gpu": "1", "memory": "67108864"},
                },
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data", "readOnly": true},
                    {"name": "scratch", "mountPath": "/scratch", "subPath": "words"},
                ],
                "securityContext": {
                    "privileged": true, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": true,
                },
            }],
        },
    })
}

fn accompanied(namespace: &str) -> Value {
    json!({
        "metadata": {"namespace": namespace},
        "spec": {
            "hostIPC": true,
            "hostNetwork": true,
            "enableServiceLinks": false,
            "automountServiceAccountToken": false,
            "dnsConfig": {"nameservers": ["203.0.113.53"], "searches": ["example.com"]},
            "hostAliases": [{"ip": "203.0.113.7", "hostnames": ["work.example.com"]}],
            "topologySpreadConstraints": [{
                "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"team": "words"}},
            }],
            "securityContext": {"runAsUser": 1000, "fsGroup": 2000, "seccompProfile": {"type": "RuntimeDefault"}},
            "volumes": [{"name": "shared", "emptyDir": {}}],
            "initContainers": [
                {
                    "name": "fetch", "image": "example.com/alone:4", "command": ["fetch", "/shared"],
                    "restartPolicy": null, "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
                },
                {
                    "name": "proxy", "image": "example.com/proxy:3", "restartPolicy": "Always",
                    // Of a pod in the network of its host, they are those of the host.
                    "ports": [{"name": "http", "containerPort": 8080, "hostPort": 8080, "protocol": "TCP"}],
                    "startupProbe": {"httpGet": {"path": "/ready", "port": "http"}},
                    "resources": {"limits": {"memory": "32Mi"}, "requests": {"memory": "32Mi"}},
                },
            ],
            "containers": [{
                "name": "main", "image": "example.com/alone:4", "command": null, "args": ["--quick"],
                "securityContext": null, "volumeMounts": null,
            }],
        },
    })
}

/// Asserts that a value has all that is expected. A map may have more, since Kubernetes adds what it does by itself; a list may
/// not; and null stands for what is not there.
fn has(value: &Value, expected: &Value, at: &str) {
    match (value, expected) {
        (Value::Object(fields), Value::Object(expected)) => {
            for (key, expected) in expected {
                has(fields.get(key).unwrap_or(&Value::Null), expected, &format!("{at}.{key}"));
            }
        }
        (Value::Array(items), Value::Array(expected)) => {
            assert_eq!(items.len(), expected.len(), "{at}: {value}");
            for (index, (item, expected)) in items.iter().zip(expected).enumerate() {
                has(item, expected, &format!("{at}.{index}"));
            }
        }
        _ => assert_eq!(value, expected, "{at}"),
    }
}

/// The keys that a map of the file format may have, by the map's type.
fn keys_of(kind: &str) -> BTreeSet<String> {
    let schema = json_schema();
    let properties = &schema["$defs"][kind]["properties"];
    properties.as_object().expect("it has keys").keys().cloned().collect()
}

fn keys_in(maps: &[&Value]) -> BTreeSet<String> {
    maps.iter().filter_map(|map| map.as_object()).flat_map(|map| map.keys().cloned()).collect()
}

#[test]
fn the_pipeline_has_every_key_that_there_is_of_pods() {
    let pipeline: Value = serde_saphyr::from_str(PIPELINE).expect("it is YAML");
    let steps = pipeline["steps"].as_object().expect("it has steps");
    assert_eq!(steps.len(), STEPS);
    let pods: Vec<&Value> =
        steps.values().chain([&pipeline["defaults"]]).map(|it| &it["pod"]).collect();
    assert_eq!(keys_in(&pods), keys_of("Pod"));
    let resources: Vec<&Value> = pods.iter().map(|pod| &pod["resources"]).collect();
    assert_eq!(keys_in(&resources), keys_of("PodResources"));
    let env = steps["program"]["env"].as_object().expect("it has variables");
    assert_eq!(keys_in(&env.values().collect::<Vec<_>>()), keys_of("EnvMap"));
}
