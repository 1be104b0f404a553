//! Who gets room where more steps are ready than there is room for: by priority, then by namespace, then by age.
//!
//! ```text
//!   overdue priorities: one start each
//!   highest priority ──▶ namespaces: who has the fewest attempts in flight first, until all have as many
//!        │                    └──▶ runs: equal parts, the oldest first
//!        └──▶ what it leaves: the next priority
//! ```
//!
//! A priority that waits rises by 1 in every second, and is overdue once it has risen above all others that wait; after a start
//! it begins anew. So a priority is worth seconds of waiting, and nobody waits for ever.
//!
//! Nothing here knows runs: whoever asks names them as it likes.

use std::{collections::BTreeMap, sync::Arc};

use crate::time::Timestamp;

/// How long a priority waits to rise by 1, in milliseconds.
const RISE_MS: u64 = 1000;

/// A run with steps that are ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender<K> {
    /// The run.
    pub run: K,
    /// Where it lives.
    pub namespace: Arc<str>,
    /// The higher, the sooner.
    pub priority: i32,
}

/// How many attempts are in flight in each namespace.
pub type InFlight = BTreeMap<Arc<str>, usize>;

/// Since when each priority waits for a start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits(BTreeMap<i32, Timestamp>);

impl Waits {
    /// Takes in which priorities wait now.
    pub fn keep(&mut self, waiting: impl IntoIterator<Item = i32>, now: Timestamp) {
        let mut before = std::mem::take(&mut self.0);
        let since = |priority| (priority, before.remove(&priority).unwrap_or(now));
        self.0 = waiting.into_iter().map(since).collect();
    }

    /// The highest priority that waits.
    pub fn highest(&self) -> Option<i32> {
        self.0.keys().next_back().copied()
    }

    /// Whether a priority that waits has risen above another one.
    fn is_overdue(&self, priority: i32, above: i32, now: Timestamp) -> bool {
        let waited = self.0.get(&priority).map_or(0, |since| now.since(*since));
        let risen = i64::from(priority).saturating_add_unsigned(waited / RISE_MS);
        priority < above && risen > i64::from(above)
    }

    fn started(&mut self, priority: i32, now: Timestamp) {
        self.0.insert(priority, now);
    }
}

/// What is shared, and among whom.
#[derive(Debug)]
pub struct Sharing<'a, K> {
    /// How many attempts may be ordered.
    pub room: usize,
    /// Runs with steps that are ready: those of a priority and a namespace with the oldest first.
    pub contenders: &'a [Contender<K>],
    /// All attempts in flight, also those of runs that do not contend.
    pub in_flight: InFlight,
    /// The highest priority that waits for room elsewhere.
    pub elsewhere: Option<i32>,
}

impl<K> Sharing<'_, K> {
    /// Offers room to runs; each tells how much of what it is offered it takes. Tells how much room is left: where that is
    /// none, some may wait.
    pub fn share(
        mut self,
        waits: &mut Waits,
        now: Timestamp,
        mut offer: impl FnMut(&K, usize) -> usize,
    ) -> usize {
        let mut priorities: BTreeMap<i32, BTreeMap<&Arc<str>, Vec<&K>>> = BTreeMap::new();
        for Contender { run, namespace, priority } in self.contenders {
            priorities.entry(*priority).or_default().entry(namespace).or_default().push(run);
        }
        waits.keep(priorities.keys().copied(), now);
        let Some(highest) = waits.highest().into_iter().chain(self.elsewhere).max() else {
            return self.room;
        };
        let overdue: Vec<i32> =
            priorities.keys().copied().filter(|it| waits.is_overdue(*it, highest, now)).collect();
        for priority in overdue.into_iter().rev() {
            let most = self.room.min(1);
            self.share_of(&priorities[&priority], most, priority, waits, now, &mut offer);
        }
        for (priority, namespaces) in priorities.iter().rev() {
            // What waits elsewhere comes before it.
            if self.elsewhere.is_some_and(|elsewhere| elsewhere > *priority) {
                break;
            }
            let most = self.room;
            self.share_of(namespaces, most, *priority, waits, now, &mut offer);
        }
        self.room
    }

    /// Shares some of the room among the namespaces of a priority.
    fn share_of(
        &mut self,
        namespaces: &BTreeMap<&Arc<str>, Vec<&K>>,
        most: usize,
        priority: i32,
        waits: &mut Waits,
        now: Timestamp,
        offer: &mut impl FnMut(&K, usize) -> usize,
    ) {
        let mut left = most;
        let mut hungry: Vec<_> = namespaces.iter().collect();
        // What some leave of their parts goes to those who can use it.
        while left > 0 && !hungry.is_empty() {
            let in_flight = |name: &Arc<str>| self.in_flight.get(name).copied().unwrap_or(0);
            hungry.sort_by_key(|(name, _)| in_flight(name));
            let has: Vec<usize> = hungry.iter().map(|(name, _)| in_flight(name)).collect();
            let (level, mut over) = level(&has, left);
            hungry.retain(|(name, runs)| {
                let has = self.in_flight.entry(Arc::clone(name)).or_default();
                let mut part = level.saturating_sub(*has);
                if over > 0 && *has <= level {
                    part += 1;
                    over -= 1;
                }
                let taken = share_among(runs, part, offer);
                *has += taken;
                left -= taken;
                self.room -= taken;
                if taken > 0 {
                    waits.started(priority, now);
                }
                taken == part
            });
        }
    }
}

/// Shares some room among runs; tells how much they took.
fn share_among<K>(runs: &[&K], room: usize, offer: &mut impl FnMut(&K, usize) -> usize) -> usize {
    let mut left = room;
    // What some leave of their equal parts goes to those who can use it.
    for is_last in [false, true] {
        for (at, run) in runs.iter().enumerate() {
            let part = if is_last { left } else { left.div_ceil(runs.len() - at) };
            if part > 0 {
                left -= offer(run, part).min(part);
            }
        }
    }
    room - left
}

/// How high so much fills those that have so much each, ascending: the lowest first. What is left over then is less than one for
/// each of those that are filled.
fn level(has: &[usize], pours: usize) -> (usize, usize) {
    let (mut below, mut height, mut over) = (0, 0, 0);
    for (at, it) in has.iter().enumerate() {
        let count = at + 1;
        below += it;
        (height, over) = ((below + pours) / count, (below + pours) % count);
        if has.get(count).is_none_or(|next| *next > height) {
            break;
        }
    }
    (height, over)
}
