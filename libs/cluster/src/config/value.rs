//! What values the keys of a cluster may have, in words for people.

use toml::Value;
use windlass_pod::quote::shown;

/// What is wrong with a value, and what to write instead.
pub(super) fn wrong(key: &str, value: &Value) -> String {
    let value = match value {
        Value::String(text) => format!("`\"{}\"`", shown(text)),
        Value::Integer(number) => format!("`{number}`"),
        Value::Float(number) => format!("`{number}`"),
        Value::Boolean(word) => format!("`{word}`"),
        Value::Datetime(_) => "a date".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a section".to_owned(),
    };
    format!("is {value}; write {}", lawful(key))
}

fn lawful(key: &str) -> &'static str {
    match key {
        "kubeconfig" => "the path of a file, as text",
        "other_namespaces" => "a list of texts, such as `[\"training\"]`",
        "launching" => "`true` or `false`",
        "live_pods" | "live_pods_per_namespace" | "in_flight_requests" => {
            "a whole number above 0, such as `200`"
        }
        "creates_per_second" => "a whole number above 0, such as `20`, and at most 4294967295",
        "keep_succeeded_count" | "keep_failed_count" => {
            "a whole number, 0 or above, and at most 4294967295"
        }
        "start_gap" | "keep_succeeded" | "keep_failed" => {
            "a duration such as `\"30s\"` or `\"5m\"`"
        }
        _ => "a text",
    }
}
