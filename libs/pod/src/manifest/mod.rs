//! From an attempt to the pod that it is. Pure: the same attempt has the same pod, whichever launcher makes it.

mod container;
mod identity;
mod name;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::core::v1::{Container, LocalObjectReference, Pod, PodSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use windlass_proto::v1;

pub use identity::label_value;
pub use name::{is_name_of, name};

use crate::settings::{ALWAYS, Parts, Problems, STEP_IMAGE, parts};

/// An attempt, with values in place of references, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The installation of Windlass.
    pub installation: &'a str,
    /// The namespace of the run in Windlass.
    pub namespace: &'a str,
    /// The run's id.
    pub run: &'a str,
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The step's path.
    pub step: &'a str,
    /// The step's index in its run.
    pub step_index: u32,
    /// From 1.
    pub attempt: u32,
    /// By which launchers divide the watching of pods.
    pub shard: u32,
    /// The image of the step; empty where none was given.
    pub image: &'a str,
    /// The program and its arguments; empty for the image's own program.
    pub command: &'a [String],
    /// Arguments of the image's own program; empty for those of the image.
    pub args: &'a [String],
    /// Added to the environment.
    pub env: &'a BTreeMap<String, String>,
    /// Variables that have what a secret has.
    pub secrets: &'a BTreeMap<String, v1::SecretKey>,
    /// Where the program starts, if not where the image says.
    pub working_dir: Option<&'a str>,
    /// The most memory of the program's container.
    pub memory_bytes: Option<u64>,
    /// Between TERM and KILL; rounded up to whole seconds.
    pub termination_grace: Duration,
    /// Names of the outputs that it must write.
    pub outputs: &'a [String],
    /// Under which key its result is kept; none where it is not.
    pub cache_key: Option<[u8; 32]>,
    /// What the step asks of its pod.
    pub settings: &'a v1::Pod,
}

/// Why there is no pod of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The step has no image.
    #[error("the step has no image, and runs in a pod; set `image` of the step, or of `defaults`")]
    NoImage,
    /// The image is none now that references in it have values.
    #[error("{0}")]
    Image(String),
    /// The settings are unlawful now that references in them have values.
    #[error("{0}; correct the values that these are made of")]
    Settings(Problems),
}

/// The pod of an attempt. Without a namespace where the settings name none: then the cluster's is meant.
///
/// # Errors
///
/// What the attempt asks for cannot be asked of Kubernetes; it will not do better when it is tried again.
pub fn pod(request: &Request<'_>) -> Result<Pod, ManifestError> {
    if request.image.is_empty() {
        return Err(ManifestError::NoImage);
    }
    if let Some(wrong) = crate::settings::wrong_image(request.image) {
        return Err(ManifestError::Image(wrong));
    }
    let parts = parts(request.settings).map_err(ManifestError::Settings)?;
    let settings = request.settings;
    let readable = match settings.name_prefix.as_str() {
        "" => request.step,
        prefix => prefix,
    };
    let Request { installation, run, step_index, attempt, .. } = *request;
    Ok(Pod {
        metadata: ObjectMeta {
            name: Some(name(installation, run, step_index, attempt, readable)),
            namespace: given(&settings.namespace),
            labels: Some(identity::labels(request)),
            annotations: Some(identity::annotations(request)),
            ..ObjectMeta::default()
        },
        spec: Some(spec(request, parts)),
        status: None,
    })
}

fn spec(request: &Request<'_>, mut parts: Parts) -> PodSpec {
    let settings = request.settings;
    let pull_secrets = settings.image_pull_secrets.iter();
    let deadline = settings.active_deadline.and_then(|it| Duration::try_from(it).ok());
    let main = container::main(request, &mut parts);
    PodSpec {
        active_deadline_seconds: deadline.map(|it| whole_seconds(it).max(1)),
        affinity: parts.affinity,
        containers: vec![main],
        host_ipc: settings.host_ipc.then_some(true),
        image_pull_secrets: some(
            pull_secrets.map(|name| LocalObjectReference { name: name.clone() }).collect(),
        ),
        init_containers: some(beside(request.image, parts.init_containers, parts.sidecars)),
        node_selector: (!settings.node_selector.is_empty()).then(|| settings.node_selector.clone()),
        priority_class_name: given(&settings.priority_class),
        restart_policy: Some("Never".to_owned()),
        runtime_class_name: given(&settings.runtime_class),
        scheduler_name: given(&settings.scheduler_name),
        security_context: parts.security_context,
        service_account_name: given(&settings.service_account),
        termination_grace_period_seconds: Some(whole_seconds(request.termination_grace)),
        tolerations: some(parts.tolerations),
        volumes: some(parts.volumes),
        // It has none of the fields above.
        ..parts.patch
    }
}

/// The containers beside the step's own. Those that run to their end come first, then those that go on.
fn beside(image: &str, init: Vec<Container>, sidecars: Vec<Container>) -> Vec<Container> {
    let sidecars =
        sidecars.into_iter().map(|it| Container { restart_policy: Some(ALWAYS.to_owned()), ..it });
    let mut all: Vec<_> = init.into_iter().chain(sidecars).collect();
    for container in &mut all {
        if container.image.as_deref() == Some(STEP_IMAGE) {
            container.image = Some(image.to_owned());
        }
    }
    all
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn whole_seconds(duration: Duration) -> i64 {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
