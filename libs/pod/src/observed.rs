//! What is read of a pod that exists: what its outcome depends on, and no more.
//!
//! A launcher watches many thousand pods. Most of a pod, as the API server tells it, is its spec and who has set which field;
//! neither is of interest here, and what is skipped costs no memory.

use std::collections::BTreeMap;

use k8s_openapi::{
    Metadata, NamespaceResourceScope, Resource,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use serde::{Deserialize, Deserializer};
use windlass_engine::{output::AttemptRef, record::StepIndex, time::Timestamp};
use windlass_proto::id::RunId;

use crate::{label, manifest};

/// A pod as it was last seen. Clients of Kubernetes list and watch it like any resource, as `pods`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ObservedPod {
    /// Name, namespace, uid, version, labels, annotations, creation and deletion; other fields are never set.
    #[serde(default, deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// What it was asked to be.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: ObservedSpec,
    /// What has become of it.
    #[serde(default, deserialize_with = "or_default")]
    pub status: ObservedStatus,
}

/// The little of a pod's spec that its outcome depends on.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedSpec {
    /// The node that it was placed on.
    pub node_name: Option<String>,
    /// `Never` in each pod of Windlass; a cluster may have changed it.
    pub restart_policy: Option<String>,
    /// Those that run before the others, sidecars among them.
    #[serde(default, deserialize_with = "or_default")]
    pub init_containers: Vec<ObservedInitContainer>,
}

/// What an init container was asked to be.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedInitContainer {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// `Always` makes it a sidecar.
    pub restart_policy: Option<String>,
}

/// A pod's status.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: Option<String>,
    /// In one word, why it is as it is.
    pub reason: Option<String>,
    /// For people.
    pub message: Option<String>,
    /// Its conditions.
    #[serde(default, deserialize_with = "or_default")]
    pub conditions: Vec<ObservedCondition>,
    /// Those of the init containers.
    #[serde(default, deserialize_with = "or_default")]
    pub init_container_statuses: Vec<ObservedContainer>,
    /// Those of the containers.
    #[serde(default, deserialize_with = "or_default")]
    pub container_statuses: Vec<ObservedContainer>,
}

/// A condition of a pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedCondition {
    /// Which.
    #[serde(default, rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    #[serde(default)]
    pub status: String,
    /// In one word, why.
    pub reason: Option<String>,
    /// For people.
    pub message: Option<String>,
    /// Since when.
    pub last_transition_time: Option<Time>,
}

/// The status of a container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedContainer {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Whether it runs and has passed its start-up probe, where it has one: those after a sidecar wait for that.
    pub started: Option<bool>,
    /// How far it is.
    #[serde(default, deserialize_with = "or_default")]
    pub state: ContainerState,
    /// How it ended before it was restarted.
    #[serde(default, deserialize_with = "or_default")]
    pub last_state: ContainerState,
}

/// How far a container is. At most one is set; none stands for waiting.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ContainerState {
    /// It does not run yet.
    pub waiting: Option<ContainerWaiting>,
    /// It runs.
    pub running: Option<ContainerRunning>,
    /// It has ended.
    pub terminated: Option<ContainerTerminated>,
}

/// A container that does not run yet.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ContainerWaiting {
    /// In one word, why.
    pub reason: Option<String>,
    /// For people.
    pub message: Option<String>,
}

/// A container that runs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerRunning {
    /// Since when.
    pub started_at: Option<Time>,
}

/// A container that has ended.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerTerminated {
    /// The exit code; 128 + n where signal n ended it.
    #[serde(default)]
    pub exit_code: i32,
    /// The signal, where the node tells it apart.
    pub signal: Option<i32>,
    /// In one word, why.
    pub reason: Option<String>,
    /// What it wrote last for others to read: its termination message.
    pub message: Option<String>,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
}

/// Which attempt a pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PodKey {
    /// The run.
    pub run: RunId,
    /// The attempt in the run.
    pub attempt: AttemptRef,
    /// The shard in which it is watched.
    pub shard: u32,
}

impl ObservedPod {
    /// Which attempt it is, as its labels and annotations say; none where they do not: it is no pod of Windlass, or somebody has
    /// changed them.
    pub fn key(&self) -> Option<PodKey> {
        let run = self.label(label::RUN)?.parse().ok()?;
        let step = StepIndex(self.label(label::STEP_INDEX)?.parse().ok()?);
        let attempt = self.label(label::ATTEMPT)?.parse().ok()?;
        let shard = self.label(label::SHARD)?.parse().ok()?;
        Some(PodKey { run, attempt: AttemptRef { step, attempt }, shard })
    }

    /// The same of a pod of an installation whose name says so, too: labels are copied and changed by hand, and the name of a pod
    /// is its attempt's alone.
    pub fn key_by_name(&self, installation: &str) -> Option<PodKey> {
        let key = self.key()?;
        let name = self.metadata.name.as_deref()?;
        let AttemptRef { step, attempt } = key.attempt;
        manifest::is_name_of(name, installation, &key.run.to_string(), step.0, attempt)
            .then_some(key)
    }

    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// The value of an annotation.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// When it was created, in whole seconds.
    pub fn created_at(&self) -> Option<Timestamp> {
        timestamp(self.metadata.creation_timestamp.as_ref())
    }

    /// When its deletion was asked for, in whole seconds; none where it was not.
    pub fn deletion_asked_at(&self) -> Option<Timestamp> {
        // What is stored is when it has to be gone.
        let gone = timestamp(self.metadata.deletion_timestamp.as_ref())?;
        let grace = self.metadata.deletion_grace_period_seconds.unwrap_or(0);
        let grace = u64::try_from(grace).unwrap_or(0).saturating_mul(1000);
        Some(Timestamp(gone.0.saturating_sub(grace)))
    }

    /// Whether its deletion was asked for.
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }
}

/// A time as the engine has it; none for 1970, which runtimes of containers write for what never began.
pub(crate) fn timestamp(time: Option<&Time>) -> Option<Timestamp> {
    let milliseconds = u64::try_from(time?.0.as_millisecond()).ok()?;
    (milliseconds > 0).then_some(Timestamp(milliseconds))
}

impl Resource for ObservedPod {
    const API_VERSION: &'static str = "v1";
    const GROUP: &'static str = "";
    const KIND: &'static str = "Pod";
    const VERSION: &'static str = "v1";
    const URL_PATH_SEGMENT: &'static str = "pods";
    type Scope = NamespaceResourceScope;
}

impl Metadata for ObservedPod {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// The fields of a pod's metadata that are read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadMetadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read: ReadMetadata = or_default(deserializer)?;
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        labels: read.labels,
        annotations: read.annotations,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        deletion_grace_period_seconds: read.deletion_grace_period_seconds,
        ..ObjectMeta::default()
    })
}

/// A value that may be written as `null`, as programs in Go write what is empty.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
