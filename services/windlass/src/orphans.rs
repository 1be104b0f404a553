//! Pods in a cluster whose run nobody knows: what is known of them, and which of them may be removed. No I/O.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use windlass_cluster::AttemptPod;

/// How old a pod has to be to be removed. A run is in the store before it has a pod, so that none is taken for an orphan that has
/// just begun; this is for stores that have just lost something and for clocks that differ.
const OLD_ENOUGH: Duration = Duration::from_mins(2);

/// The orphans of an installation in a cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Orphans {
    /// The cluster's name.
    pub(crate) cluster: String,
    /// Where its API server is.
    pub(crate) server: String,
    /// Where was looked.
    pub(crate) namespaces: Vec<String>,
    pub(crate) installation: String,
    /// By run and step.
    pub(crate) pods: Vec<AttemptPod>,
    /// When they were listed.
    pub(crate) now: Timestamp,
}

impl Orphans {
    /// How old a pod is; none where that is not known, or it was created in the future.
    pub(crate) fn age(&self, pod: &AttemptPod) -> Option<Duration> {
        Duration::try_from(self.now.duration_since(pod.created_at?)).ok()
    }

    /// Whether a pod may not be removed yet.
    pub(crate) fn is_too_young(&self, pod: &AttemptPod) -> bool {
        self.age(pod).is_none_or(|age| age < OLD_ENOUGH)
    }

    /// Those that may be removed.
    pub(crate) fn removable(&self) -> Vec<AttemptPod> {
        self.pods.iter().filter(|pod| !self.is_too_young(pod)).cloned().collect()
    }

    /// How many may not.
    pub(crate) fn too_young(&self) -> usize {
        self.pods.iter().filter(|pod| self.is_too_young(pod)).count()
    }

    /// How many runs they are of.
    pub(crate) fn runs(&self) -> usize {
        self.pods.iter().map(|pod| pod.run).collect::<BTreeSet<_>>().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_pod_is_removed_only_when_it_is_known_to_be_old_enough() {
        let mut orphans = samples::orphans();
        let seconds_old = [-5, 0, 119, 120, 100_000];
        let pod = orphans.pods[0].clone();
        let created = seconds_old
            .map(|seconds| Some(orphans.now - jiff::SignedDuration::from_secs(seconds)))
            .into_iter()
            .chain([None]);
        orphans.pods = created.map(|created_at| AttemptPod { created_at, ..pod.clone() }).collect();
        let ages: Vec<_> = orphans.removable().iter().filter_map(|pod| orphans.age(pod)).collect();
        assert_eq!(ages, [120, 100_000].map(Duration::from_secs));
        assert_eq!((orphans.too_young(), orphans.runs()), (4, 1));
    }
}
