//! Follows the pods of the shards that are held: a list, then what changes, and a list again after each gap.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::ExponentialBuilder;
use futures::StreamExt as _;
use kube::runtime::{
    WatchStreamExt as _,
    utils::ResetTimerBackoff,
    watcher::{self, Event, ExponentialBackoff},
};
use tracing::warn;
use windlass_pod::observed::ObservedPod;
use windlass_service::recurring::Recurring;

use super::Shared;
use crate::{clock, runtime::AttemptKey};

/// How long one watch lasts, in seconds: a connection that was cut without a word is found out a little later than that.
const LASTS: u32 = 30;

/// How long to wait before the next try, at first and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

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
    let waits = ExponentialBuilder::new()
        .with_min_delay(WAIT.0)
        .with_max_delay(WAIT.1)
        .with_jitter()
        .without_max_times();
    let backoff = ResetTimerBackoff::new(ExponentialBackoff::from(waits), CALM);
    let events = watcher::watcher(shared.api.pods(namespace), config).backoff(backoff);
    let mut events = std::pin::pin!(events);
    let (mut known, mut listed) = (BTreeSet::new(), BTreeSet::new());
    let mut troubles = Recurring::default();
    while let Some(event) = events.next().await {
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
                shared.not_watched(namespace, &error);
                if let Some(untold) = troubles.came(&error.to_string(), Instant::now().into()) {
                    warn!(namespace, %error, untold, "pods are not watched");
                }
            }
        }
    }
}

impl Shared {
    /// Takes in a pod as it is now, and says whose it is.
    pub(super) fn seen(self: &Arc<Self>, pod: &ObservedPod) -> Option<AttemptKey> {
        let mut state = self.state();
        let (key, acts) = state.pods.seen(pod, clock::now(), Instant::now())?;
        if !acts.is_empty() {
            self.room_changed(&state);
        }
        drop(state);
        self.act(acts);
        Some(key)
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
        self.room_changed(&state);
        drop(state);
        self.act(acts);
    }
}
