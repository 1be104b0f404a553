//! How much is in flight, and what waits for room, in all partitions: so that room is shared fairly among runs of different
//! ones, also of different schedulers.
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
use windlass_proto::{subject::Subject, v1};

/// How often a process tells the others.
const TELLS: Duration = Duration::from_secs(1);

/// How long what another process told is believed.
const BELIEVED: Duration = Duration::from_secs(5);

/// How many namespaces a process tells of at most: those with the most in flight.
const NAMESPACES: usize = 1000;

/// What is in flight and what waits.
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

    /// As a message to other schedulers.
    fn encode(&self, member: &str) -> Bytes {
        let mut namespaces: Vec<_> = self.in_flight.iter().collect();
        namespaces.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        namespaces.truncate(NAMESPACES);
        let in_flight = namespaces.into_iter().map(|(namespace, count)| {
            (namespace.to_string(), u32::try_from(*count).unwrap_or(u32::MAX))
        });
        let load = v1::SchedulerLoad {
            member: member.to_owned(),
            in_flight: in_flight.collect(),
            waiting_priority: self.waits,
        };
        load.encode_to_vec().into()
    }
}

/// What is known of all partitions.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Of this process, by partition.
    here: BTreeMap<u32, Load>,
    /// Of others, by their names, and when they told.
    others: HashMap<String, (Load, Instant)>,
}

impl Board {
    /// What is known of all partitions but this one.
    pub(crate) fn elsewhere(&self, partition: u32) -> Load {
        let mut known = self.known();
        known.others.retain(|_, (_, heard)| heard.elapsed() < BELIEVED);
        let mut all = Load::default();
        let here = known.here.iter().filter(|(other, _)| **other != partition);
        here.map(|(_, load)| load).for_each(|load| all.add(load));
        known.others.values().for_each(|(load, _)| all.add(load));
        all
    }

    /// Takes in how a partition of this process is.
    pub(crate) fn tell(&self, partition: u32, in_flight: &InFlight, waits: Option<i32>) {
        let mut known = self.known();
        let load = known.here.entry(partition).or_default();
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
    fn here(&self) -> Load {
        let mut all = Load::default();
        self.known().here.values().for_each(|load| all.add(load));
        all
    }

    /// Takes in what a process has told; nothing where it is this one, or makes no sense.
    fn hear(&self, member: &str, message: &Bytes) {
        let Ok(told) = v1::SchedulerLoad::decode(message.as_ref()) else { return };
        if told.member == member {
            return;
        }
        let in_flight = told.in_flight.into_iter();
        let in_flight = in_flight.map(|(name, count)| (Arc::from(name), count as usize)).collect();
        let load = Load { in_flight, waits: told.waiting_priority };
        self.known().others.insert(told.member, (load, Instant::now()));
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
                let load = board.here();
                let is_idle = load == Load::default();
                // An idle one says so once. What is not told is believed for a while, and then not any more.
                if !(is_idle && was_idle) {
                    let _ = bus.publish(Subject::Load, load.encode(&member).into()).await;
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
        for (partition, count, waits) in [(0, 3, Some(9)), (1, 4, None), (2, 5, Some(-1))] {
            let Load { in_flight, waits } = load("a", count, waits);
            board.tell(partition, &in_flight, waits);
        }
        assert_eq!(board.elsewhere(0), load("a", 9, Some(-1)));
        let told = load("a", 7, Some(2)).encode("other");
        board.hear("me", &told);
        board.hear("other", &told);
        board.hear("me", &Bytes::from_static(b"\xff"));
        assert_eq!(board.elsewhere(0), load("a", 16, Some(2)));
        board.forget(1);
        board.tell(2, &InFlight::new(), None);
        assert_eq!(board.elsewhere(0), load("a", 7, Some(2)));
        assert_eq!(board.here(), load("a", 3, Some(9)));
    }
}
