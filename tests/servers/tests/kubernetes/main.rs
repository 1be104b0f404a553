//! The control plane, its fake nodes and the gate before it are what tests take them for.

mod gate;
mod real_node;

use std::{collections::BTreeMap, time::Duration};

use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod, PodStatus};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use windlass_servers::{FakeNodes, Kubernetes, StartedAttempt};

const PATIENCE: Duration = Duration::from_mins(1);

async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < limit, "it takes too long until {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A pod with these annotations. More of its `spec` can be given.
fn pod(name: &str, annotations: &Value, more: &Value) -> Pod {
    let main = json!({ "name": "main", "image": "none" });
    let mut spec = json!({ "restartPolicy": "Never", "containers": [main] });
    for (name, value) in more.as_object().into_iter().flatten() {
        spec[name] = value.clone();
    }
    let metadata = json!({ "name": name, "annotations": annotations });
    serde_json::from_value(json!({ "metadata": metadata, "spec": spec })).expect("it is a pod")
}

async fn create(pods: &Api<Pod>, name: &str, annotations: Value) {
    create_with(pods, name, annotations, json!({})).await;
}

async fn create_with(pods: &Api<Pod>, name: &str, annotations: Value, more: Value) {
    let made = pods.create(&PostParams::default(), &pod(name, &annotations, &more)).await;
    made.expect("the pod is made");
}

/// Waits for this phase, and answers with the status.
async fn phase(pods: &Api<Pod>, name: &str, phase: &str) -> PodStatus {
    eventually(&format!("{name} is {phase}"), async || {
        let status = pods.get(name).await.ok()?.status?;
        (status.phase.as_deref() == Some(phase)).then_some(status)
    })
    .await
}

async fn ended(pods: &Api<Pod>, name: &str) -> PodStatus {
    eventually(&format!("{name} has ended"), async || {
        let status = pods.get(name).await.ok()?.status?;
        matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")).then_some(status)
    })
    .await
}

