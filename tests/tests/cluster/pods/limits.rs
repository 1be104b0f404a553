//! How many pods a cluster gets, and what the cluster itself allows.

use k8s_openapi::api::core::v1::ResourceQuota;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::json;
use windlass_engine::record::RunState;
use windlass_launcher::runtime::kubernetes::Budget;

use super::support::{Ground, pipeline, pod, step, wide};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn launchers_together_keep_the_limit_of_live_pods() {
    let Some(ground) = Ground::shared().await else { return };
    let limited = |budget: &mut Budget| budget.live_pods = 10;
    let _launchers = [ground.launcher_within(limited), ground.launcher_within(limited)];
    let run = ground.cluster.submit(wide(50, &[("run-for", "300ms")])).await;
    let mut most = 0;
    eventually("the run ends", async || {
        let pods = ground.pods().await;
        let living = pods
            .iter()
            .filter(|pod| matches!(super::support::phase_of(pod), "Pending" | "Running"));
        most = most.max(living.count());
        let (_, record) = ground.cluster.store.read_record(run).await.expect("read")?;
        record.state.is_final().then_some(())
    })
    .await;
    assert!((1..=10).contains(&most), "{most} pods lived at once");
    ground.succeeds(run).await;
}

/// Lets there be so many pods in the namespace, and no more.
pub(super) async fn quota(ground: &Ground<'_>, pods: u32) -> Api<ResourceQuota> {
    let quotas: Api<ResourceQuota> = Api::namespaced(ground.kubernetes.client(), &ground.namespace);
    let quota =
        json!({"metadata": {"name": "small"}, "spec": {"hard": {"pods": pods.to_string()}}});
    let quota = serde_json::from_value(quota).expect("a quota");
    quotas.create(&PostParams::default(), &quota).await.expect("made");
    eventually("the quota is counted", async || {
        quotas.get("small").await.expect("there").status?.used
    })
    .await;
    quotas
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_makes_pods_wait_and_no_attempt_fail() {
    let Some(ground) = Ground::shared().await else { return };
    let quotas = quota(&ground, 2).await;
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(wide(6, &[("run", "forever")])).await;
    ground.until_pods(2, "Running").await;
    let raised = json!({"spec": {"hard": {"pods": "6"}}});
    let raised = quotas.patch("small", &PatchParams::default(), &Patch::Merge(raised)).await;
    raised.expect("raised");
    ground.until_pods(6, "Running").await;
    ground.cluster.cancel(run).await.expect("taken");
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Cancelled);
    assert_eq!(ground.started(run), 6);
    ground.assert_started_at_most_once(run);
    quotas.delete("small", &DeleteParams::default()).await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_forbids_and_what_is_invalid_fails_with_the_clusters_words() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> =
        Api::all(ground.kubernetes.client());
    let label = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}});
    let labelled =
        namespaces.patch(&ground.namespace, &PatchParams::default(), &Patch::Merge(label)).await;
    labelled.expect("labelled");
    let mut strong = step("strong", &[], &[]);
    pod(&mut strong).privileged = true;
    let run = ground.cluster.submit(pipeline([strong])).await;
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Failed);
    let (reason, message) = ground.failure(run, 0, 1).await;
    assert_eq!(reason, "Refused");
    assert!(message.contains("violates PodSecurity"), "{message}");
    let mut homeless = step("homeless", &[], &[]);
    pod(&mut homeless).service_account = "nobody".into();
    homeless.retry = Some(Box::new(windlass_proto::v1::RetryPolicy {
        system_limit: Some(0),
        ..Default::default()
    }));
    let run = ground.cluster.submit(pipeline([homeless])).await;
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Failed);
    let (reason, message) = ground.failure(run, 0, 1).await;
    assert_eq!(reason, "LaunchFailed");
    assert!(message.contains("windlass cluster check"), "{message}");
}
