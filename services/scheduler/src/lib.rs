//! The scheduler: drives the engine.
//!
//! ```text
//!   EVENT ──▶ inbox ──▶ decide ──▶ commit ──▶ publish ──▶ ack
//!             (bus)     (engine)   (store)    LAUNCH, CHANGE
//! ```
//!
//! Each partition of the runs is served by one loop ([`partition`]). A turn of it takes a batch of events, applies them
//! to the runs they belong to, commits what the engine decided in one call, each run under its own version check,
//! publishes what follows from it, and only then acknowledges the events. A batch is what came in during the turn before: one
//! event when idle, hundreds under load.
//!
//! **Invariants.** No rule about runs lives here; those are the engine's. Nothing is published before it is committed.
//! Safety rests on the version check alone: a loop that lost its partition does no harm.

mod cache;
mod clock;
mod inbox;
mod outbox;
pub mod partition;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use windlass_bus::Bus;
use windlass_store::Store;

use crate::partition::Partition;

/// What a scheduler needs to know.
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    /// Into how many partitions runs are divided; the same for all services, for ever.
    pub partitions: u32,
    /// The most attempts of one partition that are ordered and of which no launcher has said that they exist. It bounds
    /// what waits in the LAUNCH stream, so that a wide run does not stand in the way of the others.
    pub launch_window: NonZeroUsize,
    /// The most attempts that one command names.
    pub command_size: NonZeroUsize,
    /// The most messages that one turn takes.
    pub batch: NonZeroUsize,
    /// How often what is owed for longer than this is asked for again, and the active runs are read anew.
    pub sweep: Duration,
}

/// Serves all partitions until `shutdown`; returns when every loop has ended its turn.
pub async fn run(
    config: SchedulerConfig,
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
    shutdown: CancellationToken,
) {
    let loops = TaskTracker::new();
    for partition in 0..config.partitions {
        let partition = Partition::new(partition, config.clone(), bus.clone(), store.clone());
        loops.spawn(partition.serve(shutdown.clone()));
    }
    loops.close();
    loops.wait().await;
}
