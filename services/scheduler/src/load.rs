//! How much is in flight, and what waits for room, in all partitions, for each cluster: so that its room is shared fairly among
//! runs of different ones, also of different schedulers.
//!
//! Each loop tells the board of its process, and a process tells the others every second. What is not heard any more does not
//! count. It is a picture of a moment ago: shares are about right, and nothing else depends on it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use prost::Message as _;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use windlass_bus::{Bus, BusError, Heard, Listener};
use windlass_engine::share::InFlight;
use windlass_proto::{
    subject::{ClusterToken, Subject},
    v1,
};

/// How often a process tells the others.
const TELLS: Duration = Duration::from_secs(1);

/// How long what another process told is believed.
const BELIEVED: Duration = Duration::from_secs(5);

/// How many namespaces a process tells of at most, all clusters together: those with the most in flight.
const NAMESPACES: usize = 1000;

/// What is in flight in one cluster, and what waits for room there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Attempts in flight.
    pub(crate) in_flight: InFlight,
    /// The highest priority that waits for room.
    pub(crate) waits: Option<i32>,
}

impl Load {
    fn add(&mut self, other: &Self) {
        for (namespace, count) in &other.in_flight {
            *self.in_flight.entry(namespace.clone()).or_default() += count;
        }
        self.waits = self.waits.max(other.waits);
    }
}

/// The same for all clusters where there is anything.
type Loads = BTreeMap<ClusterToken, Load>;

/// Loads as a message to other schedulers.
fn encode(loads: &Loads, member: &str) -> Bytes {
    let told = |(cluster, load): (&ClusterToken, &Load)| {
        let (cluster, waiting_priority) = (cluster.0, load.waits);
        (cluster, v1::ClusterLoad { cluster, waiting_priority, ..v1::ClusterLoad::default() })
    };
    let mut clusters: BTreeMap<u64, v1::ClusterLoad> = loads.iter().map(told).collect();
    let of_cluster = |(cluster, load): (&ClusterToken, &'_ Load)| {
        let cluster = cluster.0;
        let in_flight = load.in_flight.iter();
        in_flight.map(|(name, count)| (*count, cluster, name.clone())).collect::<Vec<_>>()
    };
    let mut namespaces: Vec<_> = loads.iter().flat_map(of_cluster).collect();
    namespaces.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
    namespaces.truncate(NAMESPACES);
    for (count, cluster, namespace) in namespaces {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let told = clusters.entry(cluster).or_default();
        told.in_flight.insert(namespace.to_string(), count);
    }
    let clusters = clusters.into_values().collect();
    v1::SchedulerLoad { member: member.to_owned(), clusters }.encode_to_vec().into()
}

/// What a message says; none where it makes no sense.
fn decode(message: &Bytes) -> Option<(String, Loads)> {
    let told = v1::SchedulerLoad::decode(message.as_ref()).ok()?;
    let load = |told: v1::ClusterLoad| {
        let in_flight = told.in_flight.into_iter();
        let in_flight = in_flight.map(|(name, count)| (Arc::from(name), count as usize)).collect();
        let waits = told.waiting_priority;
        (ClusterToken(told.cluster), Load { in_flight, waits })
    };
    Some((told.member, told.clusters.into_iter().map(load).collect()))
}

/// What is known of all partitions.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Of this process, by partition.
    here: BTreeMap<u32, Loads>,
    /// Of others, by their names, and when they told.
    others: HashMap<String, (Loads, Instant)>,
}

impl Board {
    /// What is known of a cluster in all partitions but this one.
    pub(crate) fn elsewhere(&self, partition: u32, cluster: ClusterToken) -> Load {
        let mut known = self.known();
        known.others.retain(|_, (_, heard)| heard.elapsed() < BELIEVED);
        let mut all = Load::default();
        let here = known.here.iter().filter(|(other, _)| **other != partition);
        let others = known.others.values().map(|(loads, _)| loads);
        for loads in here.map(|(_, loads)| loads).chain(others) {
            loads.get(&cluster).into_iter().for_each(|load| all.add(load));
        }
        all
    }

    /// Takes in how a partition of this process is in a cluster.
    pub(crate) fn tell(
        &self,
        partition: u32,
        cluster: ClusterToken,
        in_flight: Option<&InFlight>,
        waits: Option<i32>,
    ) {
        let mut known = self.known();
        let loads = known.here.entry(partition).or_default();
        let Some(in_flight) = in_flight.filter(|it| waits.is_some() || !it.is_empty()) else {
            loads.remove(&cluster);
            return;
        };
        let load = loads.entry(cluster).or_default();
        load.waits = waits;
        if load.in_flight != *in_flight {
            load.in_flight.clone_from(in_flight);
        }
    }

