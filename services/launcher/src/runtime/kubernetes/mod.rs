//! Attempts as pods of a Kubernetes cluster, which several launchers share.
//!
//! ```text
//!   start ──▶ create ──(one write)──▶ API server ──▶ watch ──▶ pods ──▶ reports
//!             │  └─ capacity, quotas, pace: may it, now?         │ what was seen, what was told
//!   stop, probe ──▶ seek ──(a write, where there is a pod)──▶    ▼
//!   discard ──▶ remove ──(one write for many pods)──▶ API server
//! ```
//!
//! **Why no attempt runs twice.** A pod's name is a function of its attempt, so that a cluster has at most one of it at a time.
//! That it is not created again after it was removed follows from three things: a launcher asks the store whether the attempt is
//! still queued, and creates it within [`CREATE_WITHIN`] of that, or asks anew; a create that is under way ends within
//! [`api::ANSWER`]; and a pod is removed only when the store knows its end and both times have passed ([`NEVER_AFTER`]). What is not
//! there is said to be *not created* only when it is not there after both times, too ([`seek`]).
//!
//! **Why no end is forgotten.** The watch begins with a list, after each gap too, and whatever differs from what was known is told
//! ([`pods`]). Pods are divided among launchers by shards; who takes a shard over lists its pods and tells all of them.
//!
//! What attempts wait for is told to those who ask, and to nobody else ([`waits`]).
//!
//! Never inside: the store, the bus, and what schedulers think of an attempt.

mod api;
mod backoff;
mod budget;
mod capacity;
mod create;
mod missing;
mod pace;
mod pods;
mod quotas;
mod refusal;
mod remove;
mod seek;
mod settle;
mod waits;
mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::future;
use kube::Client;
use tokio::sync::{Notify, Semaphore, mpsc, watch as latest};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use windlass_proto::{holder, id::RunId};
use windlass_service::recurring::Recurring;

pub use self::budget::Budget;
use self::{
    api::PodApi,
    missing::Missing,
    pace::Pace,
    pods::{Act, Pods},
    quotas::Quotas,
    remove::Rests,
};
use super::{AttemptKey, AttemptSpec, Report, ReportSender, Runtime, Shards, Waits};
use crate::clock;

/// How long after the look at the store a pod may be created.
const CREATE_WITHIN: Duration = Duration::from_secs(10);

/// After which a pod that is not there never will be: when a create may begin at the latest, how long it may take, and a little
/// more, since clocks do not all run alike.
const NEVER_AFTER: Duration =
    Duration::from_secs(CREATE_WITHIN.as_secs() + api::ANSWER.as_secs() + 5);

/// How long a launcher that gives up a shard waits for creates in it that are under way.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);

/// After which a pod that lives is compared with what the store says of its attempt.
const COMPARED_AFTER: Duration = Duration::from_mins(1);

/// The most attempts that wait in this launcher for their create, a second of work or two. The others are for other launchers.
const WAITING: usize = 512;

/// The most commands that are carried out at once: the attempts that they name are counted apart.
const COMMANDS: usize = 64;

/// The most pods that are looked at at once since nobody saw what became of them.
const LOOKS: usize = 16;

/// What a [`KubernetesRuntime`] needs to know, and does not change: the rest is its [`Budget`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubernetesConfig {
    /// The installation's name, which all its pods carry.
    pub installation: String,
    /// The cluster's name, by which steps name it.
    pub cluster: String,
    /// Where pods are made, unless a step says otherwise.
    pub namespace: String,
    /// Where else steps may have theirs.
    pub other_namespaces: BTreeSet<String>,
    /// Into how many shards pods are divided. The same for all launchers, for ever.
    pub shards: u32,
}

/// Runs attempts as pods.
///
/// Dropping it ends what it does and leaves pods as they are.
#[derive(Debug)]
pub struct KubernetesRuntime {
    shared: Arc<Shared>,
    holder: String,
    _stop: DropGuard,
}

