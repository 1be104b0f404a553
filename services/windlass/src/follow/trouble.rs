//! What keeps a run from going on: told once, and once more when it is over. No I/O.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

/// A run that changes, and of which nothing was warned for this long, goes on.
const QUIET: Duration = Duration::from_secs(1);
/// Different warnings that are told of one trouble.
const MOST: usize = 10;

/// Warnings since the run last went on.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    told: BTreeSet<String>,
    last: Option<Instant>,
    /// Whether the run has changed since the trouble began.
    changed: bool,
}

impl Trouble {
    /// Takes in a warning; true where it is to be told.
    pub(super) fn warned(&mut self, warning: &str, now: Instant) -> bool {
        self.last = Some(now);
        self.told.len() < MOST && self.told.insert(warning.to_owned())
    }

    /// Takes in that the run is other than before.
    pub(super) fn run_changed(&mut self) {
        self.changed = self.last.is_some();
    }

    /// Whether it is to be told that the run goes on: it has changed, and nothing was warned of for a while.
    pub(super) fn is_over(&mut self, now: Instant, run_ended: bool) -> bool {
        let is_quiet = run_ended || self.last.is_some_and(|last| now.duration_since(last) >= QUIET);
        let is_over = self.changed && is_quiet;
        if is_over {
            *self = Self::default();
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_once_and_its_end_when_the_run_changes_and_no_more_is_warned_of() {
        let (mut trouble, now) = (Trouble::default(), Instant::now());
        trouble.run_changed();
        assert!(!trouble.is_over(now + QUIET, false), "there was none");
        assert!(trouble.warned("full", now));
        assert!(!trouble.warned("full", now));
        assert!(trouble.warned("cannot be written", now));
        assert!(!trouble.is_over(now + QUIET, false), "the run stands still");
        trouble.run_changed();
        assert!(!trouble.is_over(now, false), "it may be warned of again");
        assert!(trouble.is_over(now + QUIET, false));
        assert!(!trouble.is_over(now + 2 * QUIET, false));
        assert!(trouble.warned("full", now), "it is another one");
        trouble.run_changed();
        assert!(trouble.is_over(now, true));
    }
}
