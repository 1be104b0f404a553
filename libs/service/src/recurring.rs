//! What goes wrong again and again, and is worth a line in the log only now and then. No I/O.

use std::time::Duration;

use tokio::time::Instant;

/// After the first time, a cause is told again no sooner than this; then after twice as long each time.
const FIRST_INTERVAL: Duration = Duration::from_secs(10);
/// The longest that a cause which goes on is not told.
const LONGEST_INTERVAL: Duration = Duration::from_mins(10);
/// A cause that did not come for this long is news when it does.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(1);
/// Causes that are remembered.
const MOST: usize = 10;

/// Decides what is told of something that fails for as long as its causes last: each cause at once when it is news, then at
/// growing intervals.
#[derive(Debug, Default)]
pub struct Recurring(Vec<Cause>);

#[derive(Debug)]
struct Cause {
    text: String,
    /// When it last came.
    last: Instant,
    /// When it may be told again.
    next: Instant,
    interval: Duration,
    /// How often it came since it was told.
    untold: u64,
}

impl Recurring {
    /// Takes in that something failed because of `cause`. Some where that is to be told: how often the same came since it was
    /// last told.
    pub fn came(&mut self, cause: &str, now: Instant) -> Option<u64> {
        self.0.retain(|known| now.duration_since(known.last) < FORGOTTEN_AFTER);
        let Some(known) = self.0.iter_mut().find(|known| known.text == cause) else {
            self.remember(cause, now);
            return Some(0);
        };
        known.last = now;
        if now < known.next {
            known.untold += 1;
            return None;
        }
        known.interval = (known.interval * 2).min(LONGEST_INTERVAL);
        known.next = now + known.interval;
        Some(std::mem::take(&mut known.untold))
    }

    fn remember(&mut self, cause: &str, now: Instant) {
        if self.0.len() >= MOST {
            // In the order in which they were first told.
            self.0.remove(0);
        }
        self.0.push(Cause {
            text: cause.to_owned(),
            last: now,
            next: now + FIRST_INTERVAL,
            interval: FIRST_INTERVAL,
            untold: 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a cause that comes every second is told, in seconds from its beginning, and how often it came before.
    fn told(recurring: &mut Recurring, seconds: u64) -> Vec<(u64, u64)> {
        let begin = Instant::now();
        let came = (0..seconds).filter_map(|second| {
            let now = begin + Duration::from_secs(second);
            Some((second, recurring.came("full", now)?))
        });
        came.collect()
    }

    #[test]
    fn a_cause_is_told_at_once_then_at_growing_intervals() {
        let mut recurring = Recurring::default();
        assert_eq!(
            told(&mut recurring, 100),
            [(0, 0), (10, 9), (30, 19), (70, 39)],
            "after 10 s, 20 s, 40 s"
        );
        let last = told(&mut Recurring::default(), 3600);
        let [.., (before, _), (last, untold)] = last[..] else { panic!("{last:?}") };
        assert_eq!((last - before, untold), (600, 599), "the longest interval");
    }

    #[test]
    fn another_cause_and_one_that_was_away_are_news() {
        let (mut recurring, begin) = (Recurring::default(), Instant::now());
        assert_eq!(recurring.came("full", begin), Some(0));
        assert_eq!(recurring.came("away", begin), Some(0));
        assert_eq!(recurring.came("full", begin), None, "they do not make each other news");
        assert_eq!(recurring.came("full", begin + FORGOTTEN_AFTER), Some(0));
    }

    #[test]
    fn causes_that_are_never_the_same_take_no_more_memory() {
        let (mut recurring, now) = (Recurring::default(), Instant::now());
        for number in 0..1000 {
            assert_eq!(recurring.came(&format!("number {number}"), now), Some(0));
        }
        assert_eq!(recurring.0.len(), MOST);
    }
}
