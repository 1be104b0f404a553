//! What a step asks of its pod, with what the defaults ask.
//!
//! Maps are merged, at every depth; everything else that a step gives replaces what the defaults have, lists as a whole.

use std::collections::BTreeMap;

use prost_types::{ListValue, Struct};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use windlass_proto::{json, v1};

use super::{
    collection::{NamedTexts, OneOrMany, Text},
    quantity::Duration,
};

/// What attempts ask of their pods. Keys within `affinity`, `tolerations`, `volumes` and the like are those of Kubernetes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pod {
    /// What the pod's name begins with; the step's name by default.
    #[serde(default)]
    pub(crate) name_prefix: Option<String>,
    /// The namespace in Kubernetes.
    #[serde(default)]
    pub(crate) namespace: Option<String>,
    /// `Always`, `IfNotPresent` or `Never`.
    #[serde(default)]
    pub(crate) image_pull_policy: Option<String>,
    /// Added to the labels of Windlass.
    #[serde(default)]
    pub(crate) labels: NamedTexts,
    /// Added to the annotations of Windlass.
    #[serde(default)]
    pub(crate) annotations: NamedTexts,
    /// Labels that the node must have.
    #[serde(default)]
    pub(crate) node_selector: NamedTexts,
    /// The name of the service account.
    #[serde(default)]
    pub(crate) service_account: Option<String>,
    /// Names of secrets with which images are pulled.
    #[serde(default)]
    pub(crate) image_pull_secrets: Option<OneOrMany>,
    /// Who assigns the pod to a node.
    #[serde(default)]
    pub(crate) scheduler_name: Option<String>,
    /// The name of a priority class.
    #[serde(default)]
    pub(crate) priority_class: Option<String>,
    /// The name of a runtime class.
    #[serde(default)]
    pub(crate) runtime_class: Option<String>,
    /// Whether the pod shares the host's IPC namespace.
    #[serde(default)]
    pub(crate) host_ipc: Option<bool>,
    /// Whether the program's container is privileged.
    #[serde(default)]
    pub(crate) privileged: Option<bool>,
    /// From when the pod is assigned to a node to when Kubernetes ends it; none by default.
    #[serde(default)]
    pub(crate) active_deadline: Option<Duration>,
    /// The queue of Kueue that admits the pod.
    #[serde(default)]
    pub(crate) queue: Option<String>,
    /// Reasons for which a container waits that end the attempt; an empty list means none.
    #[serde(default)]
    pub(crate) fatal_waiting_reasons: Option<OneOrMany>,
    /// Where variables come from besides `env`: a list of `EnvFromSource`.
    #[serde(default)]
    pub(crate) env_from: Option<Vec<Json>>,
    /// What the program's container asks for and may use, besides the step's `resources`.
    #[serde(default)]
    pub(crate) resources: Option<PodResources>,
    /// A list of `Toleration`.
    #[serde(default)]
    pub(crate) tolerations: Option<Vec<Json>>,
    /// An `Affinity`.
    #[serde(default)]
    pub(crate) affinity: Option<Map<String, Json>>,
    /// A list of `Volume`.
    #[serde(default)]
    pub(crate) volumes: Option<Vec<Json>>,
    /// Where the program's container has them: a list of `VolumeMount`.
    #[serde(default)]
    pub(crate) volume_mounts: Option<Vec<Json>>,
    /// A `PodSecurityContext`.
    #[serde(default)]
    pub(crate) security_context: Option<Map<String, Json>>,
    /// The `SecurityContext` of the program's container.
    #[serde(default)]
    pub(crate) container_security_context: Option<Map<String, Json>>,
    /// Containers that run to their end before the program starts: a list of `Container`.
    #[serde(default)]
    pub(crate) init_containers: Option<Vec<Json>>,
    /// Containers that run beside the program: a list of `Container`.
    #[serde(default)]
    pub(crate) sidecars: Option<Vec<Json>>,
    /// Any other fields of a `PodSpec`.
    #[serde(default)]
    pub(crate) patch: Option<Map<String, Json>>,
}

/// Amounts of resources by their names, such as `cpu: 500m`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PodResources {
    /// What is set aside for the container.
    #[serde(default)]
    pub(crate) requests: NamedTexts,
    /// The most that it may use.
    #[serde(default)]
    pub(crate) limits: NamedTexts,
}

