//! The runs that a partition's loop holds in memory, and which of them want something when.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use windlass_engine::{
    policy::ClusterIndex,
    record::StepIndex,
    run::Run,
    share::{Contender, InFlight},
    time::Timestamp,
};
use windlass_proto::{id::RunId, subject::ClusterToken};
use windlass_store::{Submission, Version};

/// A run in memory.
#[derive(Debug)]
pub(crate) struct CachedRun {
    /// Its state, decided but perhaps not yet committed.
    pub(crate) run: Run,
    /// The latest version that is committed.
    pub(crate) version: Version,
    /// When it was accepted: of a namespace, older runs launch first.
    pub(crate) created_at: Timestamp,
    pub(crate) home: Home,
    wakeup: Option<Timestamp>,
    /// How it is in each cluster that its graph names, in that order.
    clusters: Vec<InCluster>,
}

impl CachedRun {
    /// The cluster whose launchers create the attempts of a step.
    pub(crate) fn cluster(&self, step: StepIndex) -> ClusterToken {
        let known = self.clusters.get(self.run.cluster(step).at());
        known.map_or(ClusterToken::DEFAULT, |known| known.cluster)
    }

    /// What its graph calls a cluster; none where it names no such one.
    pub(crate) fn index(&self, cluster: ClusterToken) -> Option<ClusterIndex> {
        let at = self.clusters.iter().position(|known| known.cluster == cluster)?;
        u32::try_from(at).ok().map(ClusterIndex)
    }
}

/// Where a run belongs.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) namespace: Arc<str>,
    pub(crate) pipeline: Arc<str>,
}

impl Home {
    pub(crate) fn of(submission: &Submission) -> Self {
        let Submission { namespace, pipeline, .. } = submission;
        Self { namespace: namespace.as_str().into(), pipeline: pipeline.as_str().into() }
    }
}

/// How a run is in one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InCluster {
    cluster: ClusterToken,
    hungry: bool,
    unconfirmed: usize,
    in_flight: usize,
}

impl InCluster {
    fn idle(cluster: ClusterToken) -> Self {
        Self { cluster, hungry: false, unconfirmed: 0, in_flight: 0 }
    }
}

/// What all runs together want of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    /// Runs that could launch if there were room, the oldest first.
    hungry: BTreeSet<(Timestamp, RunId)>,
    /// How many attempts are ordered of which no launcher has said that they exist.
    pub(crate) unconfirmed: usize,
    /// How many attempts are in flight, by namespace; none of them is 0.
    pub(crate) in_flight: InFlight,
}

impl Demand {
    /// Whether any run could launch if there were room.
    pub(crate) fn is_hungry(&self) -> bool {
        !self.hungry.is_empty()
    }

    fn is_none(&self) -> bool {
        self.hungry.is_empty() && self.unconfirmed == 0 && self.in_flight.is_empty()
    }

    /// Keeps up with a run that was so and is so.
    fn follow(
        &mut self,
        run: (Timestamp, RunId),
        namespace: &Arc<str>,
        was: InCluster,
        is: InCluster,
    ) {
        if is.hungry {
            self.hungry.insert(run);
        } else {
            self.hungry.remove(&run);
        }
        self.unconfirmed = self.unconfirmed - was.unconfirmed + is.unconfirmed;
        if was.in_flight != is.in_flight {
            let in_flight = self.in_flight.entry(namespace.clone()).or_default();
            *in_flight = *in_flight - was.in_flight + is.in_flight;
            if *in_flight == 0 {
                self.in_flight.remove(namespace);
            }
        }
    }
}

/// The runs in memory, with indexes by what they want. After every change of a run, [`Cache::refresh`] it.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    runs: BTreeMap<RunId, CachedRun>,
    wakeups: BTreeSet<(Timestamp, RunId)>,
    /// Of those clusters of which runs want anything.
    demands: BTreeMap<ClusterToken, Demand>,
}

impl Cache {
    /// Adds a run. It stands in no index until it is refreshed.
    pub(crate) fn insert(
        &mut self,
        id: RunId,
        home: Home,
        run: Run,
        version: Version,
        created_at: Timestamp,
    ) {
        self.remove(id);
        let of_name = |name: &Arc<str>| InCluster::idle(ClusterToken::of(name));
        let clusters = run.graph().clusters().iter().map(of_name).collect();
        let cached = CachedRun { run, version, created_at, home, wakeup: None, clusters };
        self.runs.insert(id, cached);
    }

