//! Kubernetes clusters.

use serde::Serialize;
use windlass_cluster::{AttemptPod, Done, Finding, Outcome, Removed, Report, Verdict};

use super::text;
use crate::orphans::Orphans;

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
    /// Null where there is one of the kind in a namespace.
    name: Option<String>,
    /// Where it is needed, of rights and admission.
    namespace: Option<String>,
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

/// Of `cluster orphans`.
#[derive(Debug, Serialize)]
pub(crate) struct OrphansResult {
    cluster: String,
    /// Where its API server is.
    server: String,
    /// Where was looked.
    namespaces: Vec<String>,
    installation: String,
    orphans: Vec<OrphanDocument>,
    /// How many were removed; null where that was not asked for.
    removed: Option<usize>,
    /// How many were to be removed and had gone by then; null where that was not asked for.
    gone: Option<usize>,
}

#[derive(Debug, Serialize)]
struct OrphanDocument {
    pod: String,
    namespace: String,
    uid: String,
    run_id: String,
    /// Its path; null where somebody has removed it.
    step: Option<String>,
    /// `Pending`, `Running`, `Unknown`, `Succeeded` or `Failed`, as Kubernetes writes them.
    phase: &'static str,
    created_at: Option<String>,
    /// Whether it is left out where orphans are removed.
    too_young: bool,
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
        Self {
            kind: item.kind(),
            name: item.name(),
            namespace: item.namespace().map(str::to_owned),
            state,
            message,
        }
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

impl OrphansResult {
    pub(crate) fn new(orphans: &Orphans, removed: Option<Removed>) -> Self {
        let document = |pod: &AttemptPod| OrphanDocument {
            pod: pod.name.clone(),
            namespace: pod.namespace.clone(),
            uid: pod.uid.clone(),
            run_id: pod.run.to_string(),
            step: text(&pod.step),
            phase: pod.phase,
            created_at: pod.created_at.map(|time| time.to_string()),
            too_young: orphans.is_too_young(pod),
        };
        Self {
            cluster: orphans.cluster.clone(),
            server: orphans.server.clone(),
            namespaces: orphans.namespaces.clone(),
            installation: orphans.installation.clone(),
            orphans: orphans.pods.iter().map(document).collect(),
            removed: removed.map(|it| it.removed),
            gone: removed.map(|it| it.gone),
        }
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
        let removed = Removed { removed: 1, gone: 0 };
        let orphans = OrphansResult::new(&samples::orphans(), Some(removed));
        insta::assert_snapshot!("cluster_orphans", serde_json::to_string_pretty(&orphans).unwrap());
    }
}
