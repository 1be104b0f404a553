//! What differs between two readings of a cluster's section.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;

use super::ClusterConfig;

/// The keys that say how a cluster is reached and where its pods are: a program that has begun there keeps to what they said.
const REACH: [&str; 4] = ["kubeconfig", "context", "namespace", "other_namespaces"];

/// A key that has another value than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key, without its section.
    pub key: String,
    /// Its value before, as the file would have it; `none` where it had none.
    pub from: String,
    /// Its value now.
    pub to: String,
}

impl Change {
    /// Whether programs that have begun to use the cluster go on as before, and have to be started again.
    pub fn takes_restart(&self) -> bool {
        REACH.contains(&self.key.as_str())
    }
}

/// `live_pods from 5000 to 200`
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, from, to } = self;
        write!(f, "{key} from {from} to {to}")
    }
}

impl ClusterConfig {
    /// The keys that have another value in `now`, by name. Defaults count as written.
    pub fn changes(&self, now: &Self) -> Vec<Change> {
        let (before, now) = (values(self), values(now));
        let changed = before.into_iter().filter_map(|(key, from)| {
            let to = now.get(&key)?;
            (from != *to).then(|| Change { from: shown(&from), to: shown(to), key })
        });
        changed.collect()
    }
}

/// All keys with their values; none where a path is no text, which none is that stands in a file.
fn values(cluster: &ClusterConfig) -> BTreeMap<String, Value> {
    match serde_json::to_value(cluster) {
        Ok(Value::Object(values)) => values.into_iter().collect(),
        Ok(_) | Err(_) => BTreeMap::new(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        value => value.to_string(),
    }
}
