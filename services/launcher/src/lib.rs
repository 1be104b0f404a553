//! The launcher: makes attempts real on a runtime and reports what becomes of them.
//!
//! ```text
//!   LAUNCH ──────▶ intake ──▶ launch ──▶ claims ──▶ Runtime ──▶ reporter ──▶ EVENT
//!   CONTROL, HOST ─▶ ┘   │       ├─ is it still wanted? is its result known? ─ Store
//!                        │       └─ which item is it of? ─ list files
//!                        └──▶ attempts: stop, probe, take back
//! ```
//!
//! **Invariants.** It decides nothing about runs: before it creates an attempt it asks the store whether it is still wanted, and
//! it never ends one that it was not told to end. It takes no command that it has no room for. All it knows can be found out
//! again, by asking the runtime.

mod answers;
mod attempts;
mod claims;
mod clock;
mod cluster;
pub mod clusters_file;
mod hosts;
mod intake;
mod known;
mod launch;
mod list_files;
pub mod log_file;
mod plan;
mod plans;
pub mod program;
mod removal;
mod reporter;
mod results;
pub mod runtime;
mod shards;
pub mod supervisor;
mod sweep;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use windlass_bus::Bus;
use windlass_proto::subject::{ClusterToken, HostToken, Subject};
use windlass_service::dead_letters::DeadLetters;
use windlass_store::Store;

use crate::{
    attempts::Attempts,
    claims::Claims,
    hosts::Hosts,
    intake::Intake,
    launch::Launches,
    list_files::ListReader,
    plans::Plans,
    runtime::{Report, ReportSender, Runtime},
};

/// A launcher on a runtime.
#[derive(Debug)]
pub struct Launcher<R> {
    /// Into how many partitions runs are divided; the same for all services, for ever.
    pub partitions: u32,
    /// The cluster whose attempts it creates; the same as steps name it.
    pub cluster: String,
    /// After how long without a word from its launcher a host counts as lost, with all attempts on it; none for never. This is
    /// the one case in which two attempts of a step may run at once: where the host was only cut off.
    pub host_lost_after: Option<Duration>,
    /// Where the files may lie that hold lists of loops; anywhere, where there are none. It reads them with its own rights.
    pub list_dirs: Option<Vec<PathBuf>>,
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
    /// Takes commands and reports until `shutdown`. Then commands that were taken are carried through, and what is known is told.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self {
            partitions,
            cluster,
            host_lost_after,
            list_dirs,
            bus,
            store,
            runtime,
            reports,
            reported,
        } = self;
        let token = ClusterToken::of(&cluster);
        let holder = runtime.holder().map(str::to_owned);
        let claims = holder.as_deref().map(|it| Claims::new(it, store.clone(), bus.clone()));
        let hosts = Hosts::new(host_lost_after);
        let attempts = Arc::new(Attempts { runtime: runtime.clone(), reports, claims, hosts });
        let launches = Arc::new(Launches {
            bus: bus.clone(),
            store: store.clone(),
            cluster: token,
            attempts: attempts.clone(),
            plans: Plans::default(),
            list_files: ListReader::new(list_dirs),
        });
        let intake = Intake {
            partitions,
            bus: bus.clone(),
            launches: launches.clone(),
            dead_letters: DeadLetters::new(bus.clone()),
            troubles: Mutex::default(),
        };
        let told = CancellationToken::new();
        let work = async {
            tokio::join!(
                intake.run(Subject::Launch { cluster: token }, shutdown.clone()),
                intake.run(Subject::Control, shutdown.clone()),
                cluster::keep_known(&cluster, &*store, shutdown.clone()),
                answers::run(&*bus, &*runtime, token, shutdown.clone()),
                removal::run(launches, bus.clone(), store.clone(), partitions, shutdown.clone()),
                async {
                    let Some(shards) = runtime.shards() else { return };
                    tokio::join!(
                        shards::keep(shards, partitions, &store, shutdown.clone()),
                        sweep::run(shards, &store, shutdown.clone()),
                    );
                },
                async {
                    let Some(holder) = &holder else { return };
                    let host = HostToken::of(holder);
                    tokio::join!(
                        intake.run(Subject::Host { host }, shutdown.clone()),
                        attempts.hosts.keep(holder, &*runtime, &store, shutdown.clone()),
                    );
                },
            );
            runtime.settle().await;
            told.cancel();
        };
        tokio::join!(work, reporter::run(reported, partitions, bus.clone(), told.clone()));
    }
}