/// What the tasks of a runtime share.
#[derive(Debug)]
struct Shared {
    config: KubernetesConfig,
    budget: latest::Sender<Budget>,
    api: PodApi,
    reports: ReportSender,
    state: Mutex<State>,
    /// Which shards are held.
    held: latest::Sender<BTreeSet<u32>>,
    /// How many attempts could be started.
    room: latest::Sender<usize>,
    /// Rings when a create was answered.
    answered: Notify,
    /// Rings when a place among the pods that may live has come free.
    freed: Notify,
    /// Rings when somebody who waits to send a create may look again.
    turn: Notify,
    /// How many pods may be looked at, each with a request, at once.
    looks: Semaphore,
    /// What is looked for.
    sought: mpsc::UnboundedSender<seek::Sought>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What changes.
#[derive(Debug, Default)]
struct State {
    pods: Pods,
    quotas: Quotas,
    missing: Missing,
    pace: Pace,
    /// What nothing else remembers of attempts that wait.
    waits: waits::Remembered,
    /// The shards whose pods were listed, by namespace: only there is known how many live.
    listed: BTreeMap<String, BTreeSet<u32>>,
    /// The namespaces whose pods this launcher may not watch, and why: none is created there.
    refused: BTreeMap<String, String>,
    /// Where pods that have ended cannot be removed.
    rests: Rests,
    /// Pods that are no attempt's, although their labels say so.
    strangers: Recurring,
    /// What goes wrong with requests about single pods.
    troubles: Recurring,
    /// Requests that create pods and are under way.
    in_flight: usize,
    /// Attempts that were taken and do not exist yet.
    waiting: usize,
    /// When a create was sent last, for where there is a least time between two.
    last_create: Option<Instant>,
}

impl KubernetesRuntime {
    /// Begins to serve a cluster. It looks after no pods until it [holds](Shards::hold) shards.
    pub fn new(
        client: Client,
        config: KubernetesConfig,
        budget: Budget,
        reports: ReportSender,
    ) -> Self {
        let (sought, seeking) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let holder = holder::of_cluster(&config.cluster);
        let state = State { pods: Pods::of(&config.installation), ..State::default() };
        let shared = Arc::new(Shared {
            api: PodApi::new(client, config.installation.clone()),
            config,
            budget: latest::Sender::new(budget),
            reports,
            state: Mutex::new(state),
            held: latest::Sender::default(),
            room: latest::Sender::default(),
            answered: Notify::new(),
            freed: Notify::new(),
            turn: Notify::new(),
            looks: Semaphore::new(LOOKS),
            sought,
            tasks: TaskTracker::new(),
            stop: stop.clone(),
        });
        for namespace in shared.config.namespaces() {
            shared.spawn(watch::run(shared.clone(), namespace.to_owned()));
        }
        shared.spawn(seek::run(shared.clone(), seeking));
        Self { shared, holder, _stop: stop.drop_guard() }
    }
}

impl KubernetesConfig {
    /// All namespaces in which there are pods.
    fn namespaces(&self) -> impl Iterator<Item = &str> {
        let others = self.other_namespaces.iter().filter(|other| **other != self.namespace);
        std::iter::once(&self.namespace).chain(others).map(String::as_str)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something until the runtime ends.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled_owned(task).await;
        });
    }

    fn tell(&self, report: Report) {
        // Nobody listens any more only when the launcher is ending; the next one is asked again.
        let _ = self.reports.send(report);
    }

    /// Does what follows from what was seen.
    fn act(self: &Arc<Self>, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Tell(report) => self.tell(report),
                Act::Delete(found) => {
                    let shared = self.clone();
                    self.spawn(async move {
                        shared.delete(&found).await;
                    });
                }
                Act::Settle(vanished) => {
                    let shared = self.clone();
                    self.spawn(async move { shared.settle(vanished).await });
                }
            }
        }
    }

    /// How many creates this launcher may have under way: its part of what all may, at least 1 where it holds a shard.
    fn most_in_flight(&self) -> usize {
        let held = self.held.borrow().len();
        let whole = u64::from(self.budget().requests_in_flight);
        let part = whole * held as u64 / u64::from(self.config.shards.max(1));
        usize::try_from(part).unwrap_or(usize::MAX).max(usize::from(held > 0))
    }

    /// The shards in which pods may be created: they are held, and all pods in them are known, but for those in namespaces that
    /// this launcher may not watch. None where it may watch no namespace.
    fn open_shards(&self, state: &State) -> BTreeSet<u32> {
        let mut open = self.held.borrow().clone();
        let is_refused = |namespace: &&str| state.refused.contains_key(*namespace);
        if self.config.namespaces().all(|namespace| is_refused(&namespace)) {
            open.clear();
        }
        for namespace in self.config.namespaces().filter(|it| !is_refused(it)) {
            match state.listed.get(namespace) {
                Some(listed) => open.retain(|shard| listed.contains(shard)),
                None => open.clear(),
            }
        }
        open
    }

    /// Tells how much room there is, after something has changed.
    fn room_changed(&self, state: &State) {
        let open = self.open_shards(state);
        let free = state.pods.living().free(&open, &self.limits()) as usize;
        let room = free.min(WAITING.saturating_sub(state.waiting));
        self.room.send_if_modified(|known| std::mem::replace(known, room) != room);
        if free > 0 {
            self.freed.notify_waiters();
        }
    }
}

