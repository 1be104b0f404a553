//! Attempts as local processes, each under a supervisor of its own that outlives the launcher.
//!
//! ```text
//! ProcessRuntime ──orders──▶ desk (one thread: what runs, what waits for a slot)
//!                              │  ▲ notices
//!                              ▼  │
//!                            one thread per attempt ──starts, or adopts──▶ supervisor ──▶ program
//! ```
//!
//! **Why no attempt runs twice, and none is forgotten.** An attempt is its directory; who makes the directory, creates
//! the attempt. Whoever then holds the lock in it may write there, and nobody else. The order is:
//!
//! | step | killed right after it, a launcher that comes finds |
//! |---|---|
//! | 1 make the directory | the lock free, no outcome: lost, and so it is, since nothing was started |
//! | 2 take the lock; see that there is no outcome | the same |
//! | 3 write what to do | the same |
//! | 4 start the supervisor, which inherits the lock as it is | the lock held: alive, adopted |
//! | 5 the supervisor starts the program | the same |
//! | 6 the supervisor writes the outcome | the outcome, which is final |
//! | 7 the supervisor ends, and with it the lock | the same |
//!
//! Who finds the lock free and no outcome takes the lock, ends the processes that a killed supervisor has left, and
//! writes *lost* as the outcome, before it reports that. So a launcher that is late with step 2 finds the lock held or
//! an outcome, and starts nothing. An attempt that is stopped before it exists is given a directory with the outcome
//! *not created*, so that no later order creates it.
//!
//! What needs no disk is not made durable: after a power failure nothing runs, and an attempt whose directory did not
//! reach the disk may be created again by the order that created it.
//!
//! Never inside: the supervisor's work, and what scheduler or store think of an attempt.

mod create;
mod desk;
mod identity;
mod judge;
mod layout;
mod leftovers;
mod stuck;
mod waiting;
mod watch;

use std::{
    ffi::OsString,
    fs::File,
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use nix::fcntl::Flock;
use tokio::{
    sync::{oneshot, watch as room},
    task::spawn_blocking,
};
use tracing::warn;

use self::{
    desk::{Desk, Order},
    layout::Layout,
};
use super::{AttemptKey, AttemptSpec, ReportSender, Runtime};
use windlass_proto::id::RunId;

/// The size, in bytes, at which the middle of an attempt's log begins to be left out.
pub const DEFAULT_LOG_LIMIT: u64 = 64 * 1024 * 1024;
/// How long a supervisor may take to stop an attempt, beyond the attempt's grace. It gives up on processes beyond signals
/// after 5 s.
pub const DEFAULT_STOP_MARGIN: Duration = Duration::from_secs(10);
/// How often it is looked whether supervisors are suspended.
pub const DEFAULT_PATROL_INTERVAL: Duration = Duration::from_secs(10);

/// What a [`ProcessRuntime`] needs to know.
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    /// Where all runs are kept; on a local disk, and no other runtime's. Made if it is missing.
    pub dir: PathBuf,
    /// How many attempts run at once.
    pub slots: NonZeroUsize,
    /// The program that supervises attempts.
    pub supervisor: Supervisor,
    /// The size, in bytes, at which the middle of an attempt's log begins to be left out.
    pub log_limit: u64,
    /// How long a supervisor may take to stop an attempt, beyond the attempt's grace. Then it is told to go on, should
    /// something have stopped it; where it still does not heed the order, it is killed, and the attempt is lost.
    pub stop_margin: Duration,
    /// How often it is looked whether something has suspended a supervisor, as a step may do to its own. It is told to go
    /// on then: its attempt would never end.
    pub patrol_interval: Duration,
    /// The host's name, by which other launchers know whose attempts these are; none where there are no others.
    pub host: Option<String>,
}

impl ProcessConfig {
    /// As many slots as there are processors, and the default limits.
    pub fn new(dir: PathBuf, supervisor: Supervisor) -> Self {
        let slots = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            dir,
            slots,
            supervisor,
            log_limit: DEFAULT_LOG_LIMIT,
            stop_margin: DEFAULT_STOP_MARGIN,
            patrol_interval: DEFAULT_PATROL_INTERVAL,
            host: None,
        }
    }
}

/// How to start a program that calls [`supervisor::main`](crate::supervisor::main) with its last argument.
#[derive(Debug, Clone)]
pub struct Supervisor {
    /// The program.
    pub program: PathBuf,
    /// What comes before the attempt's directory.
    pub args: Vec<OsString>,
}

