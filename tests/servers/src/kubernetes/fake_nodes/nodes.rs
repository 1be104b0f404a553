//! The nodes themselves: registered, and alive as long as somebody says so.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::{Node, NodeCondition, NodeStatus, NodeSystemInfo},
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{MicroTime, Time},
    },
};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};

use crate::kubernetes::until;

/// How often a node says that it is alive: a kubelet's default, and a fifth of the time after which it counts as lost.
pub(super) const BEAT: Duration = Duration::from_secs(10);

/// Where the leases of nodes are.
const LEASES: &str = "kube-node-lease";

/// Makes a node, and waits until pods may come to it.
pub(super) async fn register(client: &Client, name: &str) {
    let nodes: Api<Node> = Api::all(client.clone());
    let made = nodes.create(&PostParams::default(), &node(name)).await;
    made.unwrap_or_else(|error| panic!("node {name} is not made: {error}"));
    until("the node has its lease", async || beat(client, name).await.ok()).await;
    until("the node takes pods", async || {
        let node = nodes.get(name).await.ok()?;
        // The one that a new node has until a controller sees that it is ready.
        node.spec.and_then(|spec| spec.taints).unwrap_or_default().is_empty().then_some(())
    })
    .await;
}

/// Says that a node is alive and ready.
pub(super) async fn beat(client: &Client, name: &str) -> kube::Result<()> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), LEASES);
    let spec = LeaseSpec {
        holder_identity: Some(name.to_owned()),
        lease_duration_seconds: Some(40),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..LeaseSpec::default()
    };
    let lease = Lease { metadata: named(name), spec: Some(spec) };
    let ours = PatchParams::apply("fake-nodes").force();
    leases.patch(name, &ours, &Patch::Apply(&lease)).await?;
    ready(client, name, "True", "KubeletReady").await
}

/// Says that nobody knows how a node is: what a controller says 50 seconds after the last beat.
pub(super) async fn lose(client: &Client, name: &str) -> kube::Result<()> {
    ready(client, name, "Unknown", "NodeStatusUnknown").await
}

/// Removes a node and its lease.
pub(super) async fn remove(client: &Client, name: &str) -> kube::Result<()> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), LEASES);
    leases.delete(name, &DeleteParams::default()).await?;
    Api::<Node>::all(client.clone()).delete(name, &DeleteParams::default()).await?;
    Ok(())
}

async fn ready(client: &Client, name: &str, status: &str, reason: &str) -> kube::Result<()> {
    let status =
        NodeStatus { conditions: Some(vec![condition(status, reason)]), ..NodeStatus::default() };
    let patch = serde_json::json!({ "status": status });
    let nodes: Api<Node> = Api::all(client.clone());
    // Strategic, so that the condition replaces the one of its type and nothing else.
    nodes.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
    Ok(())
}

fn condition(status: &str, reason: &str) -> NodeCondition {
    let now = Some(Time(Timestamp::now()));
    NodeCondition {
        type_: "Ready".to_owned(),
        status: status.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some("played by a test".to_owned()),
        last_heartbeat_time: now.clone(),
        last_transition_time: now,
    }
}

fn node(name: &str) -> Node {
    let mut metadata = named(name);
    let labels =
        [("type", "fake"), ("kubernetes.io/hostname", name), ("kubernetes.io/os", "linux")];
    metadata.labels = Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    // More than any test asks for.
    let room: BTreeMap<String, Quantity> =
        [("cpu", "10k"), ("memory", "10Ti"), ("ephemeral-storage", "10Ti"), ("pods", "100k")]
            .map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned())))
            .into();
    let info = NodeSystemInfo {
        kubelet_version: "v1.34.10-fake".to_owned(),
        operating_system: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        ..NodeSystemInfo::default()
    };
    let status = NodeStatus {
        capacity: Some(room.clone()),
        allocatable: Some(room),
        conditions: Some(vec![condition("True", "KubeletReady")]),
        node_info: Some(info),
        ..NodeStatus::default()
    };
    Node { metadata, status: Some(status), ..Node::default() }
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}
