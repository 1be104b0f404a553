//! The texts of settings that may hold references, and settings with values in their place.

use std::collections::BTreeMap;

use prost_types::{ListValue, Struct, Value, value::Kind};
use windlass_proto::v1;

use super::problem::Path;

/// One of the settings, by what may lie in it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Setting<'a> {
    Text(&'a str),
    Texts(&'a [String]),
    Map(&'a BTreeMap<String, String>),
    /// Kubernetes' own.
    List(&'a ListValue),
    /// Kubernetes' own.
    Fields(&'a Struct),
}

/// All that have texts in them, with the names of their fields. Those that are not set are left out where that can be told.
pub(super) fn settings(pod: &v1::Pod) -> impl Iterator<Item = (&'static str, Setting<'_>)> {
    // Whoever adds a field has to say here what lies in it.
    let v1::Pod {
        name_prefix,
        namespace,
        image_pull_policy,
        labels,
        annotations,
        node_selector,
        service_account,
        image_pull_secrets,
        scheduler_name,
        priority_class,
        runtime_class,
        host_ipc: _,
        privileged: _,
        active_deadline: _,
        queue,
        fatal_waiting_reasons,
        env_from,
        resources,
        tolerations,
        affinity,
        volumes,
        volume_mounts,
        security_context,
        container_security_context,
        init_containers,
        sidecars,
        patch,
    } = pod;
    let texts = [
        ("name_prefix", name_prefix),
        ("namespace", namespace),
        ("image_pull_policy", image_pull_policy),
        ("service_account", service_account),
        ("scheduler_name", scheduler_name),
        ("priority_class", priority_class),
        ("runtime_class", runtime_class),
        ("queue", queue),
    ];
    let reasons = fatal_waiting_reasons.as_ref().map(|it| it.reasons.as_slice());
    let [requests, limits] = match resources {
        Some(resources) => [Some(&resources.requests), Some(&resources.limits)],
        None => [None, None],
    };
    let maps = [
        ("labels", Some(labels)),
        ("annotations", Some(annotations)),
        ("node_selector", Some(node_selector)),
        ("resources.requests", requests),
        ("resources.limits", limits),
    ];
    let lists = [
        ("env_from", env_from),
        ("tolerations", tolerations),
        ("volumes", volumes),
        ("volume_mounts", volume_mounts),
        ("init_containers", init_containers),
        ("sidecars", sidecars),
    ];
    let fields = [
        ("affinity", affinity),
        ("security_context", security_context),
        ("container_security_context", container_security_context),
        ("patch", patch),
    ];
    let secrets = [("image_pull_secrets", Setting::Texts(image_pull_secrets))];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let texts = texts.map(|(name, text)| (name, Setting::Text(text)));
    let reasons = reasons.map(|reasons| ("fatal_waiting_reasons", Setting::Texts(reasons)));
    let maps = maps.into_iter().filter_map(|(name, map)| Some((name, Setting::Map(map?))));
    let lists =
        lists.into_iter().filter_map(|(name, list)| Some((name, Setting::List(list.as_ref()?))));
    let fields = fields
        .into_iter()
        .filter_map(|(name, fields)| Some((name, Setting::Fields(fields.as_ref()?))));
    texts.chain(secrets).chain(reasons).chain(maps).chain(lists).chain(fields)
}

/// Shows every text that may hold references, with its place. Keys are none of them.
pub fn each_text<'a>(pod: &'a v1::Pod, show: &mut dyn FnMut(Path<'_>, &'a str)) {
    for (name, setting) in settings(pod) {
        let path = Path::of(name);
        match setting {
            Setting::Text(text) => show(path, text),
            Setting::Texts(texts) => {
                for (at, text) in texts.iter().enumerate() {
                    show(path.index(at), text);
                }
            }
            Setting::Map(map) => {
                for (key, text) in map {
                    show(path.key(key), text);
                }
            }
            Setting::List(list) => each_of_list(list, path, show),
            Setting::Fields(fields) => each_of_fields(fields, path, show),
        }
    }
}

fn each_of_list<'a>(list: &'a ListValue, path: Path<'_>, show: &mut dyn FnMut(Path<'_>, &'a str)) {
    for (at, value) in list.values.iter().enumerate() {
        each_of_value(value, path.index(at), show);
    }
}

fn each_of_fields<'a>(fields: &'a Struct, path: Path<'_>, show: &mut dyn FnMut(Path<'_>, &'a str)) {
    for (name, value) in &fields.fields {
        each_of_value(value, path.field(name), show);
    }
}

fn each_of_value<'a>(value: &'a Value, path: Path<'_>, show: &mut dyn FnMut(Path<'_>, &'a str)) {
    match &value.kind {
        Some(Kind::StringValue(text)) => show(path, text),
        Some(Kind::ListValue(list)) => each_of_list(list, path, show),
        Some(Kind::StructValue(fields)) => each_of_fields(fields, path, show),
        Some(Kind::NullValue(_) | Kind::NumberValue(_) | Kind::BoolValue(_)) | None => {}
    }
}

