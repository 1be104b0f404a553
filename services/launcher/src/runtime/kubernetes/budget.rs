//! How much may be asked of a cluster. It may change while a launcher runs, and what has changed counts at once.
//!
//! What was begun within an earlier budget goes on: pods that live are not removed, and requests that were sent are answered.
//! What has not been sent yet is looked at again.

use std::{collections::BTreeSet, num::NonZeroUsize, time::Duration};

use windlass_cluster::ClusterConfig;

use super::{KubernetesRuntime, Shared, capacity::Limits, pods::Retention};

/// How much may be asked of a cluster, of all its launchers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Whether pods are created.
    pub launching: bool,
    /// The most pods that live at once.
    pub live_pods: u32,
    /// The most of one namespace.
    pub live_pods_per_namespace: Option<u32>,
    /// The most requests that create pods and are under way at once.
    pub requests_in_flight: u32,
    /// The least time between two creates.
    pub create_gap: Option<Duration>,
    /// How long pods that have succeeded are kept, and how many.
    pub keep_succeeded: (Duration, Option<u32>),
    /// How long pods that have failed are kept, and how many.
    pub keep_failed: (Duration, Option<u32>),
}

impl From<&ClusterConfig> for Budget {
    fn from(cluster: &ClusterConfig) -> Self {
        let most = |number: NonZeroUsize| u32::try_from(number.get()).unwrap_or(u32::MAX);
        let rate = cluster.creates_per_second.map(|rate| Duration::from_secs(1) / rate.get());
        Self {
            launching: cluster.launching,
            live_pods: most(cluster.live_pods),
            live_pods_per_namespace: cluster.live_pods_per_namespace.map(most),
            requests_in_flight: most(cluster.in_flight_requests),
            create_gap: rate.max(cluster.start_gap),
            keep_succeeded: (cluster.keep_succeeded, cluster.keep_succeeded_count),
            keep_failed: (cluster.keep_failed, cluster.keep_failed_count),
        }
    }
}

impl KubernetesRuntime {
    /// Has another budget count from now on: when this returns, nothing is begun any more that the new one does not allow. At most
    /// the requests that create pods and are under way are still answered.
    pub fn set_budget(&self, budget: Budget) {
        let shared = &self.shared;
        shared.budget.send_replace(budget);
        let state = shared.state();
        shared.room_changed(&state);
        // All who wait look again, for room that there is now and for places that they have to give up.
        shared.freed.notify_waiters();
        shared.turn.notify_waiters();
        shared.turn.notify_one();
    }
}

impl Shared {
    /// What may be asked now.
    pub(super) fn budget(&self) -> Budget {
        *self.budget.borrow()
    }

    /// How many pods may live now. None, where none are created.
    pub(super) fn limits(&self) -> Limits {
        let budget = self.budget();
        Limits {
            pods: if budget.launching { budget.live_pods } else { 0 },
            pods_per_namespace: budget.live_pods_per_namespace,
            shards: self.config.shards,
        }
    }

    pub(super) fn retention(&self) -> Retention {
        let Budget { keep_succeeded: succeeded, keep_failed: failed, .. } = self.budget();
        Retention { succeeded, failed }
    }

    /// The least time between two creates of who holds so many shards: who has half of them creates half as often.
    pub(super) fn create_gap(&self, held: &BTreeSet<u32>) -> Option<Duration> {
        let held = u32::try_from(held.len()).unwrap_or(u32::MAX).max(1);
        Some(self.budget().create_gap?.saturating_mul(self.config.shards) / held)
    }
}
