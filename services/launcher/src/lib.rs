//! The launcher: makes attempts real on a runtime and reports what becomes of them.
//!
//! ```text
//!   LAUNCH ──▶ intake ──▶ plan ──▶ Runtime ──▶ reporter ──▶ EVENT
//!                 └─ is it still wanted? ─ Store
//! ```
//!
//! **Invariants.** It decides nothing about runs: before it creates an attempt it asks the store whether it is still wanted, and
//! it never ends one that it was not told to end. It never waits with a command. All it knows can be found out again, by
//! asking the runtime.

mod clock;
mod intake;
pub mod log_file;
mod plan;
mod reporter;
pub mod runtime;
pub mod supervisor;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use windlass_bus::Bus;
use windlass_store::Store;

use crate::{
    intake::Intake,
    plan::Plans,
    runtime::{Report, ReportSender, Runtime},
};

/// A launcher on a runtime.
#[derive(Debug)]
pub struct Launcher<R> {
    /// Into how many partitions runs are divided; the same for all services, for ever.
    pub partitions: u32,
    /// Commands come and events go.
    pub bus: Arc<dyn Bus>,
    /// Says which attempts are still wanted.
    pub store: Arc<dyn Store>,
    /// What attempts run on.
    pub runtime: Arc<R>,
    /// Where the runtime sends its reports, too.
    pub reports: ReportSender,
    /// What is sent there.
    pub reported: mpsc::UnboundedReceiver<Report>,
}

impl<R: Runtime> Launcher<R> {
    /// Takes commands and reports until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { partitions, bus, store, runtime, reports, reported } = self;
        let plans = Plans::default();
        let intake = Intake { bus: bus.clone(), store, runtime, reports, plans };
        tokio::join!(
            intake.run(shutdown.clone()),
            reporter::run(reported, partitions, bus, shutdown.clone()),
        );
    }
}