/// What a status says in one line: phase, the pod's reason, the first container's exit code, reason and message, and the
/// reason for which the pod was a target of disruption.
fn told(status: &PodStatus) -> String {
    let container = status.container_statuses.as_ref().and_then(|all| all.first());
    let state = container.and_then(|it| it.state.as_ref());
    let terminated = state.and_then(|it| it.terminated.as_ref());
    let waiting = state.and_then(|it| it.waiting.as_ref());
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let disrupted = conditions.iter().find(|it| it.type_ == "DisruptionTarget");
    let words = [
        status.phase.clone(),
        status.reason.clone(),
        terminated.map(|it| it.exit_code.to_string()),
        terminated.and_then(|it| it.reason.clone()),
        terminated.and_then(|it| it.message.clone()),
        waiting.and_then(|it| it.reason.clone()),
        disrupted.and_then(|it| it.reason.clone()),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn code<T>(result: kube::Result<T>) -> Option<u16> {
    match result {
        Err(kube::Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

#[tokio::test]
async fn a_pod_runs_and_is_counted_for_its_name_and_its_attempt() {
    if Kubernetes::is_missing() {
        return;
    }
    let kubernetes = Kubernetes::shared().await;
    let nodes = kubernetes.fake_nodes().await;
    let namespace = kubernetes.namespace().await;
    let pods: Api<Pod> = Api::namespaced(kubernetes.client(), &namespace);
    let mut made = pod("one", &json!({ "fake/run-for": "100ms" }), &json!({}));
    let labels = [("run", &namespace), ("step", &"s".into()), ("attempt", &"1".into())];
    made.labels_mut()
        .extend(labels.map(|(name, value)| (format!("windlass.dev/{name}"), value.clone())));
    for round in 1..=2 {
        pods.create(&PostParams::default(), &made).await.unwrap();
        let status = phase(&pods, "one", "Succeeded").await;
        assert_eq!(told(&status), "Succeeded 0 Completed");
        assert_eq!(nodes.starts()[&format!("{namespace}/one")], round);
        let (step, attempt) = ("s".into(), "1".into());
        let attempt = StartedAttempt { run: namespace.clone(), step, attempt };
        assert_eq!(nodes.attempt_starts()[&attempt], round);
        pods.delete("one", &DeleteParams::default()).await.unwrap();
        eventually("it is gone", async || {
            pods.get_opt("one").await.unwrap().is_none().then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_pod_ends_as_its_annotations_say() {
    if Kubernetes::is_missing() {
        return;
    }
    let kubernetes = Kubernetes::shared().await;
    let nodes = kubernetes.fake_nodes().await;
    let namespace = kubernetes.namespace().await;
    let pods: Api<Pod> = Api::namespaced(kubernetes.client(), &namespace);
    let cases = [
        ("exit", json!({ "fake/exit": "3", "fake/message": "m" }), "Failed 3 Error m"),
        ("signal", json!({ "fake/signal": "15" }), "Failed 143 Error"),
        ("oom", json!({ "fake/reason": "OOMKilled" }), "Failed 137 OOMKilled"),
        (
            "evicted",
            json!({ "fake/reason": "Evicted" }),
            "Failed Evicted 137 Error TerminationByKubelet",
        ),
        ("lost", json!({ "fake/reason": "NodeLost" }), "Failed NodeLost 137 Error DeletionByPodGC"),
        ("refused", json!({ "fake/reason": "NodeShutdown" }), "Failed NodeShutdown"),
        ("bad", json!({ "fake/exit": "three" }), "Failed BadAnnotation"),
    ];
    for (name, annotations, _) in &cases {
        create(&pods, name, annotations.clone()).await;
    }
    let init = json!({ "name": "init", "image": "none" });
    let side = json!({ "name": "side", "image": "none", "restartPolicy": "Always" });
    let fails = json!({ "fake/init-fails": "7" });
    create_with(&pods, "init", fails, json!({ "initContainers": [init, side] })).await;
    let forever = json!({ "fake/run": "forever" });
    let limit = json!({ "activeDeadlineSeconds": 1, "initContainers": [init, side] });
    create_with(&pods, "limit", forever, limit).await;
    for (name, _, expected) in &cases {
        assert_eq!(told(&ended(&pods, name).await), *expected, "{name}");
    }
    let status = ended(&pods, "init").await;
    assert_eq!(told(&status), "Failed PodInitializing");
    let init = &status.init_container_statuses.unwrap()[0];
    assert_eq!(init.state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 7);
    let status = phase(&pods, "limit", "Running").await;
    let inits = status.init_container_statuses.unwrap();
    let running: Vec<bool> =
        inits.iter().map(|it| it.state.as_ref().unwrap().running.is_some()).collect();
    assert_eq!(running, [false, true], "the sidecar runs with the pod");
    assert_eq!(told(&ended(&pods, "limit").await), "Failed DeadlineExceeded 137 Error");
    let started: BTreeMap<String, u32> = nodes.starts();
    let of = |name: &str| started.get(&format!("{namespace}/{name}")).copied();
    let names = ["exit", "signal", "oom", "evicted", "lost", "refused", "bad", "init", "limit"];
    let once = Some(1);
    let expected = [once, once, once, once, once, None, None, None, once];
    assert_eq!(names.map(of), expected);
}

#[tokio::test]
async fn a_pod_waits_as_long_as_it_is_told_and_ends_when_it_is_deleted() {
    if Kubernetes::is_missing() {
        return;
    }
    let kubernetes = Kubernetes::shared().await;
    kubernetes.fake_nodes().await;
    let namespace = kubernetes.namespace().await;
    let pods: Api<Pod> = Api::namespaced(kubernetes.client(), &namespace);
    create(&pods, "it", json!({ "fake/waiting": "ImagePullBackOff", "fake/run": "forever" })).await;
    eventually("it waits", async || {
        let status = pods.get("it").await.unwrap().status.unwrap();
        (told(&status) == "Pending ImagePullBackOff").then_some(())
    })
    .await;
    let patch = async |metadata: Value| {
        let patch = Patch::Merge(json!({ "metadata": metadata }));
        pods.patch("it", &PatchParams::default(), &patch).await.unwrap();
    };
    // Something that holds the object back, so that its last status can be seen.
    let annotations = json!({ "fake/waiting": null });
    patch(json!({ "annotations": annotations, "finalizers": ["test.example/held"] })).await;
    phase(&pods, "it", "Running").await;
    pods.delete("it", &DeleteParams::default()).await.unwrap();
    assert_eq!(told(&ended(&pods, "it").await), "Failed 143 Error");
    patch(json!({ "finalizers": [] })).await;
    eventually("it is gone", async || pods.get_opt("it").await.unwrap().is_none().then_some(()))
        .await;
    // One that does not obey, and has no time to.
    create(&pods, "it", json!({ "fake/run": "forever", "fake/term-after": "1h" })).await;
    patch(json!({ "finalizers": ["test.example/held"] })).await;
    phase(&pods, "it", "Running").await;
    let soon = DeleteParams { grace_period_seconds: Some(1), ..DeleteParams::default() };
    pods.delete("it", &soon).await.unwrap();
    assert_eq!(told(&ended(&pods, "it").await), "Failed 137 Error");
    patch(json!({ "finalizers": [] })).await;
}

#[tokio::test]
async fn a_node_that_is_stopped_does_nothing_until_it_works_again_and_one_that_is_deleted_is_gone()
{
    if Kubernetes::is_missing() {
        return;
    }
    let kubernetes = Kubernetes::start().await;
    let fake = FakeNodes::start(&kubernetes, "spare", 2).await;
    assert_eq!(fake.working(), ["spare-0", "spare-1"]);
    let namespace = kubernetes.namespace().await;
    let pods: Api<Pod> = Api::namespaced(kubernetes.client(), &namespace);
    let nodes: Api<Node> = Api::all(kubernetes.client());
    fake.stop_node("spare-0").await;
    let is_ready = async |name: &str| {
        let conditions = nodes.get(name).await.unwrap().status.unwrap().conditions.unwrap();
        conditions.into_iter().find(|it| it.type_ == "Ready").unwrap().status
    };
    assert_eq!(is_ready("spare-0").await, "Unknown");
    // No scheduler has a say in these.
    let tolerant = json!([{ "operator": "Exists" }]);
    let on = |node: &str| json!({ "nodeName": node, "tolerations": tolerant });
    create_with(&pods, "stopped", json!({}), on("spare-0")).await;
    create_with(&pods, "other", json!({}), on("spare-1")).await;
    ended(&pods, "other").await;
    let status = pods.get("stopped").await.unwrap().status.unwrap();
    assert_eq!((told(&status), status.start_time), ("Pending".to_owned(), None));
    fake.start_node("spare-0").await;
    assert_eq!(told(&ended(&pods, "stopped").await), "Succeeded 0 Completed");
    assert_eq!(is_ready("spare-0").await, "True");
    fake.delete_node("spare-0").await;
    assert_eq!(nodes.get_opt("spare-0").await.unwrap().map(|it| it.name_any()), None);
    fake.delete_node("spare-1").await;
}

#[tokio::test]
async fn pods_go_on_over_a_kill_of_the_api_server() {
    if Kubernetes::is_missing() {
        return;
    }
    let kubernetes = Kubernetes::start().await;
    let nodes = kubernetes.fake_nodes().await;
    let namespace = kubernetes.namespace().await;
    let pods: Api<Pod> = Api::namespaced(kubernetes.client(), &namespace);
    create(&pods, "runs", json!({ "fake/run-for": "2s" })).await;
    create(&pods, "starts", json!({ "fake/start-after": "2s" })).await;
    phase(&pods, "runs", "Running").await;
    kubernetes.stop_apiserver();
    assert!(pods.get("runs").await.is_err(), "nobody answers");
    kubernetes.start_apiserver().await;
    create(&pods, "new", json!({})).await;
    for name in ["runs", "starts", "new"] {
        assert_eq!(told(&ended(&pods, name).await), "Succeeded 0 Completed", "{name}");
    }
    let starts = nodes.starts();
    let counts = ["runs", "starts", "new"].map(|name| starts[&format!("{namespace}/{name}")]);
    assert_eq!(counts, [1, 1, 1]);
}

#[tokio::test]
async fn versions_from_before_a_compaction_are_gone_once_the_api_server_has_begun_anew() {
    if Kubernetes::is_missing() {
        return;
    }
    let kubernetes = Kubernetes::start().await;
    let namespace = kubernetes.namespace().await;
    let pods: Api<Pod> = Api::namespaced(kubernetes.client(), &namespace);
    for name in ["a", "b", "c"] {
        create(&pods, name, json!({})).await;
    }
    let part = pods.list(&ListParams::default().limit(1)).await.unwrap().metadata;
    let version = part.resource_version.unwrap();
    let rest = ListParams::default().continue_token(&part.continue_.unwrap());
    let watch = async || {
        let events = pods.watch(&WatchParams::default(), &version).await?;
        Box::pin(events).try_next().await
    };
    create(&pods, "d", json!({})).await;
    let first = watch().await.unwrap();
    assert!(matches!(first, Some(WatchEvent::Added(_) | WatchEvent::Modified(_))), "{first:?}");
    assert_eq!(pods.list(&rest).await.unwrap().items.len(), 2);
    kubernetes.compact().await;
    kubernetes.stop_apiserver();
    kubernetes.start_apiserver().await;
    let watched = match watch().await {
        Ok(Some(WatchEvent::Error(status))) => Some(status.code),
        other => code(other),
    };
    assert_eq!((watched, code(pods.list(&rest).await)), (Some(410), Some(410)));
}
