//! Named limits: who may start, of many who each want places of some limits, across runs.
//!
//! ```text
//!   ask ──▶ waits ──grant──▶ holds ──release──▶ gone
//!                              ▲
//!   assert ────────────────────┘
//! ```
//!
//! A holder, such as an attempt of a step, gets all the limits that it names, or none. It starts when it is the first in
//! the queue of each of them, each has a free place, and each rate allows a start. There is one order of arrival for all
//! queues, so that whoever has waited longest is the first in all of its own: nobody waits in a circle, nobody starves. The
//! price is that a free place stays free while who is first for it waits for another limit.
//!
//! All operations may be repeated: who holds or waits is known by name. Each takes time that grows with the logarithm of the
//! number of those who wait and hold, for each limit and each grant that it is about.

mod limit;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    ops::RangeBounds,
    sync::Arc,
};

use crate::time::Timestamp;
use limit::Limit;
pub use limit::{
    LIMITS_PER_STEP_MAX, LimitConfig, PERIOD_MS_MAX, PERIOD_MS_MIN, Rate, SIZE_MAX, STARTS_MAX,
};

/// The limits of a namespace, those who hold them and those who wait for them.
#[derive(Debug, Clone)]
pub struct Limits<H> {
    limits: BTreeMap<Arc<str>, Limit>,
    entries: BTreeMap<H, Entry>,
    /// The holders by their present sequence number.
    by_sequence: BTreeMap<u64, H>,
    /// The next number of an arrival or a grant.
    next: u64,
    /// Waiters to be looked at: something has changed for them.
    changed: BTreeSet<u64>,
    /// Waiters who only wait for a rate, by when it lets them start.
    timers: BTreeSet<(Timestamp, u64)>,
    /// The latest time that was told.
    now: Timestamp,
}

/// One who holds or waits.
#[derive(Debug, Clone)]
struct Entry {
    limits: Arc<[Arc<str>]>,
    sequence: u64,
    standing: Standing,
    /// Under which time it is among the timers.
    timer: Option<Timestamp>,
}

/// What somebody is to the limits that it has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has a place in each.
    Holds,
    /// It is in the queue of each.
    Waits,
}

/// A limit as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitState<'a> {
    /// Its name.
    pub name: &'a Arc<str>,
    /// What it was configured to be, if it was.
    pub config: Option<LimitConfig>,
    /// How many hold it: more than its size where it was made smaller, or where some were asserted.
    pub held: usize,
    /// How many wait for it.
    pub waiting: usize,
}

impl<H> Default for Limits<H> {
    fn default() -> Self {
        Self {
            limits: BTreeMap::new(),
            entries: BTreeMap::new(),
            by_sequence: BTreeMap::new(),
            next: 0,
            changed: BTreeSet::new(),
            timers: BTreeSet::new(),
            now: Timestamp::default(),
        }
    }
}

impl<H: Ord + Clone + Debug> Limits<H> {
    /// Has somebody hold these limits, whatever their sizes: it is known to have been granted them, by a store that forgot it.
    /// Does not count as a start. False where it holds some already: it keeps those.
    pub fn assert(&mut self, holder: &H, limits: &Arc<[Arc<str>]>) -> bool {
        match self.standing(holder) {
            Some(Standing::Holds) => return false,
            Some(Standing::Waits) => drop(self.take_out(holder)),
            None => {}
        }
        self.enter(holder.clone(), limits, Standing::Holds);
        true
    }

    /// Has somebody wait for these limits, behind all who wait already, until they are [granted](Self::grant). Who holds or
    /// waits keeps what it has asked for first, and its place. Answers with what it was before.
    pub fn ask(&mut self, holder: &H, limits: &Arc<[Arc<str>]>) -> Option<Standing> {
        let before = self.standing(holder);
        if before.is_none() {
            let sequence = self.enter(holder.clone(), limits, Standing::Waits);
            self.changed.insert(sequence);
        }
        before
    }

