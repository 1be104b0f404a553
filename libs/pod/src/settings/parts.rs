//! The settings that are spelled as Kubernetes spells them, as its types.

use k8s_openapi::api::core::v1::{
    Affinity, Container, EnvFromSource, PodSecurityContext, PodSpec, SecurityContext, Toleration,
    Volume, VolumeMount,
};
use prost_types::{ListValue, Struct};
use serde::{Deserialize, Serialize};
use windlass_proto::{json, v1};

use super::{Reading, json_of, patch, problem::Path, strict};

/// Settings in Kubernetes' own types. Lists are empty where they were not given.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) env_from: Vec<EnvFromSource>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) affinity: Option<Affinity>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) volume_mounts: Vec<VolumeMount>,
    pub(crate) security_context: Option<PodSecurityContext>,
    pub(crate) container_security_context: Option<SecurityContext>,
    pub(crate) init_containers: Vec<Container>,
    pub(crate) sidecars: Vec<Container>,
    /// Without any field that is set elsewhere.
    pub(crate) patch: PodSpec,
}

impl Parts {
    /// Reads them, and reports what is wrong. What cannot be read is left out.
    pub(super) fn read(pod: &v1::Pod, reading: &Reading) -> Self {
        Self {
            env_from: list(pod.env_from.as_ref(), "env_from", reading),
            tolerations: list(pod.tolerations.as_ref(), "tolerations", reading),
            affinity: fields(pod.affinity.as_ref(), "affinity", reading),
            volumes: list(pod.volumes.as_ref(), "volumes", reading),
            volume_mounts: list(pod.volume_mounts.as_ref(), "volume_mounts", reading),
            security_context: fields(pod.security_context.as_ref(), "security_context", reading),
            container_security_context: fields(
                pod.container_security_context.as_ref(),
                "container_security_context",
                reading,
            ),
            init_containers: list(pod.init_containers.as_ref(), "init_containers", reading),
            sidecars: list(pod.sidecars.as_ref(), "sidecars", reading),
            patch: pod.patch.as_ref().map(|it| patch::read(it, reading)).unwrap_or_default(),
        }
    }
}

fn list<T: for<'de> Deserialize<'de> + Serialize>(
    list: Option<&ListValue>,
    name: &'static str,
    reading: &Reading,
) -> Vec<T> {
    let path = Path::of(name);
    let values = list.into_iter().flat_map(|list| &list.values).enumerate();
    let read = |(at, value)| strict::read(&json::from_value(value), path.index(at), reading);
    values.filter_map(read).collect()
}

fn fields<T: for<'de> Deserialize<'de> + Serialize>(
    fields: Option<&Struct>,
    name: &'static str,
    reading: &Reading,
) -> Option<T> {
    strict::read(&json_of(fields?), Path::of(name), reading)
}
