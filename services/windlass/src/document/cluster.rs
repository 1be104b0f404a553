//! Kubernetes clusters.

use serde::Serialize;
use windlass_cluster::{Done, Finding, Outcome, Report, Verdict};

/// Of `cluster check`.
#[derive(Debug, Serialize)]
pub(crate) struct CheckClusterResult {
    cluster: String,
    /// Where its API server is.
    server: String,
    /// Where pods are created.
    namespace: String,
    /// Whether nothing is missing.
    complete: bool,
    findings: Vec<FindingDocument>,
}

#[derive(Debug, Serialize)]
struct FindingDocument {
    /// `version`, `namespace`, `service_account`, `right` or `admission`.
    kind: &'static str,
    /// Null where there is one of the kind.
    name: Option<String>,
    /// `present`, `missing` or `unknown`.
    state: &'static str,
    /// What to do, or why it is not known.
    message: Option<String>,
}

/// Of `cluster prepare`.
#[derive(Debug, Serialize)]
pub(crate) struct PrepareClusterResult {
    cluster: String,
    objects: Vec<ObjectDocument>,
}

#[derive(Debug, Serialize)]
struct ObjectDocument {
    kind: String,
    /// With the namespace where it has one: `jobs/windlass`.
    name: String,
    /// `created`, `changed` or `unchanged`.
    outcome: &'static str,
}

/// Of `cluster prepare --dry-run`.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterManifestsResult {
    pub(crate) cluster: String,
    pub(crate) yaml: String,
}

impl From<&Report> for CheckClusterResult {
    fn from(report: &Report) -> Self {
        Self {
            cluster: report.cluster.clone(),
            server: report.server.clone(),
            namespace: report.namespace.clone(),
            complete: report.is_complete(),
            findings: report.findings.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Finding> for FindingDocument {
    fn from(Finding { item, verdict }: &Finding) -> Self {
        let (state, message) = match verdict {
            Verdict::Present => ("present", None),
            Verdict::Missing(advice) => ("missing", Some(advice.clone())),
            Verdict::Unknown(why) => ("unknown", Some(why.clone())),
        };
        Self { kind: item.kind(), name: item.name(), state, message }
    }
}

impl PrepareClusterResult {
    pub(crate) fn new(cluster: String, done: &[Done]) -> Self {
        let objects = done.iter().map(|Done { kind, name, outcome }| ObjectDocument {
            kind: kind.clone(),
            name: name.clone(),
            outcome: match outcome {
                Outcome::Created => "created",
                Outcome::Changed => "changed",
                Outcome::Unchanged => "unchanged",
            },
        });
        Self { cluster, objects: objects.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn what_is_known_of_clusters_keeps_its_names() {
        let checked = CheckClusterResult::from(&samples::cluster_report());
        insta::assert_snapshot!("cluster_check", serde_json::to_string_pretty(&checked).unwrap());
        let prepared = PrepareClusterResult::new("gpu".to_owned(), &samples::prepared());
        insta::assert_snapshot!(
            "cluster_prepare",
            serde_json::to_string_pretty(&prepared).unwrap()
        );
    }
}
