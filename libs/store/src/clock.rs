//! The time of a store that is served by one process.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use windlass_engine::time::Timestamp;

/// The system's time at the opening, carried on by a clock that nobody sets. Never behind what was stored before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    opened: Instant,
    opened_at: Timestamp,
}

impl Clock {
    /// Starts at the system's time, or at the newest time in the store where the system's clock was set back since.
    pub(crate) fn start(newest: Timestamp) -> Self {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { opened: Instant::now(), opened_at: Timestamp(milliseconds(system)).max(newest) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.opened_at.plus(milliseconds(self.opened.elapsed()))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_go_back_behind_what_is_stored() {
        let far = Timestamp(u64::MAX / 2);
        assert!(Clock::start(far).now() >= far);
        let clock = Clock::start(Timestamp(0));
        let (one, next) = (clock.now(), clock.now());
        assert!(next >= one && one > Timestamp(1_577_836_800_000), "after 2020");
    }
}
