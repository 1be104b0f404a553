//! What the system lacks for a while: file descriptors, processes, threads, memory.
//!
//! An attempt is not to blame for that, and nothing may be concluded from it: a file that cannot be opened for want of a
//! descriptor is there, and so is a process that cannot be looked at. So whoever meets a shortage waits for its end.

use std::{
    io,
    sync::{LazyLock, Mutex, PoisonError},
    thread,
    time::Duration,
};

use nix::errno::Errno;
use tokio::time::Instant;
use tracing::warn;
use windlass_service::recurring::Recurring;

/// How often something is tried that the system has no room for.
const INTERVAL: Duration = Duration::from_millis(250);

/// What to do about it.
pub(crate) const ADVICE: &str = "raise the limits on open files and processes (`ulimit -n`, `ulimit -u`, `LimitNOFILE=` and \
                                 `TasksMax=` of systemd), or let fewer steps run at once";

/// What was told of shortages in this process.
static TOLD: LazyLock<Mutex<Recurring>> = LazyLock::new(Mutex::default);

/// Whether something failed only because the system lacks something now.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE];
    error.raw_os_error().is_some_and(|raw| shortages.contains(&Errno::from_raw(raw)))
}

/// Tells of a shortage in the log, now and then.
pub(crate) fn tell(error: &io::Error) {
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(untold) = told.came(&error.to_string(), Instant::now()) {
        warn!(%error, untold, "the system has no room, and what needs it waits; {ADVICE}");
    }
}

/// Does something, again and again for as long as the system lacks what it takes.
pub(crate) fn wait_out<T>(mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match act() {
            Err(error) if is_shortage(&error) => {
                tell(&error);
                thread::park_timeout(INTERVAL);
            }
            done => return done,
        }
    }
}
