//! Removes pods whose end is safe: those of a run that is over with one request for many, others one by one.

use std::{collections::BTreeSet, sync::Arc};

use futures::{StreamExt as _, stream};
use tracing::warn;
use windlass_proto::id::RunId;

use super::Shared;
use crate::runtime::AttemptKey;

/// How many pods of runs that are not over are removed at once.
const AT_ONCE: usize = 16;

impl Shared {
    /// Removes pods that have ended. Of `ended_runs` all that have ended go, since all of them are over.
    pub(super) async fn discard(
        self: &Arc<Self>,
        attempts: Vec<AttemptKey>,
        ended_runs: &BTreeSet<RunId>,
    ) {
        let places = self.state().pods.places(attempts);
        let held = self.held.borrow().clone();
        for ((run, namespace), found) in places {
            let (ended, living): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| it.has_ended);
            let mut one_by_one = living;
            if ended_runs.contains(&run) && ended.len() > 1 {
                if let Err(error) = self.api.remove_ended(&namespace, run, &held).await {
                    warn!(%run, namespace, %error, "pods that have ended stay for now");
                }
            } else {
                one_by_one.extend(ended);
            }
            if !one_by_one.is_empty() {
                let removals = one_by_one.into_iter().map(|found| {
                    let shared = self.clone();
                    async move { shared.delete(&found).await }
                });
                stream::iter(removals).buffer_unordered(AT_ONCE).collect::<()>().await;
            }
        }
    }

    /// Removes the pods of a run that is gone from the store. Those that have not ended stay: nobody has decided that.
    pub(super) async fn remove_run(&self, run: RunId) {
        let held = self.held.borrow().clone();
        let namespaces = self.state().pods.namespaces_of(run);
        for namespace in namespaces {
            if let Err(error) = self.api.remove_ended(&namespace, run, &held).await {
                warn!(%run, namespace, %error, "pods of a removed run stay until somebody removes them");
            }
        }
    }
}
