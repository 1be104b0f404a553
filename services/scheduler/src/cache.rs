//! The runs that a partition's loop holds in memory, and which of them want something when.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use windlass_engine::{
    run::Run,
    share::{Contender, InFlight},
    time::Timestamp,
};
use windlass_proto::id::RunId;
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
    marks: Marks,
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

/// Under what a run stands in the cache's indexes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Marks {
    wakeup: Option<Timestamp>,
    hungry: bool,
    unconfirmed: usize,
    in_flight: usize,
}

/// The runs in memory, with indexes by what they want. After every change of a run, [`Cache::refresh`] it.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    runs: BTreeMap<RunId, CachedRun>,
    wakeups: BTreeSet<(Timestamp, RunId)>,
    /// Runs that could launch if there were room, the oldest first.
    hungry: BTreeSet<(Timestamp, RunId)>,
    unconfirmed: usize,
    /// By namespace; none of them is 0.
    in_flight: InFlight,
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
        let marks = Marks::default();
        self.runs.insert(id, CachedRun { run, version, created_at, home, marks });
    }

    pub(crate) fn remove(&mut self, id: RunId) {
        if let Some(cached) = self.runs.remove(&id) {
            let CachedRun { created_at, marks, home, .. } = cached;
            self.mark(id, created_at, &home.namespace, marks, Marks::default());
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
        let new = Marks {
            wakeup: cached.run.next_wakeup(now),
            hungry: cached.run.may_launch(),
            unconfirmed: cached.run.unconfirmed(),
            in_flight: cached.run.record().in_flight() as usize,
        };
        let old = std::mem::replace(&mut cached.marks, new);
        let (created_at, namespace) = (cached.created_at, cached.home.namespace.clone());
        self.mark(id, created_at, &namespace, old, new);
    }

    /// How many attempts are ordered of which no launcher has said that they exist.
    pub(crate) fn unconfirmed(&self) -> usize {
        self.unconfirmed
    }

    /// The runs that could launch if there were room, the oldest first.
    pub(crate) fn hungry(&self) -> Vec<Contender<RunId>> {
        let contender = |(_, id): &(Timestamp, RunId)| {
            let CachedRun { run, home, .. } = &self.runs[id];
            let (namespace, priority) = (home.namespace.clone(), run.graph().policy().priority);
            Contender { run: *id, namespace, priority }
        };
        self.hungry.iter().map(contender).collect()
    }

    /// Whether there are any.
    pub(crate) fn is_hungry(&self) -> bool {
        !self.hungry.is_empty()
    }

    /// The highest priority of runs that could launch if there were room.
    pub(crate) fn waits(&self) -> Option<i32> {
        self.hungry.iter().map(|(_, id)| self.runs[id].run.graph().policy().priority).max()
    }

    /// How many attempts are in flight.
    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Some of the runs with attempts of which no launcher has said that they exist, each with its version.
    pub(crate) fn waiting_for_launchers(&self, most: usize) -> Vec<(RunId, Version)> {
        let waiting = self.runs.iter().filter(|(_, cached)| cached.marks.unconfirmed > 0);
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

    fn mark(
        &mut self,
        id: RunId,
        created_at: Timestamp,
        namespace: &Arc<str>,
        old: Marks,
        new: Marks,
    ) {
        if old.wakeup != new.wakeup {
            old.wakeup.map(|time| self.wakeups.remove(&(time, id)));
            new.wakeup.map(|time| self.wakeups.insert((time, id)));
        }
        if new.hungry {
            self.hungry.insert((created_at, id));
        } else {
            self.hungry.remove(&(created_at, id));
        }
        self.unconfirmed = self.unconfirmed - old.unconfirmed + new.unconfirmed;
        if old.in_flight != new.in_flight {
            let in_flight = self.in_flight.entry(namespace.clone()).or_default();
            *in_flight = *in_flight - old.in_flight + new.in_flight;
            if *in_flight == 0 {
                self.in_flight.remove(namespace);
            }
        }
    }
}