#[async_trait]
impl Runtime for KubernetesRuntime {
    async fn start(&self, attempts: Vec<AttemptSpec>, wanted_at: Instant) -> Vec<AttemptKey> {
        let deadline = wanted_at + CREATE_WITHIN;
        let creates = attempts.into_iter().map(|spec| self.shared.create(spec, deadline));
        future::join_all(creates).await.into_iter().flatten().collect()
    }

    async fn stop(&self, key: AttemptKey) {
        self.shared.seek(key, seek::Purpose::Stop);
    }

    /// What is not known here is looked for, and reported then: nothing may be concluded before.
    async fn probe(&self, key: AttemptKey) -> bool {
        let present = self.shared.state().pods.present(key);
        match present {
            Some(Ok(report)) => self.shared.tell(report),
            Some(Err(())) => {}
            None => self.shared.seek(key, seek::Purpose::Probe),
        }
        true
    }

    async fn remove(&self, run: RunId) {
        self.shared.remove_run(run).await;
    }

    fn holder(&self) -> Option<&str> {
        Some(&self.holder)
    }

    async fn room(&self) -> usize {
        let mut room = self.shared.room.subscribe();
        let free = room.wait_for(|free| *free > 0).await.ok().map(|free| *free);
        match free {
            Some(free) => free,
            None => future::pending().await,
        }
    }

    fn commands_at_once(&self) -> usize {
        COMMANDS
    }

    async fn known(&self) -> Vec<AttemptKey> {
        self.shared.state().pods.keys()
    }

    async fn waits(&self, attempts: Vec<AttemptKey>) -> Waits {
        self.shared.waits_of(attempts).await
    }

    fn shards(&self) -> Option<&dyn Shards> {
        Some(self)
    }
}

#[async_trait]
impl Shards for KubernetesRuntime {
    fn cluster(&self) -> &str {
        &self.shared.config.cluster
    }

    async fn hold(&self, shards: BTreeSet<u32>) {
        let shared = &self.shared;
        let mut given_up = BTreeSet::new();
        let is_other = shared.held.send_if_modified(|held| {
            given_up = held.difference(&shards).copied().collect();
            let is_other = *held != shards;
            *held = shards;
            is_other
        });
        if !is_other {
            return;
        }
        // Whoever has them next counts what lives in them.
        let settled = async {
            loop {
                let answered = shared.answered.notified();
                if !shared.state().pods.are_created_in(&given_up) {
                    return;
                }
                answered.await;
            }
        };
        // What takes longer is seen there a little later.
        let _ = tokio::time::timeout(SETTLED_WITHIN, settled).await;
        let mut state = shared.state();
        for listed in state.listed.values_mut() {
            listed.retain(|shard| !given_up.contains(shard));
        }
        state.pods.keep_shards(&shared.held.borrow());
        shared.room_changed(&state);
    }

    fn lingering(&self) -> Vec<AttemptKey> {
        self.shared.state().pods.living_since(COMPARED_AFTER, Instant::now())
    }

    fn expired(&self) -> Vec<AttemptKey> {
        self.shared.state().pods.expired(&self.shared.retention(), Instant::now())
    }

    async fn discard(&self, attempts: Vec<AttemptKey>, ended_runs: BTreeSet<RunId>) {
        self.shared.discard(attempts, &ended_runs).await;
    }
}

/// Judges a pod that is not looked after here, and tells what is known of it.
fn tell_once(shared: &Arc<Shared>, pod: &windlass_pod::observed::ObservedPod) {
    let mut once = Pods::of(&shared.config.installation);
    if let Some((_, acts)) = once.seen(pod, clock::now(), Instant::now()) {
        shared.act(acts);
    }
}
