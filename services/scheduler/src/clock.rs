//! The store's time, carried on between two readings by this machine's monotonic clock.

use std::time::{Duration, Instant};

use windlass_engine::time::Timestamp;
use windlass_store::{Store, StoreError};

/// A clock set by the store. It never goes back.
#[derive(Debug)]
pub(crate) struct Clock {
    read: Timestamp,
    at: Instant,
}

impl Clock {
    /// Reads the store's time.
    pub(crate) async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        Ok(Self { read: store.now().await?, at: Instant::now() })
    }

    /// Reads the store's time again.
    pub(crate) async fn adjust(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let read = store.now().await?.max(self.now());
        *self = Self { read, at: Instant::now() };
        Ok(())
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.read.plus(u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// How long until a time has come; a millisecond longer than that, so that it has come for certain.
    pub(crate) fn until(&self, time: Timestamp) -> Duration {
        match time.since(self.now()) {
            0 => Duration::ZERO,
            ms => Duration::from_millis(ms.saturating_add(1)),
        }
    }
}
