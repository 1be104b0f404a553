//! Room for launches: how much there is, and who gets it. The rules are the engine's.
//!
//! Each cluster has room of its own: what waits for the launchers of one takes none of another's, and stands in nobody's way.

use std::collections::BTreeMap;

use windlass_engine::{
    output::Effect,
    share::{Sharing, Waits},
    time::Timestamp,
    window::Window,
};
use windlass_proto::{id::RunId, subject::ClusterToken};
use windlass_store::StoreError;

use crate::{
    partition::{Partition, TurnError},
    turn::Decision,
};

/// How long a loop waits for launchers to take what was ordered before it makes sure that they have not, in milliseconds: another
/// scheduler may have been told instead, which takes itself for the one who serves the partition.
const DOUBTS_MS: u64 = 2000;

/// How many runs are looked at then.
const DOUBTED: usize = 16;

/// After which time a loop looks again whose runs are held back by what waits elsewhere, in milliseconds.
const LOOK_AGAIN_MS: u64 = 200;

/// Of how many clusters of which no run wants anything it is remembered how fast their launchers are.
const REMEMBERED: usize = 64;

/// The room for launches in one cluster.
#[derive(Debug)]
pub(crate) struct Room {
    window: Window,
    /// Since when runs of which priority wait for room.
    waits: Waits,
    /// When to look whether what waits elsewhere still comes first.
    looks_again: Option<Timestamp>,
    /// When to make sure that launchers have not taken what was ordered.
    doubts: Option<Timestamp>,
}

/// How much room there was, and how much is left.
#[derive(Debug, Clone, Copy)]
struct Shared {
    room: usize,
    left: usize,
}

/// What a turn orders in one cluster.
#[derive(Debug, Clone, Copy, Default)]
struct Ordered {
    launches: usize,
    /// Whether steps are put in line for named limits.
    asks: bool,
}

/// The room of a partition in each cluster that it knows.
#[derive(Debug)]
pub(crate) struct Rooms {
    /// The most that a window lets through.
    most: usize,
    rooms: BTreeMap<ClusterToken, Room>,
    /// Which cluster comes first: another one in each turn, so that none has all that a run allows its clusters together.
    first: usize,
}

impl Rooms {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, rooms: BTreeMap::new(), first: 0 }
    }

    /// Forgets how fast launchers are. For how long runs have waited stays.
    pub(crate) fn reset(&mut self) {
        for room in self.rooms.values_mut() {
            room.window = Window::new(self.most);
        }
    }

    /// When a loop has to look again, for whatever reason.
    pub(crate) fn next_look(&self) -> Option<Timestamp> {
        self.rooms.values().flat_map(|room| [room.looks_again, room.doubts]).flatten().min()
    }

    /// These clusters and all that are known, in the order in which they have their turns.
    fn take_turns(&mut self, wanted: impl IntoIterator<Item = ClusterToken>) -> Vec<ClusterToken> {
        for cluster in wanted {
            self.rooms.entry(cluster).or_insert_with(|| Room {
                window: Window::new(self.most),
                waits: Waits::default(),
                looks_again: None,
                doubts: None,
            });
        }
        let mut clusters: Vec<_> = self.rooms.keys().copied().collect();
        if !clusters.is_empty() {
            self.first = (self.first + 1) % clusters.len();
            clusters.rotate_left(self.first);
        }
        clusters
    }

    /// Forgets clusters of which nobody wants anything, where there are too many.
    fn forget(&mut self, is_wanted: impl Fn(&ClusterToken) -> bool) {
        if self.rooms.len() > REMEMBERED {
            self.rooms.retain(|cluster, _| is_wanted(cluster));
        }
    }
}

impl Partition {
    /// Shares the room for launches among the runs that could use it.
    pub(crate) fn dispatch(&mut self, decisions: &mut BTreeMap<RunId, Decision>, now: Timestamp) {
        let wanted: Vec<_> = self.cache.demands().keys().copied().collect();
        let clusters = self.rooms.take_turns(wanted);
        let share = |cluster| (cluster, self.share(cluster, decisions, now));
        let shared: Vec<_> = clusters.into_iter().map(share).collect();
        let ordered = self.ordered(decisions);
        for (cluster, shared) in shared {
            let ordered = ordered.get(&cluster).copied().unwrap_or_default();
            self.settle_room(cluster, shared, ordered, now);
        }
        let demands = self.cache.demands();
        self.rooms.forget(|cluster| demands.contains_key(cluster));
    }

