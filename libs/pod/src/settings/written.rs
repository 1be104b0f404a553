//! Settings as they are written in a pipeline's file.

use prost_types::Duration;
use serde_json::{Map, Value as Json, json};
use windlass_proto::{json, v1};

use super::{
    json_of,
    texts::{Setting, settings},
};

/// Settings as a map with the keys of a pipeline's file, which comes to the same settings there. What is not set is left out.
pub fn written(pod: &v1::Pod) -> Map<String, Json> {
    let mut written = Map::new();
    for (name, setting) in settings(pod) {
        let Some(value) = value(setting) else { continue };
        match name.split_once('.') {
            Some((outer, inner)) => {
                let outer = written.entry(outer).or_insert_with(|| Json::Object(Map::new()));
                if let Json::Object(fields) = outer {
                    fields.insert(inner.to_owned(), value);
                }
            }
            None => {
                written.insert(name.to_owned(), value);
            }
        }
    }
    for (name, is_set) in [("host_ipc", pod.host_ipc), ("privileged", pod.privileged)] {
        if is_set {
            written.insert(name.to_owned(), json!(true));
        }
    }
    if let Some(deadline) = &pod.active_deadline {
        written.insert("active_deadline".to_owned(), json!(length(deadline)));
    }
    // An empty list of reasons is not the same as none.
    if let Some(reasons) = &pod.fatal_waiting_reasons {
        written.insert("fatal_waiting_reasons".to_owned(), json!(reasons.reasons));
    }
    written
}

/// None for what is empty and so not set.
fn value(setting: Setting<'_>) -> Option<Json> {
    match setting {
        Setting::Text(text) => Some(json!(text)),
        Setting::Texts(texts) => (!texts.is_empty()).then(|| json!(texts)),
        Setting::Map(map) => (!map.is_empty()).then(|| json!(map)),
        Setting::List(list) => {
            (!list.values.is_empty()).then(|| list.values.iter().map(json::from_value).collect())
        }
        Setting::Fields(fields) => Some(json_of(fields)),
    }
}

fn length(duration: &Duration) -> String {
    match duration.nanos / 1_000_000 {
        0 => format!("{}s", duration.seconds),
        ms => format!("{}s {ms}ms", duration.seconds),
    }
}