/// The settings of a step over those of the defaults; none where neither has any.
pub(super) fn merged(own: Option<&Pod>, defaults: Option<&Pod>) -> Option<Box<v1::Pod>> {
    let none = Pod::default();
    if own.is_none() && defaults.is_none() {
        return None;
    }
    let layers = Layers { own: own.unwrap_or(&none), defaults: defaults.unwrap_or(&none) };
    let reasons = layers.first(|pod| pod.fatal_waiting_reasons.as_ref());
    Some(Box::new(v1::Pod {
        name_prefix: layers.text(|pod| pod.name_prefix.as_ref()),
        namespace: layers.text(|pod| pod.namespace.as_ref()),
        image_pull_policy: layers.text(|pod| pod.image_pull_policy.as_ref()),
        labels: layers.texts(|pod| Some(&pod.labels)),
        annotations: layers.texts(|pod| Some(&pod.annotations)),
        node_selector: layers.texts(|pod| Some(&pod.node_selector)),
        service_account: layers.text(|pod| pod.service_account.as_ref()),
        image_pull_secrets: layers
            .first(|pod| pod.image_pull_secrets.as_ref())
            .map(|names| names.0.clone())
            .unwrap_or_default(),
        scheduler_name: layers.text(|pod| pod.scheduler_name.as_ref()),
        priority_class: layers.text(|pod| pod.priority_class.as_ref()),
        runtime_class: layers.text(|pod| pod.runtime_class.as_ref()),
        host_ipc: layers.first(|pod| pod.host_ipc.as_ref()).copied().unwrap_or(false),
        privileged: layers.first(|pod| pod.privileged.as_ref()).copied().unwrap_or(false),
        active_deadline: layers.first(|pod| pod.active_deadline.as_ref()).map(|Duration(it)| *it),
        queue: layers.text(|pod| pod.queue.as_ref()),
        fatal_waiting_reasons: reasons.map(|it| v1::WaitingReasons { reasons: it.0.clone() }),
        env_from: layers.list(|pod| pod.env_from.as_ref()),
        resources: layers.resources(),
        tolerations: layers.list(|pod| pod.tolerations.as_ref()),
        affinity: layers.fields(|pod| pod.affinity.as_ref()),
        volumes: layers.list(|pod| pod.volumes.as_ref()),
        volume_mounts: layers.list(|pod| pod.volume_mounts.as_ref()),
        security_context: layers.fields(|pod| pod.security_context.as_ref()),
        container_security_context: layers.fields(|pod| pod.container_security_context.as_ref()),
        init_containers: layers.list(|pod| pod.init_containers.as_ref()),
        sidecars: layers.list(|pod| pod.sidecars.as_ref()),
        patch: layers.fields(|pod| pod.patch.as_ref()),
    }))
}

/// What a step has, and what it has where it says nothing.
struct Layers<'a> {
    own: &'a Pod,
    defaults: &'a Pod,
}

impl<'a> Layers<'a> {
    fn first<T: ?Sized>(&self, of: impl Fn(&'a Pod) -> Option<&'a T>) -> Option<&'a T> {
        of(self.own).or_else(|| of(self.defaults))
    }

    fn text(&self, of: impl Fn(&'a Pod) -> Option<&'a String>) -> String {
        self.first(of).cloned().unwrap_or_default()
    }

    fn texts(&self, of: impl Fn(&'a Pod) -> Option<&'a NamedTexts>) -> BTreeMap<String, String> {
        let layers = [self.defaults, self.own].into_iter().filter_map(of);
        let entries = layers.flat_map(|texts| &texts.0);
        entries.map(|(key, Text(value))| (key.clone(), value.clone())).collect()
    }

    fn list(&self, of: impl Fn(&'a Pod) -> Option<&'a Vec<Json>>) -> Option<ListValue> {
        let list = self.first(of)?;
        Some(ListValue { values: list.iter().map(json::to_value).collect() })
    }

    fn fields(&self, of: impl Fn(&'a Pod) -> Option<&'a Map<String, Json>>) -> Option<Struct> {
        let fields = match (of(self.own), of(self.defaults)) {
            (Some(own), Some(defaults)) => &{
                let mut merged = defaults.clone();
                merge(&mut merged, own);
                merged
            },
            (own, defaults) => own.or(defaults)?,
        };
        let fields = fields.iter().map(|(key, value)| (key.clone(), json::to_value(value)));
        Some(Struct { fields: fields.collect() })
    }

    fn resources(&self) -> Option<v1::PodResources> {
        let given = |of: fn(&'a PodResources) -> &'a NamedTexts| {
            self.texts(move |pod| pod.resources.as_ref().map(of))
        };
        self.first(|pod| pod.resources.as_ref())?;
        let requests = given(|resources| &resources.requests);
        Some(v1::PodResources { requests, limits: given(|resources| &resources.limits) })
    }
}

/// Puts a map over another one.
fn merge(under: &mut Map<String, Json>, over: &Map<String, Json>) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Json::Object(under)), Json::Object(over)) => merge(under, over),
            _ => drop(under.insert(key.clone(), value.clone())),
        }
    }
}
