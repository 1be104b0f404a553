//! Supervisors that do nothing: something has suspended them, or they hang.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tracing::warn;

use super::layout::Layout;
use crate::{
    runtime::AttemptKey,
    supervisor::{attempt_dir::AttemptDir, procfs::Process},
};

/// What is done about a supervisor that does not heed an order, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deadline {
    pub(super) at: Instant,
    patience: Duration,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Let it go on, if something has stopped it; then it has as long once more.
    Wake,
    /// End it. Whoever watches it finds the lock free, ends the program, and reports the attempt as lost.
    Kill,
}

impl Deadline {
    /// For an order that was just given; `margin` is what a supervisor may need beyond the attempt's grace.
    pub(super) fn of(dir: &AttemptDir, margin: Duration) -> Option<Self> {
        // Without it there is no program yet that could need a grace.
        let grace = dir.read_spec().map_or(0, |spec| spec.grace_ms);
        let patience = Duration::from_millis(grace).saturating_add(margin);
        let at = Instant::now().checked_add(patience)?;
        Some(Self { at, patience, step: Step::Wake })
    }

    /// Does what is due. Returns what is due next.
    pub(super) fn enforce(self, dir: &AttemptDir) -> Option<Self> {
        match self.step {
            Step::Wake => {
                signal(dir, Signal::SIGCONT);
                let at = Instant::now().checked_add(self.patience)?;
                Some(Self { at, step: Step::Kill, ..self })
            }
            Step::Kill => {
                signal(dir, Signal::SIGKILL);
                None
            }
        }
    }

    pub(super) fn kills(self) -> bool {
        self.step == Step::Kill
    }
}

/// Looks from time to time whether supervisors are suspended, as by a step of theirs. Their attempts would never end, and
/// where nobody orders them to, no [`Deadline`] passes.
#[derive(Debug)]
pub(super) struct Patrol {
    interval: Duration,
    /// None if that is never.
    pub(super) next: Option<Instant>,
}

impl Patrol {
    pub(super) fn every(interval: Duration) -> Self {
        Self { interval, next: Instant::now().checked_add(interval) }
    }

    /// Lets the supervisors of these attempts go on, if it is time to look.
    pub(super) fn look<'a>(
        &mut self,
        layout: &Layout,
        attempts: impl Iterator<Item = &'a AttemptKey>,
    ) {
        let now = Instant::now();
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        self.next = now.checked_add(self.interval);
        let suspended: Vec<_> = Process::all().filter(|process| process.is_suspended).collect();
        if suspended.is_empty() {
            return;
        }
        for key in attempts {
            let lock = identity(&layout.attempt(*key).lock_file());
            for process in suspended.iter().filter(|process| holds(process, lock)) {
                warn!(%key, "a supervisor was suspended, and is told to go on; no step may send signals to it");
                send(process, Signal::SIGCONT);
            }
        }
    }
}

/// Sends a signal to the attempt's supervisor.
fn signal(dir: &AttemptDir, signal: Signal) {
    let lock = identity(&dir.lock_file());
    for process in Process::all().filter(|process| holds(process, lock)) {
        send(&process, signal);
    }
}

/// Whether a process holds this lock as its standard input, as a supervisor does and nobody else. Only Linux tells.
fn holds(process: &Process, lock: Option<(u64, u64)>) -> bool {
    lock.is_some() && identity(Path::new(&format!("/proc/{}/fd/0", process.pid))) == lock
}

/// What tells a file from all others: device and number.
fn identity(file: &Path) -> Option<(u64, u64)> {
    fs::metadata(file).ok().map(|file| (file.dev(), file.ino()))
}

fn send(process: &Process, signal: Signal) {
    // Fails only where it has just ended.
    let _ = kill(Pid::from_raw(process.pid), signal);
}
