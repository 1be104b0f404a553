//! Which finished runs are kept, and the removal of those that are not.

use std::time::Duration;

use tracing::{info, warn};
use windlass_bus::{Bus, BusError};
use windlass_engine::time::Timestamp;
use windlass_proto::{removal, subject::Subject};
use windlass_store::{Committed, FinishedRuns, Store, StoreError};

/// How many runs are removed between two looks at the store.
const AT_ONCE: usize = 256;

/// How long finished runs are kept. What either limit says goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// For so long after their end.
    pub finished_for: Duration,
    /// At most so many of them, the latest.
    pub finished_runs: u64,
}

/// Why removal was given up; it goes on at the next time.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetentionError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Removes what is kept no longer, and tells launchers so.
pub(crate) async fn remove_expired(
    retention: Retention,
    store: &dyn Store,
    bus: &dyn Bus,
) -> Result<(), RetentionError> {
    loop {
        let finished = store.finished_runs(AT_ONCE).await?;
        let now = store.now().await?;
        let expired = retention.expired(&finished, now);
        let mut removed = 0;
        for it in &finished.oldest[..expired] {
            // One that was taken up again meanwhile has another version, and stays.
            match store.remove(it.run, it.version).await {
                Ok(Committed::Done(_)) => {
                    bus.publish(Subject::Removal, removal::encode(it.run).into()).await?;
                    removed += 1;
                }
                Ok(Committed::Conflict) => {}
                // It was found to be well a moment ago, and is passed over from now on.
                Ok(Committed::Damaged(why)) | Err(StoreError::Damaged(why)) => {
                    warn!(run = %it.run, why, "a run is not removed");
                }
                Err(error) => return Err(error.into()),
            }
        }
        if removed > 0 {
            info!(runs = removed, "finished runs were removed");
        }
        if removed < AT_ONCE {
            return Ok(());
        }
    }
}

impl Retention {
    /// How many of the oldest are kept no longer.
    fn expired(self, finished: &FinishedRuns, now: Timestamp) -> usize {
        let patience = u64::try_from(self.finished_for.as_millis()).unwrap_or(u64::MAX);
        let too_old = finished.oldest.partition_point(|it| now.since(it.ended_at) >= patience);
        let too_many = finished.total.saturating_sub(self.finished_runs);
        too_old.max(usize::try_from(too_many).unwrap_or(usize::MAX)).min(finished.oldest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_store::{FinishedRun, Version};

    #[test]
    fn a_run_is_kept_while_both_limits_allow_it() {
        let run = "run_0123456789abcdefghijklmnop".parse().unwrap();
        let ended = |ms| FinishedRun { run, version: Version::FIRST, ended_at: Timestamp(ms) };
        let finished = FinishedRuns { total: 9, oldest: [10, 20, 30].map(ended).to_vec() };
        let expired = |ms, finished_runs| {
            let finished_for = Duration::from_millis(ms);
            Retention { finished_for, finished_runs }.expired(&finished, Timestamp(100))
        };
        assert_eq!(expired(91, 9), 0);
        assert_eq!(expired(80, 9), 2, "as old as the limit is too old");
        assert_eq!(expired(91, 8), 1);
        assert_eq!(expired(80, 8), 2);
        assert_eq!(expired(91, 0), 3, "no more than were looked at");
    }
}
