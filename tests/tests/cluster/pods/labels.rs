//! Labels that somebody changes or copies, and namespaces that a launcher may not watch.

use k8s_openapi::api::{
    core::v1::Pod,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use windlass_engine::record::{RunState, StepState};
use windlass_pod::label;
use windlass_proto::{id::RunId, v1};
use windlass_servers::{Fault, KubernetesGate, Rule, Verb};

use super::{
    hands::{patient, until_first_attempt_is_over},
    support::{Ground, phase_of, pipeline, pod, step},
};
use crate::support::eventually;

async fn set_label(ground: &Ground<'_>, pod: &Pod, label: &str, value: Value) {
    let patch = Patch::Merge(json!({"metadata": {"labels": {label: value}}}));
    let (pods, name) = (ground.api().1, pod.name_any());
    pods.patch(&name, &PatchParams::default(), &patch).await.expect("patched");
}

async fn is_known_to_run(ground: &Ground<'_>, run: RunId) {
    eventually("it is known to run", async || {
        let (_, record) = ground.cluster.store.read_record(run).await.expect("read")?;
        (record.counts[StepState::Running as usize] == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_pod_that_fails_is_nothing_to_the_attempt() {
    let Some(ground) = Ground::shared().await else { return };
    let launcher = ground.launcher();
    let run = ground.cluster.submit(pipeline([step("work", &[], &[("run-for", "8s")])])).await;
    let real = ground.until_pods(1, "Running").await.remove(0);
    let mut copy = Pod {
        metadata: ObjectMeta {
            name: Some("debug-copy".into()),
            labels: real.metadata.labels.clone(),
            annotations: real.metadata.annotations.clone(),
            ..ObjectMeta::default()
        },
        spec: real.spec.clone(),
        status: None,
    };
    // It is nobody's to run.
    let spec = copy.spec.as_mut().expect("it has one");
    spec.node_name = None;
    spec.node_selector = Some([("type".to_owned(), "unheard-of".to_owned())].into());
    let pods = ground.api().1;
    pods.create(&PostParams::default(), &copy).await.expect("created");
    let failed = Patch::Merge(json!({"status": {"phase": "Failed"}}));
    pods.patch_status("debug-copy", &PatchParams::default(), &failed).await.expect("patched");
    // Who lists them finds the copy first.
    launcher.stop().await;
    let _launcher = ground.launcher();
    ground.succeeds(run).await;
    assert!(ground.attempts(run, 0).await.is_empty(), "none has failed");
    assert_eq!(phase_of(&pods.get("debug-copy").await.expect("nobody removed it")), "Failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_whose_labels_name_another_attempt_ends_as_its_own() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let names = [(label::ATTEMPT, "7"), (label::STEP_INDEX, "0"), (label::STEP_INDEX, "1")];
    let steps = names.iter().enumerate();
    let steps = steps.map(|(index, _)| step(&format!("s{index}"), &[], &[("run-for", "5s")]));
    let run = ground.cluster.submit(pipeline(steps)).await;
    let pods = ground.until_pods(names.len(), "Running").await;
    for (pod, (label, value)) in pods.iter().zip(names) {
        set_label(&ground, pod, label, value.into()).await;
    }
    ground.succeeds(run).await;
    for index in 0..3 {
        assert!(ground.attempts(run, index).await.is_empty(), "none has failed");
    }
}

/// Asserts that the first attempt is lost since its labels were changed, and gone before the second one runs.
async fn is_lost_and_gone_before_the_next(ground: &Ground<'_>, run: RunId, first: &Pod) {
    let (reason, message) = until_first_attempt_is_over(ground, run).await;
    assert_eq!(reason, "Lost", "{message}");
    assert!(message.contains("changed the labels"), "{message}");
    let left = ground.api().1.get_opt(&first.name_any()).await.expect("asked");
    assert!(left.is_none(), "the next attempt may begin, and this one is there");
    ground.until_pods(1, "Running").await;
    ground.cluster.cancel(run).await.expect("taken");
    ground.cluster.end_of(run).await;
    ground.assert_started_at_most_once(run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_loses_its_labels_is_ended_before_the_next_attempt_begins() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    for (label, value) in [
        (label::SHARD, Value::Null),
        (label::SHARD, "4711".into()),
        (label::MANAGED_BY, "somebody".into()),
    ] {
        let run = ground.cluster.submit(pipeline([patient("work")])).await;
        let first = ground.until_pods(1, "Running").await.remove(0);
        is_known_to_run(&ground, run).await;
        set_label(&ground, &first, label, value).await;
        is_lost_and_gone_before_the_next(&ground, run, &first).await;
        ground.until_no_pods().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_loses_its_labels_while_no_launcher_looks_is_ended_too() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(pipeline([patient("work")])).await;
    let first = ground.until_pods(1, "Running").await.remove(0);
    is_known_to_run(&ground, run).await;
    // It is watched no more, and listed anew after that.
    let expired = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old", "reason": "Expired", "code": 410,
    });
    ground.gate.add(Rule::new(Fault::Code(503)).verb(Verb::List));
    ground.gate.add(Rule::new(Fault::Status(expired)).verb(Verb::Watch));
    ground.gate.cut();
    set_label(&ground, &first, label::SHARD, Value::Null).await;
    ground.gate.heal();
    is_lost_and_gone_before_the_next(&ground, run, &first).await;
}

/// Lets a user do in a namespace what launchers do.
async fn allow(ground: &Ground<'_>, namespace: &str, user: &str) {
    let client = ground.kubernetes.client();
    let verbs = ["create", "get", "list", "watch", "delete", "deletecollection"];
    let role: Role = serde_json::from_value(json!({
        "metadata": {"name": user},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}],
    }))
    .expect("a role");
    let group = "rbac.authorization.k8s.io";
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": user},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": user},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }))
    .expect("a binding");
    let params = PostParams::default();
    Api::namespaced(client.clone(), namespace).create(&params, &role).await.expect("created");
    Api::namespaced(client, namespace).create(&params, &binding).await.expect("created");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_may_not_be_watched_is_left_out_until_it_may_and_others_go_on() {
    let Some(mut ground) = Ground::shared().await else { return };
    let user = format!("narrow-{}", ground.namespace);
    allow(&ground, &ground.namespace, &user).await;
    let shut = ground.kubernetes.namespace().await;
    ground.gate = KubernetesGate::to(&ground.kubernetes.kubeconfig_for(&user)).await;
    let _launcher = ground.launcher_with(|config| {
        config.other_namespaces.insert(shut.clone());
    });
    let run = ground.cluster.submit(pipeline([step("here", &[], &[])])).await;
    ground.succeeds(run).await;

    let there = || {
        let mut there = step("there", &[], &[]);
        pod(&mut there).namespace = shut.clone();
        let retry = v1::RetryPolicy { system_limit: Some(0), ..v1::RetryPolicy::default() };
        there.retry = Some(Box::new(retry));
        pipeline([there])
    };
    let run = ground.cluster.submit(there()).await;
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Failed);
    let (reason, message) = ground.failure(run, 0, 1).await;
    assert_eq!(reason, "LaunchFailed", "{message}");
    assert!(message.contains("windlass cluster check default"), "{message}");
    let pods: Api<Pod> = Api::namespaced(ground.kubernetes.client(), &shut);
    assert_eq!(pods.list(&ListParams::default()).await.expect("listed").items, []);

    allow(&ground, &shut, &user).await;
    let run = eventually("a step runs there", async || {
        let run = ground.cluster.submit(there()).await;
        let record = ground.cluster.end_of(run).await;
        (record.state == RunState::Succeeded).then_some(run)
    })
    .await;
    ground.assert_started_at_most_once(run);
}