    /// Forgets a partition that is served here no longer.
    pub(crate) fn forget(&self, partition: u32) {
        self.known().here.remove(&partition);
    }

    /// What this process has to tell.
    fn here(&self) -> Loads {
        let mut all = Loads::new();
        for (cluster, load) in self.known().here.values().flatten() {
            all.entry(*cluster).or_default().add(load);
        }
        all
    }

    /// Takes in what a process has told; nothing where it is this one, or makes no sense.
    fn hear(&self, member: &str, message: &Bytes) {
        if let Some((other, loads)) = decode(message)
            && other != member
        {
            self.known().others.insert(other, (loads, Instant::now()));
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the other schedulers how this one is, and hears how they are, until `shutdown`.
pub(crate) async fn exchange(
    board: Arc<Board>,
    bus: Arc<dyn Bus>,
    member: String,
    shutdown: CancellationToken,
) {
    let mut listener = None;
    let mut was_idle = true;
    let mut ticks = tokio::time::interval(TELLS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {
                if listener.is_none() {
                    listener = bus.listen(Subject::Load).await.ok();
                }
                let loads = board.here();
                let is_idle = loads.is_empty();
                // An idle one says so once. What is not told is believed for a while, and then not any more.
                if !(is_idle && was_idle) {
                    let _ = bus.publish(Subject::Load, encode(&loads, &member).into()).await;
                }
                was_idle = is_idle;
            }
            heard = next(&mut listener) => match heard {
                Ok(Heard::Message(message)) => board.hear(&member, &message.payload),
                // The next word says all again.
                Ok(Heard::Gap) => {}
                Err(_) => listener = None,
            },
        }
    }
}

/// The next message; never where nobody listens.
async fn next(listener: &mut Option<Box<dyn Listener>>) -> Result<Heard, BusError> {
    match listener {
        Some(listener) => listener.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(namespace: &str, count: usize, waits: Option<i32>) -> Load {
        Load { in_flight: [(namespace.into(), count)].into(), waits }
    }

    #[test]
    fn a_partition_hears_of_all_others_and_not_of_itself() {
        let board = Board::default();
        let [here, there] = [ClusterToken::DEFAULT, ClusterToken::of("gpu")];
        for (partition, count, waits) in [(0, 3, Some(9)), (1, 4, None), (2, 5, Some(-1))] {
            let Load { in_flight, waits } = load("a", count, waits);
            board.tell(partition, here, Some(&in_flight), waits);
        }
        board.tell(1, there, Some(&load("a", 1, None).in_flight), Some(4));
        assert_eq!(board.elsewhere(0, here), load("a", 9, Some(-1)));
        assert_eq!(board.elsewhere(0, there), load("a", 1, Some(4)));
        assert_eq!(board.elsewhere(1, there), Load::default());
        let told = encode(&Loads::from([(here, load("a", 7, Some(2)))]), "other");
        board.hear("me", &told);
        board.hear("other", &told);
        board.hear("me", &Bytes::from_static(b"\xff"));
        assert_eq!(board.elsewhere(0, here), load("a", 16, Some(2)));
        assert_eq!(board.elsewhere(0, there), load("a", 1, Some(4)));
        board.forget(1);
        board.tell(2, here, None, None);
        assert_eq!(board.elsewhere(0, here), load("a", 7, Some(2)));
        assert_eq!(board.here(), Loads::from([(here, load("a", 3, Some(9)))]));
    }

    #[test]
    fn of_many_namespaces_those_with_the_most_in_flight_are_told_and_all_that_waits() {
        let in_flight = (1..=NAMESPACES).map(|count| (format!("n{count}").into(), count)).collect();
        let [busy, idle] = [ClusterToken(1), ClusterToken(2)];
        let loads = [(busy, Load { in_flight, waits: None }), (idle, load("few", 1, Some(3)))];
        let (member, told) = decode(&encode(&loads.into(), "me")).unwrap();
        assert_eq!((member.as_str(), told[&busy].in_flight.len()), ("me", NAMESPACES));
        assert_eq!(told[&idle], Load { in_flight: InFlight::new(), waits: Some(3) });
    }
}
