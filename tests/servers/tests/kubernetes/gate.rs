//! The gate before the API server.

use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Pod},
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::json;
use tokio::time::timeout;
use windlass_servers::{Fault, Kubernetes, KubernetesGate, Rule, Verb};

use crate::{PATIENCE, code, eventually};

#[tokio::test]
async fn a_user_may_do_what_a_test_binds_it_to() {
    if Kubernetes::is_missing() {
        return;
    }
    let kubernetes = Kubernetes::shared().await;
    let namespace = kubernetes.namespace().await;
    let gate = KubernetesGate::to(&kubernetes.kubeconfig_for("somebody")).await;
    let pods: Api<Pod> = Api::namespaced(gate.client(), &namespace);
    assert_eq!(code(pods.list(&ListParams::default()).await), Some(403));
    let group = "rbac.authorization.k8s.io";
    let allowed = json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] });
    let role = json!({ "metadata": { "name": "r" }, "rules": [allowed] });
    let role: Role = serde_json::from_value(role).unwrap();
    let admin = kubernetes.client();
    let made = Api::namespaced(admin.clone(), &namespace);
    made.create(&PostParams::default(), &role).await.unwrap();
    let binding = json!({
        "metadata": { "name": "b" },
        "roleRef": { "apiGroup": group, "kind": "Role", "name": "r" },
        "subjects": [{ "apiGroup": group, "kind": "User", "name": "somebody" }],
    });
    let binding: RoleBinding = serde_json::from_value(binding).unwrap();
    let made = Api::namespaced(admin, &namespace);
    made.create(&PostParams::default(), &binding).await.unwrap();
    // Rules reach the API server by a watch.
    eventually("the user may list", async || pods.list(&ListParams::default()).await.ok()).await;
    assert_eq!(code(pods.get("it").await), Some(403));
}

/// A config map, which nobody but its test looks at.
fn map(name: &str) -> ConfigMap {
    serde_json::from_value(json!({ "metadata": { "name": name } })).expect("it is a config map")
}

async fn through_a_gate() -> (&'static Kubernetes, KubernetesGate, Api<ConfigMap>, Api<ConfigMap>) {
    let kubernetes = Kubernetes::shared().await;
    let namespace = kubernetes.namespace().await;
    let gate = KubernetesGate::to(&kubernetes.kubeconfig()).await;
    let maps = |client: Client| Api::namespaced(client, &namespace);
    let (through, beside) = (maps(gate.client()), maps(kubernetes.client()));
    (kubernetes, gate, through, beside)
}

#[tokio::test]
async fn a_gate_answers_in_the_api_servers_place_and_counts() {
    if Kubernetes::is_missing() {
        return;
    }
    let (kubernetes, gate, maps, beside) = through_a_gate().await;
    let create = async |name: &str| maps.create(&PostParams::default(), &map(name)).await;
    create("a").await.unwrap();
    gate.add(Rule::new(Fault::Code(500)).verb(Verb::Create).resource("configmaps").times(1));
    gate.add(Rule::new(Fault::TooManyRequests { retry_after: 7 }).verb(Verb::Create).percent(50));
    let codes = [code(create("b").await), code(create("b").await), code(create("c").await)];
    assert_eq!(codes, [Some(500), None, Some(429)]);
    assert!(maps.get("a").await.is_ok(), "what is not meant passes");
    let quota = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403,
        "reason": "Forbidden", "message": "exceeded quota: q", "metadata": {},
    });
    gate.heal();
    gate.add(Rule::new(Fault::Status(quota)).verb(Verb::Create));
    let Err(kube::Error::Api(status)) = create("d").await else { panic!("it is refused") };
    assert_eq!(
        (status.code, &*status.reason, &*status.message),
        (403, "Forbidden", "exceeded quota: q")
    );
    gate.heal();
    gate.delay(Duration::from_hours(1));
    let held_back = timeout(Duration::from_millis(50), create("e")).await;
    assert!(held_back.is_err(), "nothing passes yet");
    gate.heal();
    create("f").await.unwrap();
    let mut names: Vec<String> = beside
        .list(&ListParams::default())
        .await
        .unwrap()
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    names.retain(|name| name != "kube-root-ca.crt");
    assert_eq!(names, ["a", "b", "f"]);
    let calls = gate.calls();
    let counts = [Verb::Create, Verb::Get, Verb::List].map(|verb| calls.of(verb, "configmaps"));
    assert_eq!((counts, calls.all()), ([7, 1, 0], 8));
    assert!(kubernetes.metrics().await.of(Verb::Create, "configmaps") >= 3);
}

#[tokio::test]
async fn a_gate_loses_requests_answers_and_watches() {
    if Kubernetes::is_missing() {
        return;
    }
    let (_, gate, maps, beside) = through_a_gate().await;
    let create = async |name: &str| maps.create(&PostParams::default(), &map(name)).await;
    gate.add(Rule::new(Fault::LostRequest).verb(Verb::Create).times(1));
    gate.add(Rule::new(Fault::LostReply).verb(Verb::Create).times(1));
    for lost in ["request", "reply"] {
        let result = create(lost).await;
        assert!(
            matches!(result, Err(ref error) if !matches!(error, kube::Error::Api(_))),
            "{result:?}"
        );
    }
    assert!(beside.get_opt("request").await.unwrap().is_none(), "it did not arrive");
    assert!(beside.get_opt("reply").await.unwrap().is_some(), "it was done");
    // Once, though the client's connections are kept and tried again.
    assert_eq!(gate.calls().of(Verb::Create, "configmaps"), 2);

    let version = beside.list(&ListParams::default()).await.unwrap().metadata.resource_version;
    let watch = maps.watch(&WatchParams::default(), &version.unwrap()).await.unwrap();
    let mut watch = Box::pin(watch);
    create("seen").await.unwrap();
    let seen = timeout(PATIENCE, watch.next()).await.expect("it passes at once").unwrap().unwrap();
    assert!(matches!(seen, WatchEvent::Added(ref it) if it.name_any() == "seen"), "{seen:?}");
    gate.cut();
    let cut = timeout(PATIENCE, watch.next()).await.expect("the watch is ended");
    assert!(matches!(cut, None | Some(Err(_))), "{cut:?}");

    gate.add(Rule::new(Fault::Silence).verb(Verb::Get));
    let mut silent = Box::pin(maps.get("seen"));
    assert!(timeout(Duration::from_millis(50), &mut silent).await.is_err(), "nobody answers");
    gate.cut();
    assert!(timeout(PATIENCE, silent).await.expect("its connection ends").is_err());
    gate.heal();
    assert!(maps.get("seen").await.is_ok());
}
