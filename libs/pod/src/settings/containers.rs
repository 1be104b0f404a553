//! Rules of the containers beside the step's own, and of the volumes that all of them see.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, VolumeMount};

use super::{
    Parts, Reading,
    problem::{Path, Rule},
};
use crate::{
    label::MAIN_CONTAINER,
    quote::quote,
    suggest::nearest,
    syntax::{DNS_LABEL, IMAGE},
};

/// How the image of the step is called in other containers.
pub(crate) const STEP_IMAGE: &str = "{{ image }}";

/// The restart policy that makes a container one that runs beside the others.
pub(crate) const ALWAYS: &str = "Always";

pub(super) fn check(parts: &Parts, reading: &Reading) {
    let volumes = volumes(parts, reading);
    mounts(&parts.volume_mounts, Path::of("volume_mounts"), &volumes, reading);
    let mut names = BTreeSet::from([MAIN_CONTAINER]);
    for (field, containers) in
        [("init_containers", &parts.init_containers), ("sidecars", &parts.sidecars)]
    {
        let path = Path::of(field);
        for (at, container) in containers.iter().enumerate() {
            let path = path.index(at);
            name(&container.name, path.field("name"), "container", &mut names, reading);
            image(container, path, reading);
            let container_mounts = container.volume_mounts.as_deref().unwrap_or_default();
            mounts(container_mounts, path.field("volumeMounts"), &volumes, reading);
            let restart_policy = container.restart_policy.as_deref();
            if field == "sidecars" && restart_policy.is_some_and(|policy| policy != ALWAYS) {
                let message = format_args!(
                    "a sidecar is restarted always; remove `restartPolicy`, or make it one of `init_containers`"
                );
                reading.report.add(path.field("restartPolicy"), Rule::Reserved, message);
            }
        }
    }
}

/// The names of the volumes.
fn volumes<'a>(parts: &'a Parts, reading: &Reading) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    let path = Path::of("volumes");
    for (at, volume) in parts.volumes.iter().enumerate() {
        let path = path.index(at);
        name(&volume.name, path.field("name"), "volume", &mut names, reading);
    }
    names
}

/// Checks a name among others of its kind.
fn name<'a>(
    name: &'a str,
    path: Path<'_>,
    what: &str,
    others: &mut BTreeSet<&'a str>,
    reading: &Reading,
) {
    reading.check(path, &DNS_LABEL, name);
    if !others.insert(name) && !reading.is_open(name) {
        let message = format_args!("there is another {what} {}; rename one", quote(name));
        reading.report.add(path, Rule::WrongName, message);
    }
}

fn image(container: &Container, path: Path<'_>, reading: &Reading) {
    match container.image.as_deref() {
        Some(STEP_IMAGE) => {}
        Some(image) => reading.check(path.field("image"), &IMAGE, image),
        None => {
            let message = format_args!(
                "the field `image` is missing; `{STEP_IMAGE}` is the image of the step"
            );
            reading.report.add(path, Rule::MissingField, message);
        }
    }
}

fn mounts(mounts: &[VolumeMount], path: Path<'_>, volumes: &BTreeSet<&str>, reading: &Reading) {
    // A volume whose name is not known yet may be the one that is meant.
    if volumes.iter().any(|name| reading.is_open(name)) {
        return;
    }
    for (at, mount) in mounts.iter().enumerate() {
        let name = mount.name.as_str();
        if name.is_empty() || reading.is_open(name) || volumes.contains(name) {
            continue;
        }
        let path = path.index(at);
        let is_told = !reading.report.is_full();
        let advice = match nearest(name, volumes.iter().copied().filter(|_| is_told)) {
            Some(meant) => format!("did you mean {}?", quote(meant)),
            None => "add it to `volumes` of `pod`".to_owned(),
        };
        let message = format_args!("there is no volume {}; {advice}", quote(name));
        reading.report.add(path.field("name"), Rule::WrongName, message);
    }
}
