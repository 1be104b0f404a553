//! Keeps messages in the hands of whoever works on them.

use std::time::Duration;

use futures::future;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::Delivery;

/// How often it is said that work goes on: far more often than any bus would deliver again.
const INTERVAL: Duration = Duration::from_secs(1);

/// Works on messages, however long it takes, without their being delivered to somebody else meanwhile.
///
/// What the bus answers is not looked at: a message that was delivered again after all is one that comes twice, which whoever
/// works on messages can stand anyway.
pub async fn hold<T>(deliveries: &[Delivery], work: impl Future<Output = T>) -> T {
    let mut ticks = interval_at(Instant::now() + INTERVAL, INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            result = &mut work => return result,
            _ = ticks.tick() => {
                let told = deliveries.iter().map(|delivery| delivery.receipt.progress());
                let _ = future::join_all(told).await;
            }
        }
    }
}
