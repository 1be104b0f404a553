//! The container that runs the step's program.

use std::{collections::BTreeMap, mem};

use k8s_openapi::{
    api::core::v1::{
        Container, EnvVar, EnvVarSource, ResourceRequirements, SecretKeySelector, SecurityContext,
    },
    apimachinery::pkg::api::resource::Quantity,
};
use windlass_proto::v1;

use super::{Request, given, some};
use crate::{label::MAIN_CONTAINER, settings::Parts};

/// Where a step writes its outputs: Kubernetes keeps the file's beginning with what it says of the container.
const OUTPUT_FILE: &str = "/dev/termination-log";

/// The resource that the step's own limit is of.
const MEMORY: &str = "memory";

/// The container, with what the settings have for it.
pub(super) fn main(request: &Request<'_>, parts: &mut Parts) -> Container {
    let settings = request.settings;
    Container {
        name: MAIN_CONTAINER.to_owned(),
        image: Some(request.image.to_owned()),
        image_pull_policy: given(&settings.image_pull_policy),
        command: some(request.command.iter().map(|word| escaped(word)).collect()),
        args: some(request.args.iter().map(|word| escaped(word)).collect()),
        env: Some(env(request)),
        env_from: some(mem::take(&mut parts.env_from)),
        working_dir: request.working_dir.map(str::to_owned),
        resources: resources(request),
        volume_mounts: some(mem::take(&mut parts.volume_mounts)),
        security_context: security_context(settings, parts.container_security_context.take()),
        ..Container::default()
    }
}

/// A text such that Kubernetes takes it as it is: in commands, arguments and variables, `$(NAME)` would be another variable's value,
/// and `$$` one `$`.
fn escaped(text: &str) -> String {
    text.replace('$', "$$")
}

fn env(request: &Request<'_>) -> Vec<EnvVar> {
    let text = |name: &str, value: &str| EnvVar {
        name: name.to_owned(),
        value: Some(escaped(value)),
        value_from: None,
    };
    let attempt = request.attempt.to_string();
    let own = [
        ("WINDLASS_OUTPUT", OUTPUT_FILE),
        ("WINDLASS_RUN_ID", request.run),
        ("WINDLASS_STEP", request.step),
        ("WINDLASS_ATTEMPT", &attempt),
    ];
    let texts = request.env.iter().map(|(name, value)| text(name, value));
    let secrets = request.secrets.iter().map(|(name, secret)| from_secret(name, secret));
    let own = own.into_iter().map(|(name, value)| text(name, value));
    texts.chain(secrets).chain(own).collect()
}

fn from_secret(name: &str, secret: &v1::SecretKey) -> EnvVar {
    let key = SecretKeySelector {
        name: secret.name.clone(),
        key: secret.key.clone(),
        optional: secret.optional.then_some(true),
    };
    let value_from = Some(EnvVarSource { secret_key_ref: Some(key), ..EnvVarSource::default() });
    EnvVar { name: name.to_owned(), value: None, value_from }
}

fn resources(request: &Request<'_>) -> Option<ResourceRequirements> {
    let given = request.settings.resources.as_ref();
    let amounts = |given: Option<&BTreeMap<String, String>>| {
        let given = given.into_iter().flatten();
        let mut amounts: BTreeMap<_, _> =
            given.map(|(name, amount)| (name.clone(), Quantity(amount.clone()))).collect();
        // As much is set aside as may be used, so that it is there when it is needed.
        amounts
            .extend(request.memory_bytes.map(|it| (MEMORY.to_owned(), Quantity(it.to_string()))));
        (!amounts.is_empty()).then_some(amounts)
    };
    let requests = amounts(given.map(|it| &it.requests));
    let limits = amounts(given.map(|it| &it.limits));
    let is_given = requests.is_some() || limits.is_some();
    is_given.then_some(ResourceRequirements { requests, limits, claims: None })
}

fn security_context(
    settings: &v1::Pod,
    context: Option<SecurityContext>,
) -> Option<SecurityContext> {
    if !settings.privileged {
        return context;
    }
    Some(SecurityContext { privileged: Some(true), ..context.unwrap_or_default() })
}