    pub(crate) fn remove(&mut self, id: RunId) {
        let Some(cached) = self.runs.remove(&id) else { return };
        cached.wakeup.map(|time| self.wakeups.remove(&(time, id)));
        let run = (cached.created_at, id);
        for was in cached.clusters {
            let is = InCluster::idle(was.cluster);
            follow(&mut self.demands, run, &cached.home.namespace, was, is);
        }
    }

    pub(crate) fn get_mut(&mut self, id: RunId) -> Option<&mut CachedRun> {
        self.runs.get_mut(&id)
    }

    pub(crate) fn contains(&self, id: RunId) -> bool {
        self.runs.contains_key(&id)
    }

    pub(crate) fn ids(&self) -> Vec<RunId> {
        self.runs.keys().copied().collect()
    }

    /// Brings the indexes up to date with a run.
    pub(crate) fn refresh(&mut self, id: RunId, now: Timestamp) {
        let Some(cached) = self.runs.get_mut(&id) else {
            return;
        };
        let CachedRun { run, created_at, home, wakeup, clusters, .. } = cached;
        let was_due = std::mem::replace(wakeup, run.next_wakeup(now));
        if was_due != *wakeup {
            was_due.map(|time| self.wakeups.remove(&(time, id)));
            wakeup.map(|time| self.wakeups.insert((time, id)));
        }
        for (index, known) in (0..).map(ClusterIndex).zip(clusters) {
            let is = InCluster {
                cluster: known.cluster,
                hungry: run.may_launch(index),
                unconfirmed: run.unconfirmed(index),
                in_flight: run.in_flight(index),
            };
            let was = std::mem::replace(known, is);
            if was != is {
                follow(&mut self.demands, (*created_at, id), &home.namespace, was, is);
            }
        }
    }

    /// The clusters of which runs want anything, and what that is.
    pub(crate) fn demands(&self) -> &BTreeMap<ClusterToken, Demand> {
        &self.demands
    }

    /// The runs that could launch in a cluster if there were room, the oldest first.
    pub(crate) fn hungry(&self, cluster: ClusterToken) -> Vec<Contender<RunId>> {
        let contender = |id: RunId| {
            let CachedRun { run, home, .. } = &self.runs[&id];
            let (namespace, priority) = (home.namespace.clone(), run.graph().policy().priority);
            Contender { run: id, namespace, priority }
        };
        self.hungry_in(cluster).map(contender).collect()
    }

    /// Whether there are any.
    pub(crate) fn is_hungry(&self, cluster: ClusterToken) -> bool {
        self.demands.get(&cluster).is_some_and(Demand::is_hungry)
    }

    /// The highest priority of these runs.
    pub(crate) fn waits(&self, cluster: ClusterToken) -> Option<i32> {
        self.hungry_in(cluster).map(|id| self.runs[&id].run.graph().policy().priority).max()
    }

    fn hungry_in(&self, cluster: ClusterToken) -> impl Iterator<Item = RunId> {
        let demand = self.demands.get(&cluster).into_iter();
        demand.flat_map(|demand| &demand.hungry).map(|(_, id)| *id)
    }

    /// Some of the runs with attempts of which no launcher of a cluster has said that they exist, each with its version.
    pub(crate) fn waiting_for_launchers(
        &self,
        cluster: ClusterToken,
        most: usize,
    ) -> Vec<(RunId, Version)> {
        let waits = |known: &InCluster| known.cluster == cluster && known.unconfirmed > 0;
        let waiting = self.runs.iter().filter(|(_, cached)| cached.clusters.iter().any(waits));
        waiting.take(most).map(|(id, cached)| (*id, cached.version)).collect()
    }

    /// When the first run wants to be woken.
    pub(crate) fn next_wakeup(&self) -> Option<Timestamp> {
        self.wakeups.first().map(|(time, _)| *time)
    }

    /// The runs that want to be woken by now.
    pub(crate) fn due(&self, now: Timestamp) -> impl Iterator<Item = RunId> + '_ {
        self.wakeups.iter().take_while(move |(time, _)| *time <= now).map(|(_, id)| *id)
    }
}

/// Keeps up with a run that was so and is so. What nobody wants anything of is not kept.
fn follow(
    demands: &mut BTreeMap<ClusterToken, Demand>,
    run: (Timestamp, RunId),
    namespace: &Arc<str>,
    was: InCluster,
    is: InCluster,
) {
    let demand = demands.entry(was.cluster).or_default();
    demand.follow(run, namespace, was, is);
    if demand.is_none() {
        demands.remove(&was.cluster);
    }
}
