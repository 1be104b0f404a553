//! All four services in one process, with a bus in memory and a store in memory or in one file: what `windlass run` and
//! `windlass dev` are made of.
//!
//! ```text
//!             Client ══ in-process connection, or TCP ══▶ gRPC server
//!                                                        │          │
//!                                                    submitter   streamer
//!                                                        │          │
//!   scheduler ◀── MemoryBus ──▶ launcher ──▶ Runtime     ▼          ▼
//!       └──────────────┴──────────▶ Store ◀──────────────┘     log files
//! ```
//!
//! **Invariant:** nothing here does what a service does; it only puts them together.

mod channel;
mod ending;
mod server;
mod state_dir;

use std::{fmt, num::NonZeroUsize, path::PathBuf, sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use windlass_bus::{Bus, MemoryBus};
use windlass_client::Client;
use windlass_launcher::{
    Launcher,
    runtime::{
        ReportSender, Runtime,
        process::{OpenError as RuntimeError, ProcessConfig, ProcessRuntime, Supervisor},
        simulated::{Plan, SimulatedRuntime},
    },
};
use windlass_proto::{cluster, v1::log_service_server::LogServiceServer};
use windlass_scheduler::{Ownership, SchedulerConfig};
use windlass_service::grpc::{GrpcServer, ServeError};
use windlass_store::{MemoryStore, OpenError as StoreOpenError, SqliteStore, Store};
use windlass_streamer::{LogPlaces, Streamer};
use windlass_submitter::{Submitter, SubmitterConfig};

pub use state_dir::{StateDir, StateDirError};

/// Into how many partitions runs are divided. Few, since one process serves them all.
const PARTITIONS: u32 = 4;

/// What the embedded services need to know.
#[derive(Debug)]
pub struct EmbeddedConfig {
    /// Where state and logs are kept.
    pub state: StateDir,
    /// What steps run on.
    pub runtime: RuntimeConfig,
}

/// What steps run on.
pub enum RuntimeConfig {
    /// Processes of this machine.
    Process {
        /// How many at once; none means as many as there are cores.
        slots: Option<NonZeroUsize>,
        /// The program that supervises attempts; none means this one.
        supervisor: Option<Supervisor>,
    },
    /// Nothing: each attempt ends as the plan says. For tests and benchmarks.
    Simulated {
        /// What becomes of each attempt.
        plan: Plan,
        /// How many attempts may be ordered and not begun.
        window: NonZeroUsize,
    },
}

/// The services, running.
pub struct Embedded {
    server: GrpcServer,
    channel: Channel,
    /// Ends what takes requests.
    stop_serving: CancellationToken,
    /// Ends what works on runs.
    stop_working: CancellationToken,
    /// Serves clients within the process.
    serving: JoinHandle<()>,
    /// What works on runs.
    working: Vec<JoinHandle<()>>,
    runtime: Arc<dyn Runtime>,
    state: StateDir,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The services could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The store in it cannot be used.
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    /// The directory for attempts cannot be used.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The gRPC server cannot be set up.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The program does not know where it lies.
    #[error(
        "the path of this program cannot be found out, and steps are started by it: {0}; start it by its full path"
    )]
    OwnPath(#[source] std::io::Error),
}