    /// Shares the room in one cluster.
    fn share(
        &mut self,
        cluster: ClusterToken,
        decisions: &mut BTreeMap<RunId, Decision>,
        now: Timestamp,
    ) -> Shared {
        let Self { rooms, cache, board, number, .. } = self;
        let Some(Room { window, waits, looks_again, .. }) = rooms.rooms.get_mut(&cluster) else {
            return Shared { room: 0, left: 0 };
        };
        *looks_again = None;
        let demand = cache.demands().get(&cluster);
        let room = window.room(demand.map_or(0, |demand| demand.unconfirmed), now);
        let hungry = if room > 0 { cache.hungry(cluster) } else { Vec::new() };
        if hungry.is_empty() {
            return Shared { room, left: room };
        }
        let elsewhere = board.elsewhere(*number, cluster);
        let comes_first = |waits| hungry.iter().any(|contender| contender.priority < waits);
        if elsewhere.waits.is_some_and(comes_first) {
            *looks_again = Some(now.plus(LOOK_AGAIN_MS));
        }
        let mut in_flight = elsewhere.in_flight;
        for (namespace, count) in demand.into_iter().flat_map(|demand| &demand.in_flight) {
            *in_flight.entry(namespace.clone()).or_default() += count;
        }
        let sharing = Sharing { room, contenders: &hungry, in_flight, elsewhere: elsewhere.waits };
        let left = sharing.share(waits, now, |id, room| {
            let cached = cache.get_mut(*id).expect("the index names runs that are there");
            let index = cached.index(cluster).expect("it is hungry for this cluster");
            let decision = decisions.entry(*id).or_default();
            let taken = cached.run.dispatch(index, room, now, &mut decision.output);
            cache.refresh(*id, now);
            taken
        });
        Shared { room, left }
    }

    /// What a turn orders, by cluster. Launches of limits that were granted, and of runs that were loaded, are among them.
    fn ordered(
        &mut self,
        decisions: &BTreeMap<RunId, Decision>,
    ) -> BTreeMap<ClusterToken, Ordered> {
        let mut ordered: BTreeMap<ClusterToken, Ordered> = BTreeMap::new();
        for (id, decision) in decisions {
            let Some(cached) = self.cache.get_mut(*id) else { continue };
            for effect in &decision.output.effects {
                let (launches, asks) = match effect {
                    Effect::Launch(_) => (1, false),
                    Effect::Acquire(_) => (0, true),
                    Effect::Stop(_) | Effect::Probe(_) | Effect::Hold(_) | Effect::Release(_) => {
                        continue;
                    }
                };
                let cluster = cached.cluster(effect.attempt().step);
                let of_cluster = ordered.entry(cluster).or_default();
                of_cluster.launches += launches;
                of_cluster.asks |= asks;
            }
        }
        ordered
    }

    /// Takes in what became of the room in one cluster.
    fn settle_room(
        &mut self,
        cluster: ClusterToken,
        Shared { room, left }: Shared,
        ordered: Ordered,
        now: Timestamp,
    ) {
        let is_hungry = self.cache.is_hungry(cluster);
        let Some(it) = self.rooms.rooms.get_mut(&cluster) else { return };
        // Those that have to wait in line leave the room that was kept for them.
        if ordered.asks && is_hungry {
            it.looks_again = Some(now);
        }
        let is_full = left == 0 && is_hungry;
        it.window.order(ordered.launches, is_full, now);
        it.doubts = match it.doubts {
            _ if room > 0 || !is_hungry => None,
            None => Some(now.plus(DOUBTS_MS)),
            since => since,
        };
        let waits = if is_full || room == 0 { self.cache.waits(cluster) } else { None };
        let demand = self.cache.demands().get(&cluster);
        self.board.tell(self.number, cluster, demand.map(|demand| &demand.in_flight), waits);
    }

    /// Where nothing was taken for long that was ordered, sees whether these runs have gone on elsewhere, and reads them anew.
    pub(crate) async fn make_sure(&mut self, now: Timestamp) -> Result<(), TurnError> {
        let doubted = |(cluster, room): (&ClusterToken, &mut Room)| {
            room.doubts.take_if(|due| *due <= now).map(|_| *cluster)
        };
        let doubted: Vec<_> = self.rooms.rooms.iter_mut().filter_map(doubted).collect();
        let waiting = |cluster| self.cache.waiting_for_launchers(cluster, DOUBTED);
        let runs: BTreeMap<_, _> = doubted.into_iter().flat_map(waiting).collect();
        for (id, version) in runs {
            match self.store.read_record(id).await {
                Ok(Some((present, _))) if present == version => {}
                Err(StoreError::Damaged(_)) => {}
                Ok(_) => {
                    self.cache.remove(id);
                    self.owing.insert(id);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
