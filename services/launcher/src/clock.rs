//! The one place where the launcher reads the system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use windlass_engine::time::Timestamp;

/// The time, as this machine has it; 1970 where it has it before that.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
