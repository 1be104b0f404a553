//! The shell around the plan: sees pods, does what is planned for them, and looks again in time.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
    runtime::{
        WatchStreamExt as _,
        utils::Backoff,
        watcher::{self, Event, watcher},
    },
};
use serde_json::json;
use tokio::time::sleep;

use super::{
    board::Board,
    plan::{Action, Life, plan},
};

/// How long to wait after something failed, the watch or a write.
const AGAIN: Duration = Duration::from_millis(100);

/// How many writes are under way at most.
const WRITES: usize = 64;

/// A pod's own id: never another's, whatever its name.
type Uid = String;

/// The kubelets of all nodes of a board.
pub(super) struct Kubelets {
    client: Client,
    board: Arc<Board>,
    pods: HashMap<Uid, Held>,
    /// When to look at which.
    due: BTreeSet<(Timestamp, Uid)>,
    writes: FuturesUnordered<BoxFuture<'static, (Uid, bool)>>,
    /// Those that the watch has not told of since it began anew; none while it goes on.
    unseen: Option<HashSet<Uid>>,
}

struct Held {
    pod: Pod,
    life: Life,
    /// What the API server has not been told yet.
    untold: Option<Box<PodStatus>>,
    writing: bool,
    /// Removed as far as it depends on us.
    gone: bool,
}

/// The watch is begun anew at once, and goes on being begun so.
struct Steady;

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(AGAIN)
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}

impl Kubelets {
    pub(super) fn new(client: Client, board: Arc<Board>) -> Self {
        Self {
            client,
            board,
            pods: HashMap::new(),
            due: BTreeSet::new(),
            writes: FuturesUnordered::new(),
            unseen: None,
        }
    }

    /// Works until it is dropped.
    pub(super) async fn run(mut self) {
        let board = self.board.clone();
        // Of all nodes, in one watch.
        let config = watcher::Config::default().fields("spec.nodeName!=");
        let events = watcher(Api::all(self.client.clone()), config).backoff(Steady);
        let mut events = pin!(events);
        loop {
            let now = Timestamp::now();
            while self.writes.len() < WRITES
                && self.due.first().is_some_and(|(due, _)| *due <= now)
                && let Some((_, uid)) = self.due.pop_first()
            {
                self.act(&uid, now);
            }
            let idle = self.until_due(now);
            tokio::select! {
                Some(event) = events.next() => {
                    // What went wrong is over when it goes on: it tells then of all pods.
                    if let Ok(event) = event {
                        self.see(event);
                    }
                }
                Some((uid, done)) = self.writes.next() => self.written(uid, done),
                () = board.changed() => self.look_at_all(),
                () = sleep(idle) => {}
            }
        }
    }

    /// How long there is nothing to do. Where writes are under way, they end before that.
    fn until_due(&self, now: Timestamp) -> Duration {
        let full = self.writes.len() >= WRITES;
        let next = self.due.first().filter(|_| !full);
        let wait = next.map(|(due, _)| due.duration_since(now));
        wait.map_or(Duration::from_hours(1), |it| Duration::try_from(it).unwrap_or_default())
    }

    fn see(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.unseen = Some(self.pods.keys().cloned().collect()),
            Event::InitApply(pod) | Event::Apply(pod) => self.apply(pod),
            Event::InitDone => {
                for uid in self.unseen.take().unwrap_or_default() {
                    self.pods.remove(&uid);
                }
            }
            Event::Delete(pod) => {
                self.pods.remove(&pod.uid().unwrap_or_default());
            }
        }
    }

    fn apply(&mut self, mut pod: Pod) {
        let Some(uid) = pod.uid() else { return };
        if let Some(unseen) = &mut self.unseen {
            unseen.remove(&uid);
        }
        if !node_of(&pod).is_some_and(|node| self.board.has(node)) {
            return;
        }
        pod.metadata.managed_fields = None;
        if let Some(held) = self.pods.get_mut(&uid) {
            held.pod = pod;
        } else {
            let life = Life::of(&pod, Timestamp::now());
            let held = Held { pod, life, untold: None, writing: false, gone: false };
            self.pods.insert(uid.clone(), held);
        }
        self.look(uid, Timestamp::MIN);
    }

    fn look(&mut self, uid: Uid, due: Timestamp) {
        self.due.insert((due, uid));
    }

    fn look_at_all(&mut self) {
        self.due.extend(self.pods.keys().map(|uid| (Timestamp::MIN, uid.clone())));
    }

    /// Does for a pod what there is to be done now.
    fn act(&mut self, uid: &Uid, now: Timestamp) {
        let Some(held) = self.pods.get_mut(uid) else { return };
        let works = node_of(&held.pod).is_some_and(|node| self.board.works(node));
        if !works || held.writing || held.gone {
            return;
        }
        let write = loop {
            if let Some(status) = &held.untold {
                break tell(&self.client, &held.pod, status);
            }
            match plan(&held.pod, &held.life, now) {
                Action::Become(life, status) => {
                    if held.life.started.is_none() && life.started.is_some() {
                        self.board.count(&held.pod);
                    }
                    (held.life, held.untold) = (life, status);
                }
                Action::Remove => break remove(&self.client, &held.pod),
                Action::Wait(until) => {
                    self.due.extend(until.map(|until| (until, uid.clone())));
                    return;
                }
            }
        };
        held.writing = true;
        let uid = uid.clone();
        self.writes.push(write.map(|result| (uid, result.is_ok())).boxed());
    }

    fn written(&mut self, uid: Uid, done: bool) {
        let Some(held) = self.pods.get_mut(&uid) else { return };
        held.writing = false;
        // Also where another has removed it: the watch says so soon. What it tells late of a pod that was forgotten too
        // early would be taken for a new one.
        let mut due = Timestamp::now() + AGAIN;
        if done {
            held.gone = held.untold.take().is_none();
            due = Timestamp::MIN;
        }
        self.look(uid, due);
    }
}

fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn tell(client: &Client, pod: &Pod, status: &PodStatus) -> BoxFuture<'static, kube::Result<()>> {
    let (pods, name) = api(client, pod);
    // With its id, so that it is refused for another pod of the same name.
    let patch = json!({ "metadata": { "uid": pod.uid() }, "status": status });
    // Strategic: others write conditions as well.
    let patch = Patch::Strategic(patch);
    async move { pods.patch_status(&name, &PatchParams::default(), &patch).await.map(drop) }.boxed()
}

fn remove(client: &Client, pod: &Pod) -> BoxFuture<'static, kube::Result<()>> {
    let (pods, name) = api(client, pod);
    let preconditions = Some(Preconditions { uid: pod.uid(), resource_version: None });
    let now =
        DeleteParams { grace_period_seconds: Some(0), preconditions, ..DeleteParams::default() };
    async move { pods.delete(&name, &now).await.map(drop) }.boxed()
}

fn api(client: &Client, pod: &Pod) -> (Api<Pod>, String) {
    let namespace = pod.namespace().unwrap_or_default();
    (Api::namespaced(client.clone(), &namespace), pod.name_any())
}
