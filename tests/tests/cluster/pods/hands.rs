//! What others do to pods and nodes while launchers look on, or look away.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, EvictParams},
};
use windlass_engine::record::{RunState, StepState};
use windlass_proto::{id::RunId, v1};
use windlass_servers::{Fault, Rule};

use super::support::{Ground, pipeline, step};
use crate::support::eventually;

/// A step that is tried again once where that is not its own fault, and whose pod runs until something befalls it.
pub(super) fn patient(name: &str) -> v1::Step {
    let retry = v1::RetryPolicy { system_limit: Some(1), ..v1::RetryPolicy::default() };
    v1::Step { retry: Some(Box::new(retry)), ..step(name, &[], &[("run-for", "20s")]) }
}

pub(super) async fn delete(pods: &Api<Pod>, pod: &Pod) {
    pods.delete(&pod.name_any(), &DeleteParams::default()).await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_somebody_deletes_is_tried_again_and_not_at_the_steps_cost() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(pipeline([patient("work")])).await;
    let pods = ground.until_pods(1, "Running").await;
    delete(&ground.api().1, &pods[0]).await;
    let first = pods[0].name_any();
    let again = eventually("the next attempt runs", async || {
        let pods = ground.until_pods(1, "Running").await;
        pods.into_iter().find(|pod| pod.name_any() != first)
    })
    .await;
    assert_eq!(ground.failure(run, 0, 1).await.0, "Deleted");
    delete(&ground.api().1, &again).await;
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Failed, "its budget is used up");
    ground.assert_started_at_most_once(run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_is_deleted_while_no_launcher_looks_is_lost_and_tried_again() {
    let Some(ground) = Ground::shared().await else { return };
    let launcher = ground.launcher();
    let run = ground.cluster.submit(pipeline([patient("work")])).await;
    let pods = ground.until_pods(1, "Running").await;
    eventually("it is known to run", async || {
        let (_, record) = ground.cluster.store.read_record(run).await.expect("read")?;
        (record.counts[StepState::Running as usize] == 1).then_some(())
    })
    .await;
    // Its stream is cut, and it finds nobody: what it knew is all it has when it comes back.
    ground.gate.add(Rule::new(Fault::Code(503)));
    ground.gate.cut();
    delete(&ground.api().1, &pods[0]).await;
    ground.until_no_pods().await;
    ground.gate.heal();
    ground.until_pods(1, "Running").await;
    let (reason, message) = ground.failure(run, 0, 1).await;
    assert!(matches!(&*reason, "Lost" | "Deleted"), "{reason}: {message}");
    launcher.stop().await;
    ground.assert_started_at_most_once(run);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eviction_through_the_api_is_told_as_one() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(pipeline([patient("work")])).await;
    let pods = ground.until_pods(1, "Running").await;
    let evicted = ground.api().1.evict(&pods[0].name_any(), &EvictParams::default()).await;
    evicted.expect("evicted");
    assert_eq!(until_first_attempt_is_over(&ground, run).await.0, "Evicted");
    ground.cluster.cancel(run).await.expect("taken");
    ground.cluster.end_of(run).await;
    ground.assert_started_at_most_once(run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_was_told_to_end_and_ends_with_0_has_not_succeeded() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let behavior = [("run", "forever"), ("term-exit", "0"), ("message", r#"{"rows": 3}"#)];
    let steps = ["late", "deleted", "evicted"].map(|name| {
        let retry = v1::RetryPolicy { system_limit: Some(0), ..v1::RetryPolicy::default() };
        let timeout = (name == "late").then_some(prost_types::Duration { seconds: 2, nanos: 0 });
        v1::Step {
            retry: Some(Box::new(retry)),
            timeout,
            outputs: vec!["rows".into()],
            ..step(name, &[], &behavior)
        }
    });
    let after = ["late", "deleted", "evicted"].map(|name| step(&format!("{name}-2"), &[name], &[]));
    let run = ground.cluster.submit(pipeline(steps.into_iter().chain(after))).await;
    let pods = ground.until_pods(3, "Running").await;
    let named = |name: &str| {
        let named = pods.iter().find(|pod| pod.name_any().starts_with(name));
        named.expect("it runs")
    };
    delete(&ground.api().1, named("deleted")).await;
    let evicted = ground.api().1.evict(&named("evicted").name_any(), &EvictParams::default()).await;
    evicted.expect("evicted");
    let record = ground.cluster.end_of(run).await;
    let expected = [
        ("Timeout", ""),
        ("Deleted", "its program ran until then"),
        ("Evicted", "the pod was evicted from the node"),
    ];
    for ((reason, words), index) in expected.into_iter().zip(0..) {
        let (told, message) = ground.failure(run, index, 1).await;
        assert!(told == reason && message.starts_with(words), "{told}: {message}");
    }
    let count = |state: StepState| record.counts[state as usize];
    assert_eq!((count(StepState::Failed), count(StepState::Skipped)), (3, 3), "{record:?}");
    assert_eq!(ground.started(run), 3);
}

pub(super) async fn until_first_attempt_is_over(
    ground: &Ground<'_>,
    run: RunId,
) -> (String, String) {
    eventually("the attempt is over", async || {
        (!ground.attempts(run, 0).await.is_empty()).then_some(())
    })
    .await;
    ground.failure(run, 0, 1).await
}
