//! How much is ordered ahead of launchers.

use std::collections::VecDeque;

use crate::time::Timestamp;

/// How many attempts may wait for a launcher to take them: so many that launchers do not idle, and no more than they take within
/// seconds, since what was ordered cannot be overtaken any more.
///
/// It doubles when what fills it is taken within a second, and halves when something has waited for more than two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    most: usize,
    size: usize,
    /// Whether there were more to order than there was room for.
    was_full: bool,
    /// How many were ordered at all, and by when.
    ordered: u64,
    marks: VecDeque<(u64, Timestamp)>,
    halved_at: Timestamp,
}

/// How many it lets through in the beginning, and at least.
const FIRST: usize = 16;
const LEAST: usize = 4;

/// Within which time what was ordered is taken where it doubles, and after which it halves, in milliseconds.
const SOON_MS: u64 = 1000;
const LATE_MS: u64 = 2000;

impl Window {
    /// One that never lets more through than `most`.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            size: FIRST.min(most),
            was_full: false,
            ordered: 0,
            marks: VecDeque::new(),
            halved_at: Timestamp(0),
        }
    }

    /// How many may be ordered, where so many are ordered and not taken.
    pub fn room(&mut self, waiting: usize, now: Timestamp) -> usize {
        let taken = self.ordered.saturating_sub(waiting as u64);
        while self.marks.front().is_some_and(|(ordered, _)| *ordered <= taken) {
            self.marks.pop_front();
        }
        let age = self.marks.front().map_or(0, |(_, at)| now.since(*at));
        if age >= LATE_MS {
            if now.since(self.halved_at) >= LATE_MS {
                self.size = (self.size / 2).max(LEAST.min(self.most));
                self.halved_at = now;
            }
            self.was_full = false;
        } else if self.was_full && waiting <= self.size / 2 && age < SOON_MS {
            self.size = (self.size * 2).min(self.most);
            self.was_full = false;
        }
        self.size.saturating_sub(waiting)
    }

    /// So many were ordered, now or by somebody before whose runs were taken over; and whether there were more than there was
    /// room for.
    pub fn order(&mut self, count: usize, is_full: bool, now: Timestamp) {
        self.was_full |= is_full;
        if count > 0 {
            self.ordered += count as u64;
            self.marks.push_back((self.ordered, now));
        }
    }
}
