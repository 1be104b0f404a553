//! Steps that wait for the launchers of clusters of which none has been heard of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use windlass_engine::{
    record::{StepIndex, StepRecord, StepState},
    run::{Obstacle, Run},
};
use windlass_proto::{cluster, v1};
use windlass_service::error::ApiError;

use crate::Submitter;

/// The cluster whose launchers a step waits for, as far as the engine knows; none where it waits for something else.
pub(super) fn awaited(run: &Run, step: StepIndex, obstacles: &[Obstacle]) -> Option<Arc<str>> {
    let StepRecord { state, .. } = run.step(step);
    let waits = matches!(state, StepState::Ready | StepState::Queued)
        && obstacles.iter().any(|it| matches!(it, Obstacle::Room | Obstacle::Launcher(_)));
    waits.then(|| run.graph().clusters()[run.cluster(step).at()].clone())
}

impl Submitter {
    /// Of these steps and the clusters that they wait for, those of clusters that no launcher serves.
    pub(super) async fn unserved(
        &self,
        mut awaited: BTreeMap<StepIndex, Arc<str>>,
    ) -> Result<BTreeMap<StepIndex, Arc<str>>, ApiError> {
        let mut unserved = BTreeSet::new();
        for name in awaited.values().collect::<BTreeSet<_>>() {
            if self.store.read_members(&cluster::group(name)).await?.is_empty() {
                unserved.insert(name.clone());
            }
        }
        awaited.retain(|_, name| unserved.contains(name));
        Ok(awaited)
    }
}

/// The same obstacle, where no launcher of the cluster has been heard of.
pub(super) fn told(cluster: &str, obstacle: v1::Obstacle) -> v1::Obstacle {
    let message = format!(
        "it waits for a launcher of cluster `{cluster}`, and none has been heard of; start one with `launcher.cluster` = \
         `{cluster}`, or see whether those that run reach the store"
    );
    v1::Obstacle { message, ..obstacle }
}