    /// Has somebody hold nothing and wait for nothing any more. Answers with what it was before.
    pub fn release(&mut self, holder: &H) -> Option<Standing> {
        self.take_out(holder).map(|entry| entry.standing)
    }

    /// Configures a limit, or forgets its configuration. Who holds it goes on holding it. Starts count from when a limit was
    /// given a rate; with another rate, those count on that counted just before.
    pub fn configure(&mut self, name: &str, config: Option<LimitConfig>, now: Timestamp) {
        self.now = self.now.max(now);
        self.limits.entry(name.into()).or_default().configure(config, self.now);
        self.front_has_changed(name);
    }

    /// Counts a start of earlier times against a limit's rate, where it has one: for who brings back what was stored.
    pub fn count_start(&mut self, name: &str, at: Timestamp) {
        self.now = self.now.max(at);
        if let Some(limit) = self.limits.get_mut(name) {
            limit.count_start(self.now);
        }
        self.front_has_changed(name);
    }

    /// Grants what has become possible, to `most` holders at most. Answers with them, in the order in which they had arrived.
    /// Time does not go back: a time that is earlier than one before counts as that.
    pub fn grant(&mut self, now: Timestamp, most: usize) -> Vec<H> {
        self.now = self.now.max(now);
        while let Some(timer) = self.timers.first().copied().filter(|(at, _)| *at <= self.now) {
            self.changed.insert(timer.1);
            self.timers.remove(&timer);
        }
        let mut granted = Vec::new();
        // Only those who came later than who is granted something can be the first in its place.
        while granted.len() < most
            && let Some(sequence) = self.changed.pop_first()
        {
            granted.extend(self.look_at(sequence));
        }
        granted
    }

    /// When there may be something to grant, if nothing else happens before: when a rate lets somebody start who waits for
    /// nothing else; none where no time helps. The present time where [`Self::grant`] has left something, or was not called
    /// since something changed.
    pub fn next_at(&self) -> Option<Timestamp> {
        if !self.changed.is_empty() {
            return Some(self.now);
        }
        self.timers.first().map(|(at, _)| *at)
    }

    /// Grants a waiter its limits if it may start, and sees to it that it is looked at again when time lets it start.
    fn look_at(&mut self, sequence: u64) -> Option<H> {
        let holder = self.by_sequence.get(&sequence)?.clone();
        let start = self.may_start_at(self.entries.get(&holder)?);
        let entry = self.entries.get_mut(&holder)?;
        if let Some(at) = entry.timer.take() {
            self.timers.remove(&(at, sequence));
        }
        let at = start?;
        if at > self.now {
            entry.timer = Some(at);
            self.timers.insert((at, sequence));
            return None;
        }
        let entry = self.take_out(&holder)?;
        for name in entry.limits.iter() {
            if let Some(limit) = self.limits.get_mut(name) {
                limit.count_start(self.now);
            }
        }
        self.enter(holder.clone(), &entry.limits, Standing::Holds);
        Some(holder)
    }

    /// From when on a waiter may start, as things are; none where no time helps.
    fn may_start_at(&self, waiter: &Entry) -> Option<Timestamp> {
        waiter.limits.iter().try_fold(Timestamp::default(), |at, name| {
            let limit = self.limits.get(name)?;
            let is_first = limit.queue.first() == Some(&waiter.sequence);
            (is_first && limit.has_room()).then(|| at.max(limit.allows_at()))
        })
    }

    fn enter(&mut self, holder: H, limits: &Arc<[Arc<str>]>, standing: Standing) -> u64 {
        let sequence = self.next;
        self.next += 1;
        for name in limits.iter() {
            let limit = self.limits.entry(Arc::clone(name)).or_default();
            match standing {
                Standing::Holds => limit.held.insert(sequence),
                Standing::Waits => limit.queue.insert(sequence),
            };
            if standing == Standing::Holds {
                // Who is the first may have waited for a rate alone, and now there is no place.
                self.front_has_changed(name);
            }
        }
        self.by_sequence.insert(sequence, holder.clone());
        let entry = Entry { limits: Arc::clone(limits), sequence, standing, timer: None };
        self.entries.insert(holder, entry);
        sequence
    }

