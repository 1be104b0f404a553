//! The scheduler: drives the engine.
//!
//! ```text
//!   EVENT ──▶ inbox ──▶ decide ──▶ commit ──▶ publish ──▶ ack
//!             (bus)     (engine)   (store)    LAUNCH, CONTROL, CHANGE
//! ```
//!
//! Each partition of the runs is served by one loop ([`partition`]). A turn of it takes a batch of events, applies them
//! to the runs they belong to, commits what the engine decided in one call, each run under its own version check,
//! keeps the results that others may take ([`results`]), publishes what follows from it, and only then acknowledges the events
//! ([`turn`]). A batch is what came in during the turn
//! before: one event when idle, hundreds under load. Several schedulers share the partitions by leases ([`keeper`]).
//!
//! **Invariants.** No rule about runs lives here; those are the engine's. Nothing is published before it is committed.
//! Safety rests on the version check alone: a loop that lost its partition does no harm.

mod amend;
mod cache;
mod clock;
mod company;
mod dispatch;
#[cfg(test)]
mod fixture;
mod inbox;
mod keeper;
mod limits;
mod load;
mod loops;
mod outbox;
mod partition;
pub mod program;
mod results;
mod retention;
mod turn;
mod unsent;

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use windlass_bus::Bus;
use windlass_store::Store;

pub use retention::Retention;

use crate::keeper::Keeper;

/// What a scheduler needs to know.
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    /// Into how many partitions runs are divided; the same for all services, for ever.
    pub partitions: u32,
    /// Which of them this scheduler serves.
    pub ownership: Ownership,
    /// The most attempts of one partition and one cluster that are ordered and of which no launcher has said that they exist. It
    /// bounds what waits in the LAUNCH stream, so that a wide run does not stand in the way of the others; mostly they are fewer: see
    /// [`window`](windlass_engine::window).
    pub launch_window: NonZeroUsize,
    /// The most attempts that one command names.
    pub command_size: NonZeroUsize,
    /// The most messages that one turn takes.
    pub batch: NonZeroUsize,
    /// How often what is owed for longer than this is asked for again, and the active runs are read anew.
    pub sweep: Duration,
    /// How long finished runs are kept; none means until they are deleted.
    pub retention: Option<Retention>,
}

/// Which partitions a scheduler serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// All of them: it takes itself for the only one. Others that do the same cost time, and do no harm.
    All,
    /// A fair share, as long as it is heard of.
    Leased {
        /// Names this scheduler among the others.
        member: String,
        /// How long it is not heard of before others take its partitions.
        lease_time: Duration,
    },
}

/// Serves until `shutdown`; returns when every loop has ended its turn and the partitions are given up.
pub async fn run(
    config: SchedulerConfig,
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
    shutdown: CancellationToken,
) {
    Keeper::new(config, bus, store).run(shutdown).await;
}
