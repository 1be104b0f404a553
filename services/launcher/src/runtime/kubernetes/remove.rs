//! Removes pods whose end is safe: those of a run that is over with one request for many, others one by one.
//!
//! **Invariant:** no pod is removed while a create of it may still be under way. A request that removes many removes all of a run
//! that have ended, and is sent when each of them may go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt as _, stream};
use tokio::time::sleep;
use windlass_proto::id::RunId;

use super::{NEVER_AFTER, Shared, api::Found};
use crate::runtime::AttemptKey;

/// How many pods of runs that are not over are removed at once.
const AT_ONCE: usize = 16;

/// How long nothing is removed in a namespace where that was refused, at first and at most.
const REST: (Duration, Duration) = (Duration::from_secs(4), Duration::from_mins(5));

/// The namespaces where pods that have ended cannot be removed: for how long that is not tried, which is twice as long each time.
#[derive(Debug, Default)]
pub(super) struct Rests(BTreeMap<String, (Instant, Duration)>);

impl Rests {
    fn rests(&self, namespace: &str, now: Instant) -> bool {
        self.0.get(namespace).is_some_and(|(until, _)| now < *until)
    }

    /// Takes in what came of a try.
    fn tried(&mut self, namespace: &str, has_worked: bool, now: Instant) {
        if has_worked {
            self.0.remove(namespace);
        } else if !self.rests(namespace, now) {
            let (until, rest) = self.0.entry(namespace.to_owned()).or_insert((now, REST.0 / 2));
            *rest = (*rest * 2).min(REST.1);
            *until = now + *rest;
        }
    }
}

impl Shared {
    /// Removes pods that have been kept for long enough; those of a run that is over when all of them have.
    pub(super) async fn discard(
        self: &Arc<Self>,
        attempts: Vec<AttemptKey>,
        ended_runs: &BTreeSet<RunId>,
    ) {
        let places = self.state().pods.places(attempts);
        for ((run, namespace), found) in places {
            if self.state().rests.rests(&namespace, Instant::now()) {
                continue;
            }
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
        let removed = self.api.remove_ended(namespace, run, &held).await;
        self.state().rests.tried(namespace, removed.is_ok(), Instant::now());
        if let Err(error) = removed {
            self.complain(namespace, &error, "pods that have ended stay for now");
        }
    }

    async fn delete_all(self: &Arc<Self>, found: Vec<Found>) {
        let removals = found.into_iter().map(|found| {
            let shared = self.clone();
            async move {
                if !shared.state().rests.rests(&found.namespace, Instant::now()) {
                    let is_done = shared.delete(&found).await;
                    shared.state().rests.tried(&found.namespace, is_done, Instant::now());
                }
            }
        });
        stream::iter(removals).buffer_unordered(AT_ONCE).collect::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_removing_is_refused_it_is_tried_ever_less_and_elsewhere_as_before() {
        let (mut rests, begin) = (Rests::default(), Instant::now());
        let (mut now, mut waits) = (begin, Vec::new());
        for _ in 0..9 {
            // Those that were under way at the same time say the same.
            (0..3).for_each(|_| rests.tried("a", false, now));
            let until = rests.0["a"].0;
            assert!(rests.rests("a", now) && !rests.rests("a", until));
            assert!(!rests.rests("b", now));
            waits.push(until.duration_since(now).as_secs());
            now = until;
        }
        assert_eq!(waits, [4, 8, 16, 32, 64, 128, 256, 300, 300]);
        rests.tried("a", true, now);
        rests.tried("a", false, now);
        assert_eq!(rests.0["a"].1, REST.0);
    }
}
