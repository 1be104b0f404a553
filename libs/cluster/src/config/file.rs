//! From the file's text to clusters.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize as _;
use toml::{Table, Value};
use windlass_pipeline::name::wrong_cluster_name;
use windlass_pod::{
    quote::{quote, shown},
    suggest::nearest,
};

use super::{ClusterConfig, Problem, is_label, overlap, value};

/// What all sections begin with: `[clusters.NAME]`.
const CLUSTERS: &str = "clusters";

/// The keys of a cluster.
static KEYS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let default = serde_json::to_value(ClusterConfig::default())
        .expect("a cluster is texts, numbers and nothing else");
    default.as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
});

/// All clusters of a file, or all that is wrong with it.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, ClusterConfig>, Vec<Problem>> {
    let table = text.parse::<Table>().map_err(|error| vec![not_toml(text, &error)])?;
    let mut problems = Vec::new();
    let mut clusters = BTreeMap::new();
    for (key, value) in table {
        match value {
            Value::Table(sections) if key == CLUSTERS => {
                for (name, section) in sections {
                    if let Some(cluster) = cluster(&name, section, &mut problems) {
                        clusters.insert(name, cluster);
                    }
                }
            }
            _ if key == CLUSTERS => problems.push(Problem::Clusters),
            _ => {
                let nearest = nearest(&key, [CLUSTERS]).map(str::to_owned);
                problems.push(Problem::UnknownKey { key, nearest });
            }
        }
    }
    if problems.is_empty() {
        problems.extend(overlap::of(&clusters));
    }
    if clusters.is_empty() && problems.is_empty() {
        problems.push(Problem::NoCluster);
    }
    if problems.is_empty() { Ok(clusters) } else { Err(problems) }
}

/// Where the text is no TOML, and why. The line is not repeated: it may be long, and hold anything.
fn not_toml(text: &str, error: &toml::de::Error) -> Problem {
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    let line = before.matches('\n').count() + 1;
    let message: Vec<_> = error.message().lines().map(|line| shown(line).to_string()).collect();
    Problem::Syntax { line, column, message: message.join("; ") }
}

/// A cluster; none where something is wrong with it.
fn cluster(name: &str, section: Value, problems: &mut Vec<Problem>) -> Option<ClusterConfig> {
    let before = problems.len();
    let section_name = format!("{CLUSTERS}.{name}");
    if let Some(problem) = wrong_cluster_name(name) {
        problems.push(Problem::Name { section: section_name.clone(), problem });
    }
    let Value::Table(section) = section else {
        problems.push(Problem::Section(section_name));
        return None;
    };
    // One key at a time, so that all that is wrong is told.
    for (key, value) in &section {
        let path = format!("{section_name}.{key}");
        if !KEYS.contains(key) {
            let nearest = nearest(key, KEYS.iter().map(String::as_str));
            let nearest = nearest.map(|nearest| format!("{section_name}.{nearest}"));
            problems.push(Problem::UnknownKey { key: path, nearest });
            continue;
        }
        let alone: Table = [(key.clone(), value.clone())].into_iter().collect();
        if ClusterConfig::deserialize(alone).is_err() {
            problems.push(Problem::Value { key: path, problem: value::wrong(key, value) });
        }
    }
    let others = section.get("other_namespaces").and_then(Value::as_array).into_iter().flatten();
    let named = section.get("namespace").map(|value| ("namespace", value));
    let all = named.into_iter().chain(others.map(|value| ("other_namespaces", value)));
    for (key, namespace) in all.filter_map(|(key, value)| Some((key, value.as_str()?))) {
        if !is_label(namespace) {
            let problem = format!("{} is no name of a namespace", quote(namespace));
            problems.push(Problem::Value { key: format!("{section_name}.{key}"), problem });
        }
    }
    if problems.len() > before {
        return None;
    }
    let cluster = ClusterConfig::deserialize(section).ok()?;
    Some(ClusterConfig { name: name.to_owned(), ..cluster })
}
