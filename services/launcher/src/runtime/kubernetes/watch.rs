//! Follows the pods of the shards that are held: a list, then what changes, and a list again after each gap.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use kube::runtime::watcher::{self, Event};
use tokio::time::sleep;
use tracing::warn;
use windlass_pod::observed::ObservedPod;
use windlass_service::recurring::Recurring;

use super::{Shared, State, backoff::Backoff};
use crate::{clock, runtime::AttemptKey};

/// How long one watch lasts, in seconds: a connection that was cut without a word is found out a little later than that.
const LASTS: u32 = 30;

/// After how long without trouble the next wait is a short one again.
const CALM: Duration = Duration::from_secs(30);

/// Follows the pods of a namespace.
pub(super) async fn run(shared: Arc<Shared>, namespace: String) {
    let mut held = shared.held.subscribe();
    loop {
        let shards = held.borrow_and_update().clone();
        tokio::select! {
            () = follow(&shared, &namespace, shards) => {}
            changed = held.changed() => if changed.is_err() { return },
        }
    }
}

async fn follow(shared: &Arc<Shared>, namespace: &str, shards: BTreeSet<u32>) {
    if shards.is_empty() {
        return std::future::pending().await;
    }
    let labels = shared.api.of_shards(&shards);
    let config = watcher::Config::default().labels(&labels).timeout(LASTS);
    let mut events = std::pin::pin!(watcher::watcher(shared.api.pods(namespace), config));
    let (mut known, mut listed) = (BTreeSet::new(), BTreeSet::new());
    let (mut troubles, mut pace) = (Recurring::default(), Pace::default());
    while let Some(event) = events.next().await {
        pace.came(&event);
        match event {
            Ok(Event::Init) => {
                known = shared.state().pods.seen_in(namespace, &shards);
                listed.clear();
            }
            Ok(Event::InitApply(pod)) => listed.extend(shared.seen(&pod)),
            Ok(Event::InitDone) => shared.listed(namespace, &shards, &known, &listed),
            Ok(Event::Apply(pod)) => {
                shared.seen(&pod);
            }
            Ok(Event::Delete(pod)) => shared.gone(&pod),
            Err(error) => {
                let words = told(&error);
                shared.not_watched(namespace, &error, &words);
                if let Some(untold) = troubles.came(&words, Instant::now().into()) {
                    warn!(namespace, error = words, untold, "pods are not watched");
                }
                if is_refused(&error) {
                    shared.leave_out(namespace, words);
                }
                sleep(pace.wait(Instant::now())).await;
            }
        }
    }
}

/// How fast a watch is begun again. What the library has for that takes the beginning of a list for a success.
#[derive(Debug, Default)]
struct Pace {
    waits: Backoff,
    /// When there was trouble last.
    trouble: Option<Instant>,
}

impl Pace {
    fn came<T>(&mut self, event: &watcher::Result<Event<T>>) {
        match event {
            // That a list begins says nothing.
            Ok(Event::Init) | Err(_) => {}
            Ok(Event::InitApply(_) | Event::InitDone | Event::Apply(_) | Event::Delete(_)) => {
                *self = Self::default();
            }
        }
    }

    /// How long to wait after there was trouble.
    fn wait(&mut self, now: Instant) -> Duration {
        // Where nothing changes, nothing comes.
        if self.trouble.is_some_and(|before| now.duration_since(before) >= CALM) {
            *self = Self::default();
        }
        self.trouble = Some(now);
        self.waits.next()
    }
}

/// An error of a watch, in words for people.
fn told(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(cause)
        | watcher::Error::WatchStartFailed(cause)
        | watcher::Error::WatchFailed(cause) => windlass_cluster::told(cause),
        watcher::Error::WatchError(status) => status.message.clone(),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

/// Whether the launcher may not watch pods there, or there is no such namespace.
fn is_refused(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(kube::Error::Api(status))
    | watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchError(status)) = error
    else {
        return false;
    };
    matches!(status.code, 403 | 404)
}

impl Shared {
    /// Takes in a pod as it is now, and says whose it is.
    pub(super) fn seen(self: &Arc<Self>, pod: &ObservedPod) -> Option<AttemptKey> {
        let mut state = self.state();
        let Some((key, acts)) = state.pods.seen(pod, clock::now(), Instant::now()) else {
            state.ignored(pod);
            return None;
        };
        if !acts.is_empty() {
            self.room_changed(&state);
        }
        drop(state);
        self.act(acts);
        Some(key)
    }

    /// Leaves a namespace out, until its pods can be listed.
    fn leave_out(&self, namespace: &str, why: String) {
        let mut state = self.state();
        state.refused.insert(namespace.to_owned(), why);
        self.room_changed(&state);
    }

    fn gone(self: &Arc<Self>, pod: &ObservedPod) {
        let mut state = self.state();
        let acts = state.pods.gone(pod, clock::now(), Instant::now());
        self.room_changed(&state);
        drop(state);
        self.act(acts);
    }

    fn listed(
        self: &Arc<Self>,
        namespace: &str,
        shards: &BTreeSet<u32>,
        known: &BTreeSet<AttemptKey>,
        listed: &BTreeSet<AttemptKey>,
    ) {
        let mut state = self.state();
        let acts = state.pods.unlisted(namespace, known, listed, clock::now(), Instant::now());
        state.listed.insert(namespace.to_owned(), shards.clone());
        state.waits.trouble_is_over();
        state.refused.remove(namespace);
        self.room_changed(&state);
        drop(state);
        self.act(acts);
    }
}

impl State {
    /// Notes that there is a pod that is no attempt's, although its labels say so.
    fn ignored(&mut self, pod: &ObservedPod) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let now = Instant::now().into();
        if self.strangers.came(&format!("{namespace}/{name}"), now).is_some() {
            warn!(
                namespace,
                name,
                "a pod is ignored: its labels are those of an attempt, and its name is not; it is a copy, or its labels were changed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refusal(code: u16) -> watcher::Error {
        let status = Status { code, message: "no".into(), ..Status::default() };
        watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn lists_that_are_refused_slow_down_although_each_begins_and_one_that_succeeds_speeds_them_up()
    {
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..8 {
            pace.came::<()>(&Ok(Event::Init));
            pace.came::<()>(&Err(refusal(403)));
            waits.push(pace.wait(begin));
        }
        assert!(waits[7] >= Duration::from_millis(2500), "{waits:?}");
        pace.came::<()>(&Ok(Event::InitDone));
        assert!(pace.wait(begin) < Duration::from_millis(200));
        for _ in 0..8 {
            pace.wait(begin);
        }
        assert!(pace.wait(begin + CALM) < Duration::from_millis(200), "it was calm meanwhile");
    }

    #[test]
    fn a_namespace_is_refused_by_what_is_said_of_it_alone() {
        assert!([403, 404].map(refusal).iter().all(is_refused));
        assert!(![401, 410, 429, 500, 503].map(refusal).iter().any(is_refused));
        assert!(!is_refused(&watcher::Error::NoResourceVersion));
    }
}
