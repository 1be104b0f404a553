//! One limit: what it allows, who waits for it, who holds it, and when its latest starts were.

use std::{
    collections::{BTreeSet, VecDeque},
    num::NonZeroU32,
};

use crate::time::Timestamp;

/// What a limit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LimitConfig {
    /// How many may hold it at the same time, [`SIZE_MAX`] at most; any number where none is set.
    pub size: Option<NonZeroU32>,
    /// How many may start in a time; any number where none is set.
    pub rate: Option<Rate>,
}

/// What a limit allows that nobody has configured: one holder at a time.
impl Default for LimitConfig {
    fn default() -> Self {
        Self { size: Some(NonZeroU32::MIN), rate: None }
    }
}

/// So many starts in any time of that length: a start at `t` counts in all moments from `t` until just before `t + period_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// [`STARTS_MAX`] at most: each of them is remembered until it counts no more.
    pub starts: NonZeroU32,
    /// From [`PERIOD_MS_MIN`] to [`PERIOD_MS_MAX`].
    pub period_ms: u64,
}

/// The most limits that a step may name: so many queues are looked at for each start.
pub const LIMITS_PER_STEP_MAX: usize = 8;

/// The largest size of a limit. Beyond it there is nothing that is worth a limit.
pub const SIZE_MAX: u32 = 1_000_000;

/// The most starts of a rate.
pub const STARTS_MAX: u32 = 10_000;

/// The shortest period of a rate: the clock's unit.
pub const PERIOD_MS_MIN: u64 = 1;

/// The longest period of a rate: a day.
pub const PERIOD_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// A limit. Who waits and who holds is named by sequence numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Limit {
    pub(super) config: Option<LimitConfig>,
    /// By arrival.
    pub(super) queue: BTreeSet<u64>,
    /// By grant.
    pub(super) held: BTreeSet<u64>,
    /// Ascending. Empty where there is no rate.
    starts: VecDeque<Timestamp>,
}

impl Limit {
    fn rules(&self) -> LimitConfig {
        self.config.unwrap_or_default()
    }

    pub(super) fn has_room(&self) -> bool {
        self.rules().size.is_none_or(|size| self.held.len() < size.get() as usize)
    }

    /// When the rate allows the next start: a time that has passed where it does now.
    pub(super) fn allows_at(&self) -> Timestamp {
        let next = self.rules().rate.and_then(|rate| {
            // With this one gone there are fewer in the period than are allowed.
            let blocking = self.starts.len().checked_sub(rate.starts.get() as usize)?;
            Some(self.starts.get(blocking)?.plus(rate.period_ms))
        });
        next.unwrap_or_default()
    }

    /// Counts a start, where starts count. None is earlier than those before it.
    pub(super) fn count_start(&mut self, at: Timestamp) {
        if self.rules().rate.is_some() {
            self.forget_starts(at);
            self.starts.push_back(at);
        }
    }

    /// What counted under the old rate counts under the new one.
    pub(super) fn configure(&mut self, config: Option<LimitConfig>, now: Timestamp) {
        self.forget_starts(now);
        self.config = config;
        if self.rules().rate.is_none() {
            self.starts.clear();
        }
    }

    /// Forgets the starts that do not count any more.
    fn forget_starts(&mut self, now: Timestamp) {
        let period_ms = self.rules().rate.map_or(0, |rate| rate.period_ms);
        while self.starts.front().is_some_and(|start| start.plus(period_ms) <= now) {
            self.starts.pop_front();
        }
    }

    /// Whether all of it can be forgotten.
    pub(super) fn is_unused(&self) -> bool {
        self.config.is_none() && self.queue.is_empty() && self.held.is_empty()
    }
}
