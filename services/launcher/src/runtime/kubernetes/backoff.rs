//! How long to wait before what has failed is tried again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// The first wait, and the longest. What is added at random is less than as much again.
const WAIT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(2500));

/// Backoff that grow, from 0.1 s to between 2.5 and 5 s.
#[derive(Debug)]
pub(super) struct Backoff(ExponentialBackoff);

impl Backoff {
    /// How long to wait now.
    pub(super) fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(WAIT.1)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        let waits = ExponentialBuilder::new()
            .with_min_delay(WAIT.0)
            .with_max_delay(WAIT.1)
            .with_jitter()
            .without_max_times();
        Self(waits.build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_are_never_all_alike() {
        let mut waits = Backoff::default();
        let first: Vec<Duration> = (0..20).map(|_| waits.next()).collect();
        for (number, wait) in first.iter().enumerate() {
            let least = (WAIT.0 * 2_u32.pow(number.min(10) as u32)).min(WAIT.1);
            assert!((least..=least * 2).contains(wait), "{number}: {wait:?}");
        }
        assert!(first[10..].windows(2).any(|pair| pair[0] != pair[1]), "{first:?}");
    }
}
