//! Steps that wait for their clusters: whether anybody serves these, and what the launchers there tell.

use std::{collections::BTreeMap, sync::Arc};

use windlass_engine::{
    record::{StepIndex, StepRecord, StepState},
    run::{Obstacle, Run},
};
use windlass_proto::{cluster, id::RunId, v1};
use windlass_service::error::ApiError;

use super::{wait_words, waits::Asked};
use crate::Submitter;

/// The cluster that a step waits for, as far as the engine knows; none where it waits for something else.
pub(super) fn awaited(run: &Run, step: StepIndex, obstacles: &[Obstacle]) -> Option<Arc<str>> {
    let StepRecord { state, .. } = run.step(step);
    let may_wait = matches!(state, StepState::Ready | StepState::Queued | StepState::Starting);
    let waits = may_wait && obstacles.iter().any(is_of_cluster);
    waits.then(|| run.graph().clusters()[run.cluster(step).at()].clone())
}

fn is_of_cluster(obstacle: &Obstacle) -> bool {
    matches!(obstacle, Obstacle::Room | Obstacle::Launcher(_) | Obstacle::Starting { .. })
}

/// What is known of the clusters that steps wait for.
#[derive(Debug)]
pub(super) struct Clusters {
    awaited: BTreeMap<StepIndex, Arc<str>>,
    asked: BTreeMap<Arc<str>, Asked>,
}

impl Submitter {
    /// Looks whether anybody serves the clusters that steps wait for, and asks those who do.
    pub(super) async fn clusters(
        &self,
        run: RunId,
        explained: &[(StepIndex, StepRecord, Vec<Obstacle>)],
        awaited: BTreeMap<StepIndex, Arc<str>>,
    ) -> Result<Clusters, ApiError> {
        let mut asked: BTreeMap<Arc<str>, Asked> = BTreeMap::new();
        for (step, record, _) in explained {
            let Some(name) = awaited.get(step) else { continue };
            if !asked.contains_key(name) {
                let launchers = self.store.read_members(&cluster::group(name)).await?.len();
                asked.insert(name.clone(), Asked::new(launchers));
            }
            if let Some(asked) = asked.get_mut(name) {
                asked.add((record.state != StepState::Ready).then_some((*step, record.attempt)));
            }
        }
        self.ask_launchers(run, &mut asked).await;
        Ok(Clusters { awaited, asked })
    }
}

impl Clusters {
    /// The same obstacle, with what is known of the step's cluster.
    pub(super) fn told(
        &self,
        (step, attempt): (StepIndex, u32),
        host: Option<&str>,
        obstacle: &Obstacle,
        told: v1::Obstacle,
    ) -> v1::Obstacle {
        let Some(cluster) = self.awaited.get(&step).filter(|_| is_of_cluster(obstacle)) else {
            return told;
        };
        let Some(asked) = self.asked.get(cluster) else { return told };
        let of_attempt = asked.known((step, attempt));
        let (wait, needs_launcher) = match obstacle {
            Obstacle::Starting { .. } => (of_attempt, false),
            Obstacle::Room => (asked.next(), true),
            // A host that has taken it says more.
            _ => (of_attempt.or_else(|| asked.next()), host.is_none()),
        };
        match wait {
            Some(wait) => wait_words::told(wait, told),
            None if needs_launcher && asked.is_unserved() => unserved(cluster, told),
            None if asked.is_unanswered() => wait_words::untold(cluster, told),
            None => told,
        }
    }
}

/// The same obstacle, where no launcher of the cluster has been heard of.
fn unserved(cluster: &str, obstacle: v1::Obstacle) -> v1::Obstacle {
    let message = format!(
        "it waits for a launcher of cluster `{cluster}`, and none has been heard of; start one with `launcher.cluster` = \
         `{cluster}`, or see whether those that run reach the store"
    );
    v1::Obstacle { message, ..obstacle }
}