    fn take_out(&mut self, holder: &H) -> Option<Entry> {
        let entry = self.entries.remove(holder)?;
        let sequence = entry.sequence;
        self.by_sequence.remove(&sequence);
        self.changed.remove(&sequence);
        if let Some(at) = entry.timer {
            self.timers.remove(&(at, sequence));
        }
        for name in entry.limits.iter() {
            if let Some(limit) = self.limits.get_mut(name) {
                match entry.standing {
                    Standing::Holds => limit.held.remove(&sequence),
                    Standing::Waits => limit.queue.remove(&sequence),
                };
            }
            self.front_has_changed(name);
        }
        Some(entry)
    }

    /// Has the first waiter of a limit looked at, and forgets a limit that nobody has anything to do with.
    fn front_has_changed(&mut self, name: &str) {
        let Some(limit) = self.limits.get(name) else { return };
        self.changed.extend(limit.queue.first());
        if limit.is_unused() {
            self.limits.remove(name);
        }
    }
}

/// What there is.
impl<H: Ord + Clone + Debug> Limits<H> {
    /// Whether nobody holds or waits, and nothing is configured.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.limits.is_empty()
    }

    /// What somebody is; none where it neither holds nor waits.
    pub fn standing(&self, holder: &H) -> Option<Standing> {
        self.entries.get(holder).map(|entry| entry.standing)
    }

    /// The limits that somebody holds or waits for.
    pub fn limits_of(&self, holder: &H) -> Option<&Arc<[Arc<str>]>> {
        self.entries.get(holder).map(|entry| &entry.limits)
    }

    /// What a limit was configured to be.
    pub fn config(&self, name: &str) -> Option<LimitConfig> {
        self.limits.get(name).and_then(|limit| limit.config)
    }

    /// All limits that are configured, held or waited for, by name.
    pub fn states(&self) -> impl Iterator<Item = LimitState<'_>> {
        self.limits.iter().map(|(name, limit)| LimitState {
            name,
            config: limit.config,
            held: limit.held.len(),
            waiting: limit.queue.len(),
        })
    }

    /// Who holds a limit, the longest first.
    pub fn holders(&self, name: &str) -> impl Iterator<Item = &H> {
        let held = self.limits.get(name).into_iter().flat_map(|limit| &limit.held);
        held.filter_map(|sequence| self.by_sequence.get(sequence))
    }

    /// Who waits for a limit, in the order of arrival.
    pub fn waiters(&self, name: &str) -> impl Iterator<Item = &H> {
        let queue = self.limits.get(name).into_iter().flat_map(|limit| &limit.queue);
        queue.filter_map(|sequence| self.by_sequence.get(sequence))
    }

    /// For each of the limits that somebody waits for, how many stand before it; nothing where it does not wait. Takes time
    /// that grows with that number.
    pub fn places(&self, holder: &H) -> Vec<(Arc<str>, usize)> {
        let waiter = self.entries.get(holder).filter(|entry| entry.standing == Standing::Waits);
        let Some(Entry { limits, sequence, .. }) = waiter else { return Vec::new() };
        let before = |name: &Arc<str>| {
            let limit = self.limits.get(name);
            let before = limit.map_or(0, |limit| limit.queue.range(..sequence).count());
            (Arc::clone(name), before)
        };
        limits.iter().map(before).collect()
    }

    /// All within a range who hold or wait, in their own order.
    pub fn entries(&self, range: impl RangeBounds<H>) -> impl Iterator<Item = (&H, Standing)> {
        self.entries.range(range).map(|(holder, entry)| (holder, entry.standing))
    }
}
