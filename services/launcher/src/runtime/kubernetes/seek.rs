//! Finds pods that a command speaks of, and sees to what was asked: several at a time, with one request for a run.
//!
//! What is not there may be about to be created, by a launcher that has asked the store before the command was given. So it is
//! looked for once more when every such create is over; what is not there then never will be.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future;
use tokio::{sync::mpsc, time::sleep};
use tracing::warn;
use windlass_engine::event::AttemptPhase;
use windlass_pod::observed::ObservedPod;
use windlass_proto::id::RunId;

use super::{
    NEVER_AFTER, Shared,
    api::{ApiError, Found},
    tell_once,
};
use crate::runtime::AttemptKey;

/// The most pods that are looked for at once.
const AT_ONCE: usize = 256;

/// How often a delete is tried. Who asked for it asks again.
const TRIES: u32 = 5;

/// How long to wait after the API server has not answered well.
const PAUSE: Duration = Duration::from_millis(500);

/// What is asked of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// That it ends.
    Stop,
    /// That it is told how far it is.
    Probe,
}

/// A pod that is looked for.
pub(super) type Sought = (AttemptKey, Purpose);

/// Looks for pods, until nobody asks any more.
pub(super) async fn run(shared: Arc<Shared>, mut seeking: mpsc::UnboundedReceiver<Sought>) {
    let mut sought = Vec::new();
    while seeking.recv_many(&mut sought, AT_ONCE).await > 0 {
        let missing = look(&shared, sought.drain(..)).await;
        if !missing.is_empty() {
            let again = shared.clone();
            shared.spawn(async move {
                sleep(NEVER_AFTER).await;
                for (key, _) in look(&again, missing.into_iter()).await {
                    again.end(key, AttemptPhase::NotCreated);
                }
            });
        }
    }
}

/// Sees to those that are there, and returns the others.
async fn look(shared: &Arc<Shared>, sought: impl Iterator<Item = Sought>) -> Vec<Sought> {
    let mut runs: BTreeMap<RunId, BTreeSet<Sought>> = BTreeMap::new();
    for (key, purpose) in sought {
        runs.entry(key.run).or_default().insert((key, purpose));
    }
    let looks = runs.into_iter().map(|(run, sought)| look_in_run(shared, run, sought));
    future::join_all(looks).await.into_iter().flatten().collect()
}

async fn look_in_run(
    shared: &Arc<Shared>,
    run: RunId,
    mut sought: BTreeSet<Sought>,
) -> BTreeSet<Sought> {
    sought.retain(|it| {
        let known = shared.state().pods.find(it.0);
        let is_elsewhere = known.is_none();
        if let Some(found) = known {
            shared.see_to(*it, found);
        }
        is_elsewhere
    });
    let mut is_certain = true;
    for namespace in shared.config.namespaces() {
        if sought.is_empty() {
            break;
        }
        let keys: BTreeSet<AttemptKey> = sought.iter().map(|(key, _)| *key).collect();
        let found = match shared.api.find(namespace, run, &keys).await {
            Ok(found) => found,
            // What is not there has no pods.
            Err(error) if error.code() == Some(404) => continue,
            Err(error) => {
                shared.complain(namespace, &error, "pods are not found");
                is_certain = false;
                continue;
            }
        };
        for found in found {
            let key = AttemptKey { run, step: found.step, attempt: found.attempt };
            for purpose in [Purpose::Stop, Purpose::Probe] {
                if sought.remove(&(key, purpose)) {
                    shared.see_to((key, purpose), found.clone());
                }
            }
        }
    }
    // Otherwise nothing may be concluded of what was not found; schedulers ask again.
    if is_certain { sought } else { BTreeSet::new() }
}

impl Shared {
    /// Has a pod looked for. It is told what becomes of it.
    pub(super) fn seek(&self, key: AttemptKey, purpose: Purpose) {
        // Nobody looks any more only when the launcher is ending; the next one is asked again.
        let _ = self.sought.send((key, purpose));
    }

    fn see_to(self: &Arc<Self>, (key, purpose): Sought, found: Found) {
        let shared = self.clone();
        self.spawn(async move {
            let over = shared.state().pods.present(key).and_then(Result::ok);
            match (purpose, over) {
                (Purpose::Probe, Some(report)) => shared.tell(report),
                (Purpose::Probe, None) => shared.tell_of(&found).await,
                (Purpose::Stop, Some(report)) if report.report.ended_at.is_some() => {
                    shared.tell(report);
                }
                (Purpose::Stop, _) => {
                    shared.delete(&found).await;
                }
            }
        });
    }

    /// Tells of a pod that another launcher looks after, or none.
    async fn tell_of(self: &Arc<Self>, found: &Found) {
        if let Ok(Some(pod)) = self.api.get(&found.namespace, &found.name).await {
            tell_once(self, &pod);
        }
    }

    /// A pod as it is now, of which nobody knows. Few are looked at at once.
    pub(super) async fn look_up(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ObservedPod>, ApiError> {
        let _turn = self.looks.acquire().await;
        self.api.get(namespace, name).await
    }

    /// Has a pod end and removed. Whoever watches it sees it go. False where the API server does not do it.
    pub(super) async fn delete(&self, found: &Found) -> bool {
        let mut error = ApiError::Late;
        for _ in 0..TRIES {
            error = match self.api.delete(found).await {
                Ok(()) => return true,
                Err(error) => error,
            };
            if !error.is_busy() {
                break;
            }
            sleep(PAUSE).await;
        }
        self.complain(&found.namespace, &error, "a pod is not removed");
        false
    }

    /// Writes into the log what goes wrong with pods of a namespace: again and again, for as long as its cause lasts.
    pub(super) fn complain(&self, namespace: &str, error: &ApiError, what: &str) {
        // The server names the pod, and there may be many.
        let cause = match error.code() {
            Some(code) => format!("{namespace}, {what}: {code}"),
            None => format!("{namespace}, {what}: {error}"),
        };
        if let Some(untold) = self.state().troubles.came(&cause, Instant::now().into()) {
            warn!(namespace, %error, untold, "{what}");
        }
    }
}
