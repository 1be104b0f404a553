//! Removes pods whose end is safe: those of a run that is over with one request for many, others one by one.
//!
//! **Invariant:** no pod is removed while a create of it may still be under way. A request that removes many removes all of a run
//! that have ended, and is sent when each of them may go.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use futures::{StreamExt as _, stream};
use tokio::time::sleep;
use tracing::warn;
use windlass_proto::id::RunId;

use super::{NEVER_AFTER, Shared, api::Found};
use crate::runtime::AttemptKey;

/// How many pods of runs that are not over are removed at once.
const AT_ONCE: usize = 16;

impl Shared {
    /// Removes pods that have been kept for long enough; those of a run that is over when all of them have.
    pub(super) async fn discard(
        self: &Arc<Self>,
        attempts: Vec<AttemptKey>,
        ended_runs: &BTreeSet<RunId>,
    ) {
        let places = self.state().pods.places(attempts);
        for ((run, namespace), found) in places {
            let (ended, mut one_by_one): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|it| it.has_ended);
            let is_over = ended_runs.contains(&run);
            if is_over && ended.len() == self.state().pods.count_in(run, &namespace) {
                self.remove_ended(run, &namespace).await;
            } else if !is_over || !self.retention().is_one_for_all() {
                one_by_one.extend(ended);
            }
            self.delete_all(one_by_one).await;
        }
    }

    /// Removes the pods of a run that is gone from the store. Those that have not ended stay: nobody has decided that.
    pub(super) async fn remove_run(self: &Arc<Self>, run: RunId) {
        let (namespaces, are_old) = {
            let state = self.state();
            (state.pods.namespaces_of(run), state.pods.have_ended_long_ago(run, Instant::now()))
        };
        for namespace in namespaces {
            if are_old {
                self.remove_ended(run, &namespace).await;
            } else {
                let shared = self.clone();
                self.spawn(async move {
                    sleep(NEVER_AFTER).await;
                    shared.remove_ended(run, &namespace).await;
                });
            }
        }
    }

    async fn remove_ended(&self, run: RunId, namespace: &str) {
        let held = self.held.borrow().clone();
        if let Err(error) = self.api.remove_ended(namespace, run, &held).await {
            warn!(%run, namespace, %error, "pods that have ended stay for now");
        }
    }

    async fn delete_all(self: &Arc<Self>, found: Vec<Found>) {
        let removals = found.into_iter().map(|found| {
            let shared = self.clone();
            async move { shared.delete(&found).await }
        });
        stream::iter(removals).buffer_unordered(AT_ONCE).collect::<()>().await;
    }
}
