//! A node that runs containers.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, LogParams, PostParams},
};
use serde_json::{Value, json};
use windlass_servers::{Kubernetes, RealNode};

use crate::{ended, eventually, phase, told};

/// A pod that runs a shell script.
async fn run(pods: &Api<Pod>, name: &str, script: &str, more: Value) {
    let mut main = json!({
        "name": "main",
        "image": RealNode::IMAGE,
        "command": ["sh", "-c", script],
        "resources": { "requests": { "cpu": "50m" } },
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        main[name] = value.clone();
    }
    let spec = json!({ "restartPolicy": "Never", "containers": [main], "nodeSelector": { "type": "real" } });
    let pod = serde_json::from_value(json!({ "metadata": { "name": name }, "spec": spec }));
    let made = pods.create(&PostParams::default(), &pod.expect("it is a pod")).await;
    made.expect("the pod is made");
}

#[tokio::test]
async fn a_real_node_runs_containers_and_tells_how_they_end() {
    if RealNode::is_impossible() {
        return;
    }
    let kubernetes = Kubernetes::start().await;
    let node = RealNode::start(&kubernetes).await;
    let namespace = kubernetes.namespace().await;
    let pods: Api<Pod> = Api::namespaced(kubernetes.client(), &namespace);
    run(&pods, "exits", "echo hello; echo bye > /dev/termination-log; exit 3", json!({})).await;
    run(
        &pods,
        "grows",
        "x=$(head -c 200m /dev/zero | tr '\\0' x)",
        json!({ "resources": { "limits": { "memory": "30Mi" } } }),
    )
    .await;
    run(&pods, "waits", "trap 'exit 5' TERM; while :; do sleep 0.1; done", json!({})).await;
    assert_eq!(told(&ended(&pods, "exits").await), "Failed 3 Error bye\n");
    assert_eq!(pods.logs("exits", &LogParams::default()).await.unwrap(), "hello\n");
    assert_eq!(told(&ended(&pods, "grows").await), "Failed 137 OOMKilled");
    phase(&pods, "waits", "Running").await;
    pods.delete("waits", &DeleteParams::default()).await.unwrap();
    eventually("it is gone", async || pods.get_opt("waits").await.unwrap().is_none().then_some(()))
        .await;
    node.kill();
}