impl Embedded {
    /// Starts the services. Runs that the state directory holds go on.
    pub async fn start(config: EmbeddedConfig) -> Result<Self, StartError> {
        let state = config.state;
        state.prepare()?;
        let store: Arc<dyn Store> = match state.store_file() {
            None => Arc::new(MemoryStore::new()),
            Some(file) => Arc::new(SqliteStore::open(&file)?),
        };
        let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
        let attempts = state.attempts_dir();
        let (reports, reported) = mpsc::unbounded_channel();
        let mut services =
            Services { bus, store, stop: CancellationToken::new(), tasks: Vec::new() };
        let (runtime, window): (Arc<dyn Runtime>, _) = match config.runtime {
            RuntimeConfig::Process { slots, supervisor } => {
                let mut config =
                    ProcessConfig::new(attempts.clone(), supervisor.map_or_else(itself, Ok)?);
                config.slots = slots.unwrap_or(config.slots);
                let slots = config.slots;
                let runtime = Arc::new(ProcessRuntime::open(config, reports.clone())?);
                services.launch(runtime.clone(), reports, reported);
                // Enough that a slot that becomes free finds work, and few enough that others find room.
                (runtime, slots.saturating_add(slots.get()))
            }
            RuntimeConfig::Simulated { plan, window } => {
                let runtime = Arc::new(SimulatedRuntime::new(reports.clone(), plan));
                services.launch(runtime.clone(), reports, reported);
                (runtime, window)
            }
        };
        services.schedule(window);
        let stop_serving = CancellationToken::new();
        let server = GrpcServer::new()?
            .with(server::runs(services.submitter(stop_serving.clone())))
            .await
            .with(LogServiceServer::new(services.streamer(attempts, stop_serving.clone())))
            .await;
        let (channel, serving) = channel::in_process(&server, stop_serving.clone());
        let Services { stop: stop_working, tasks: working, .. } = services;
        Ok(Self { server, channel, stop_serving, stop_working, serving, working, runtime, state })
    }

    /// A client of these services, within the process.
    pub fn client(&self) -> Client {
        Client::from_channel(self.channel())
    }

    /// A connection to these services, within the process.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Serves clients that connect from outside, until [`Embedded::shutdown`].
    pub fn serve(
        &self,
        listener: TcpListener,
    ) -> impl Future<Output = Result<(), ServeError>> + use<> {
        self.server.serve(TcpListenerStream::new(listener), self.stop_serving.clone())
    }

    /// A token that ends [`Embedded::serve`] when it is cancelled.
    pub fn stop_serving(&self) -> CancellationToken {
        self.stop_serving.clone()
    }
}

/// What the services are made of.
struct Services {
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Services {
    fn launch<R: Runtime>(
        &mut self,
        runtime: Arc<R>,
        reports: ReportSender,
        reported: mpsc::UnboundedReceiver<windlass_launcher::runtime::Report>,
    ) {
        let launcher = Launcher {
            partitions: PARTITIONS,
            cluster: cluster::DEFAULT.to_owned(),
            host_lost_after: None,
            // Steps run as the same user.
            list_dirs: None,
            bus: self.bus.clone(),
            store: self.store.clone(),
            runtime,
            reports,
            reported,
        };
        self.tasks.push(tokio::spawn(launcher.run(self.stop.clone())));
    }

    fn schedule(&mut self, window: NonZeroUsize) {
        // Each partition may use the whole window: most of the time one run is all there is, and it lives in one.
        let config = SchedulerConfig {
            partitions: PARTITIONS,
            ownership: Ownership::All,
            launch_window: window,
            command_size: constant(1024),
            batch: constant(1024),
            sweep: Duration::from_mins(1),
            retention: None,
        };
        let scheduler = windlass_scheduler::run(
            config,
            self.bus.clone(),
            self.store.clone(),
            self.stop.clone(),
        );
        self.tasks.push(tokio::spawn(scheduler));
    }

    fn streamer(&self, attempts: PathBuf, stop: CancellationToken) -> Streamer {
        let places = LogPlaces::OneHost(attempts);
        Streamer::new(self.bus.clone(), self.store.clone(), places, stop)
    }

    fn submitter(&self, stop: CancellationToken) -> Submitter {
        let config =
            SubmitterConfig { installation: "embedded".to_owned(), partitions: PARTITIONS };
        Submitter::new(config, self.bus.clone(), self.store.clone(), stop)
    }
}

/// This program as the supervisor of attempts.
fn itself() -> Result<Supervisor, StartError> {
    let program = std::env::current_exe().map_err(StartError::OwnPath)?;
    Ok(Supervisor { program, args: vec!["supervise".into()] })
}

fn constant(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("written as a number above 0")
}

impl std::fmt::Debug for RuntimeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process { slots, supervisor } => f
                .debug_struct("Process")
                .field("slots", slots)
                .field("supervisor", supervisor)
                .finish(),
            Self::Simulated { window, .. } => {
                f.debug_struct("Simulated").field("window", window).finish_non_exhaustive()
            }
        }
    }
}