/// Settings with each text replaced by what `render` makes of it.
///
/// # Errors
///
/// The first that `render` has.
pub fn rendered<E>(
    pod: &v1::Pod,
    render: &mut dyn FnMut(&str) -> Result<String, E>,
) -> Result<v1::Pod, E> {
    let reasons = pod.fatal_waiting_reasons.as_ref();
    let resources = pod.resources.as_ref();
    Ok(v1::Pod {
        name_prefix: render(&pod.name_prefix)?,
        namespace: render(&pod.namespace)?,
        image_pull_policy: render(&pod.image_pull_policy)?,
        labels: map(&pod.labels, render)?,
        annotations: map(&pod.annotations, render)?,
        node_selector: map(&pod.node_selector, render)?,
        service_account: render(&pod.service_account)?,
        image_pull_secrets: texts(&pod.image_pull_secrets, render)?,
        scheduler_name: render(&pod.scheduler_name)?,
        priority_class: render(&pod.priority_class)?,
        runtime_class: render(&pod.runtime_class)?,
        host_ipc: pod.host_ipc,
        privileged: pod.privileged,
        active_deadline: pod.active_deadline,
        queue: render(&pod.queue)?,
        fatal_waiting_reasons: reasons
            .map(|it| Ok(v1::WaitingReasons { reasons: texts(&it.reasons, render)? }))
            .transpose()?,
        env_from: list(pod.env_from.as_ref(), render)?,
        resources: resources
            .map(|it| {
                let requests = map(&it.requests, render)?;
                Ok(v1::PodResources { requests, limits: map(&it.limits, render)? })
            })
            .transpose()?,
        tolerations: list(pod.tolerations.as_ref(), render)?,
        affinity: fields(pod.affinity.as_ref(), render)?,
        volumes: list(pod.volumes.as_ref(), render)?,
        volume_mounts: list(pod.volume_mounts.as_ref(), render)?,
        security_context: fields(pod.security_context.as_ref(), render)?,
        container_security_context: fields(pod.container_security_context.as_ref(), render)?,
        init_containers: list(pod.init_containers.as_ref(), render)?,
        sidecars: list(pod.sidecars.as_ref(), render)?,
        patch: fields(pod.patch.as_ref(), render)?,
    })
}

type Render<'r, E> = &'r mut dyn FnMut(&str) -> Result<String, E>;

fn texts<E>(texts: &[String], render: Render<'_, E>) -> Result<Vec<String>, E> {
    texts.iter().map(|text| render(text)).collect()
}

fn map<E>(
    map: &BTreeMap<String, String>,
    render: Render<'_, E>,
) -> Result<BTreeMap<String, String>, E> {
    map.iter().map(|(key, text)| Ok((key.clone(), render(text)?))).collect()
}

fn list<E>(list: Option<&ListValue>, render: Render<'_, E>) -> Result<Option<ListValue>, E> {
    let values = |list: &ListValue| list.values.iter().map(|it| value(it, render)).collect();
    list.map(values).transpose().map(|values| values.map(|values| ListValue { values }))
}

fn fields<E>(fields: Option<&Struct>, render: Render<'_, E>) -> Result<Option<Struct>, E> {
    let Some(given) = fields else { return Ok(None) };
    let entries = given.fields.iter();
    let fields = entries.map(|(name, it)| Ok((name.clone(), value(it, render)?)));
    Ok(Some(Struct { fields: fields.collect::<Result<_, E>>()? }))
}

fn value<E>(given: &Value, render: Render<'_, E>) -> Result<Value, E> {
    let kind = match &given.kind {
        Some(Kind::StringValue(text)) => Some(Kind::StringValue(render(text)?)),
        Some(Kind::ListValue(it)) => list(Some(it), render)?.map(Kind::ListValue),
        Some(Kind::StructValue(it)) => fields(Some(it), render)?.map(Kind::StructValue),
        other => other.clone(),
    };
    Ok(Value { kind })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::settings::samples;

    /// All texts are rendered, and none but those that are shown: the two lists cannot drift apart.
    #[test]
    fn what_is_rendered_is_what_is_shown() {
        let pod = samples::whole();
        let (mut shown, mut rendered_texts) = (Vec::new(), Vec::new());
        each_text(&pod, &mut |_, text| shown.push(text.to_owned()));
        let same = rendered::<Infallible>(&pod, &mut |text| {
            rendered_texts.push(text.to_owned());
            Ok(text.to_owned())
        });
        assert_eq!(same, Ok(pod));
        shown.sort();
        rendered_texts.sort();
        rendered_texts.retain(|text| !text.is_empty());
        assert_eq!(shown, rendered_texts);
        assert!(shown.len() > 40, "{shown:?}");
    }

    #[test]
    fn a_text_is_shown_with_its_place() {
        let pod = samples::whole();
        let mut places = Vec::new();
        each_text(&pod, &mut |path, _| places.push(path.to_string()));
        for place in [
            "queue",
            "labels[team]",
            "resources.requests[cpu]",
            "volumes[0].hostPath.path",
            "fatal_waiting_reasons[0]",
            "patch.dnsConfig.nameservers[0]",
        ] {
            assert!(places.iter().any(|it| it == place), "{place} {places:?}");
        }
    }
}
