//! Nodes that vanish and nodes that fall silent. Each test has a control plane of its own: pods of others may come to any node.

use std::time::Duration;

use windlass_proto::id::RunId;
use windlass_servers::FakeNodes;
use windlass_tests::waiting;

use super::{
    hands::{delete, patient, until_first_attempt_is_over},
    support::{Ground, own_control_plane, pipeline, pod},
};
use crate::support::eventually;

/// A run of one pod on a node of its own.
async fn on_a_node_of_its_own(ground: &Ground<'_>) -> (FakeNodes, String, RunId) {
    let nodes = FakeNodes::start(ground.kubernetes, &ground.namespace, 1).await;
    let node = format!("{}-0", ground.namespace);
    let mut work = patient("work");
    pod(&mut work).node_selector.insert("kubernetes.io/hostname".into(), node.clone());
    let run = ground.cluster.submit(pipeline([work])).await;
    ground.until_pods(1, "Running").await;
    (nodes, node, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_a_node_that_is_removed_are_lost_and_tried_again() {
    let Some(kubernetes) = own_control_plane().await else { return };
    let ground = Ground::on(&kubernetes).await;
    let _launcher = ground.launcher();
    let (nodes, node, run) = on_a_node_of_its_own(&ground).await;
    nodes.delete_node(&node).await;
    // A controller looks for pods of nodes that are gone, and waits for a while whether they come back.
    let over = async || (!ground.attempts(run, 0).await.is_empty()).then_some(());
    waiting::eventually(Duration::from_mins(3), "the attempt is over", over).await;
    let (reason, message) = ground.failure(run, 0, 1).await;
    assert_eq!(reason, "Lost", "{message}");
    ground.cluster.cancel(run).await.expect("taken");
    ground.cluster.end_of(run).await;
    ground.assert_started_at_most_once(run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_silent_has_its_pods_until_it_is_known_that_they_have_ended() {
    let Some(kubernetes) = own_control_plane().await else { return };
    let ground = Ground::on(&kubernetes).await;
    let _launcher = ground.launcher();
    let (nodes, node, run) = on_a_node_of_its_own(&ground).await;
    nodes.stop_node(&node).await;
    let pods = ground.pods().await;
    delete(&ground.api().1, &pods[0]).await;
    eventually("its end was asked for", async || {
        let pods = ground.pods().await;
        pods.first()?.metadata.deletion_timestamp.as_ref().map(|_| ())
    })
    .await;
    assert_eq!(ground.attempts(run, 0).await, [], "its program may still run");
    nodes.start_node(&node).await;
    assert_eq!(until_first_attempt_is_over(&ground, run).await.0, "Deleted");
    ground.cluster.cancel(run).await.expect("taken");
    ground.cluster.end_of(run).await;
    ground.assert_started_at_most_once(run);
}