/// The runtime cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its directory cannot be used.
    #[error("cannot use {} for runs: {source}; name a directory that can be written to", dir.display())]
    Dir {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its directory is used by another process.
    #[error(
        "{} is used by another launcher; end that one, or give this one a directory (or a host name) of its own", .0.display()
    )]
    Taken(PathBuf),
    /// The system has no room for its thread.
    #[error(
        "cannot start the runtime's thread: {0}; end other programs, or raise the limit on processes"
    )]
    Thread(io::Error),
}

/// Runs attempts as local processes.
///
/// Dropping it leaves what runs alone: the next one that is opened on the same directory adopts it.
#[derive(Debug)]
pub struct ProcessRuntime {
    orders: mpsc::Sender<Order>,
    dir: PathBuf,
    holder: Option<String>,
    /// How many attempts could begin at once.
    room: room::Receiver<usize>,
    /// Held as long as the directory is this runtime's.
    _lock: Flock<File>,
}

impl ProcessRuntime {
    /// Opens the runtime and reports all that its directory holds: attempts that run are adopted, and take up slots.
    pub fn open(config: ProcessConfig, reports: ReportSender) -> Result<Self, OpenError> {
        let dir = config.dir.clone();
        let unusable = |source| OpenError::Dir { dir: dir.clone(), source };
        let layout = Layout::open(&config.dir).map_err(unusable)?;
        let lock = identity::take(&dir).map_err(unusable)?.ok_or(OpenError::Taken(dir.clone()))?;
        let holder = config.host.as_deref().map(|host| identity::holder(&dir, host)).transpose();
        let holder = holder.map_err(unusable)?;
        let (orders, inbox) = mpsc::channel();
        let (free, room) = room::channel(config.slots.get());
        let mut desk = Desk::new(config, layout, reports, orders.clone(), free);
        thread::Builder::new()
            .name("process-runtime".to_owned())
            .spawn(move || desk.run(&inbox))
            .map_err(OpenError::Thread)?;
        Ok(Self { orders, dir, holder, room, _lock: lock })
    }

    fn order(&self, order: Order) {
        // Only a panic ends the desk before the runtime; then nothing is reported any more, and attempts are probed.
        if self.orders.send(order).is_err() {
            tracing::error!("the process runtime has ended; restart the launcher");
        }
    }
}

impl Drop for ProcessRuntime {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Close);
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    async fn start(&self, attempts: Vec<AttemptSpec>, _: Instant) -> Vec<AttemptKey> {
        let (done, taken) = oneshot::channel();
        self.order(Order::Start(attempts, done));
        // An error means that the desk is gone, which was said above.
        let _ = taken.await;
        Vec::new()
    }

    async fn stop(&self, key: AttemptKey) {
        self.order(Order::Stop(key));
    }

    /// An attempt that waits for a slot is known, and has no phase that could be reported.
    async fn probe(&self, key: AttemptKey) -> bool {
        let (answer, known) = oneshot::channel();
        self.order(Order::Probe(key, answer));
        // Where the desk is gone, nothing may be concluded.
        known.await.unwrap_or(true)
    }

    async fn remove(&self, run: RunId) {
        let (done, removed) = oneshot::channel();
        self.order(Order::Remove(run, done));
        // An error means that the desk is gone, which was said above.
        let _ = removed.await;
    }

    async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        self.order(Order::Settle(done));
        // An error means that the desk is gone, which was said above.
        let _ = settled.await;
    }

    fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    async fn room(&self) -> usize {
        let mut room = self.room.clone();
        let free = room.wait_for(|free| *free > 0).await.ok().map(|free| *free);
        match free {
            Some(free) => free,
            // The desk is gone, which was said where it was needed; there will never be room again.
            None => std::future::pending().await,
        }
    }

    fn commands_at_once(&self) -> usize {
        1
    }

    async fn belongs_to(&self, store: &str) -> bool {
        let (dir, store) = (self.dir.clone(), store.to_owned());
        let looked = spawn_blocking(move || identity::belongs_to(&dir, &store)).await;
        match looked {
            Ok(Ok(belongs)) => belongs,
            Ok(Err(error)) => {
                warn!(%error, "it cannot be found out whose runs are kept here");
                false
            }
            // It panicked, or the program ends.
            Err(_) => false,
        }
    }

    async fn known(&self) -> Vec<AttemptKey> {
        let (answer, known) = oneshot::channel();
        self.order(Order::List(answer));
        known.await.unwrap_or_default()
    }
}

/// The file that holds what an attempt of a runtime in `dir` wrote, readable with [`LogReader`](crate::log_file::LogReader).
/// There is none before the attempt was created.
pub fn log_file(dir: &Path, key: AttemptKey) -> PathBuf {
    layout::attempt_dir(dir, key).log_file()
}
