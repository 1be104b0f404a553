//! The supervisor: the small process between a launcher and one attempt, which outlives the launcher.
//!
//! Inside: starting the attempt's program, capturing what it writes, its memory limit, orders to stop, cleaning up after
//! it, and writing down what became of it. Synchronous, with a few threads; the main one decides.
//!
//! Never inside: reports, other attempts, time-outs, retries. Launcher and supervisor share nothing but the attempt's
//! directory ([`attempt_dir`]) and these three things:
//!
//! - **The lock** is inherited as standard input, already locked, and held until the process ends, so that there is no
//!   moment at which a living attempt looks like a dead one. Nobody needs a process id to ask whether it is alive.
//! - **A stop order** is a file, and a bell (a named pipe) that tells of it; not a signal, since signals go to process
//!   ids, which may be somebody else's by then. The file is looked at after the bell was hung up and before the program
//!   is started, so that no order is missed, whenever it was given.
//! - **Lines on standard output** ([`word`]) tell the launcher, if it still lives, that the program runs, and what keeps
//!   the outcome from being written down.
//!
//! **A full disk loses no outcome.** Room for it is taken, or waited for, before the program starts. Where there is none in
//! the end for whatever reason, the supervisor waits for it then: otherwise all that the program did would be done again.

pub(crate) mod attempt_dir;
mod bell;
mod capture;
mod group;
pub(crate) mod helper;
mod memory;
pub(crate) mod outcome;
mod outputs;
pub(crate) mod procfs;
mod program;
pub(crate) mod shortage;
pub(crate) mod spec;
mod verdict;
mod watch;
pub(crate) mod word;

use std::{
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
    process::ExitCode,
    thread,
    time::Duration,
};

use attempt_dir::{AttemptDir, DirError};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use outcome::Outcome;
use spec::Spec;
use word::Word;

pub(crate) use program::OUTPUT_VARIABLE;

/// The exit code of a supervisor that did not begin: it was not given the attempt, or cannot read what to do.
pub(crate) const EXIT_NOT_BEGUN: u8 = 3;
/// The exit code of a supervisor that could not write down what became of the attempt.
pub(crate) const EXIT_NOT_WRITTEN: u8 = 4;

/// How often something is tried for which there is no room on the disk.
pub(crate) const ROOM_INTERVAL: Duration = Duration::from_millis(250);

/// Supervises the attempt in `attempt_dir` until it has ended and its outcome is durable.
///
/// To be called first thing in a process of its own, which the launcher has started for this.
pub fn main(attempt_dir: &Path) -> ExitCode {
    let dir = AttemptDir::new(attempt_dir.to_path_buf());
    let Ok((lock, spec)) = begin(&dir) else {
        return ExitCode::from(EXIT_NOT_BEGUN);
    };
    let outcome = supervise(&dir, &spec);
    let written = write_down(&dir, &outcome);
    drop(lock);
    written.map_or(ExitCode::from(EXIT_NOT_WRITTEN), |()| ExitCode::SUCCESS)
}

/// Writes the outcome down, and waits for room for as long as there is none.
fn write_down(dir: &AttemptDir, outcome: &Outcome) -> Result<(), DirError> {
    loop {
        match dir.write_outcome(outcome) {
            Err(error) if error.is_want_of_room() => {
                Word::Waits(error.to_string()).tell();
                thread::park_timeout(ROOM_INTERVAL);
            }
            Err(error) => {
                Word::NotWritten(error.to_string()).tell();
                return Err(error);
            }
            Ok(()) => return Ok(()),
        }
    }
}

/// Takes over the lock, reads what to do, and leaves the launcher's session, so that a terminal's signals do not reach
/// the attempt.
fn begin(dir: &AttemptDir) -> Result<(File, Spec), DirError> {
    let lock = inherited_lock(dir).map_err(|source| dir.error("take over the lock of", source))?;
    let spec = dir.read_spec()?;
    if let Some(given) = spec.open_files
        && let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE)
    {
        // What a launcher may open is more than many programs can cope with; they have what they would have without it.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, given, most);
    }
    // Fails only where the process leads a session already.
    let _ = nix::unistd::setsid();
    // What the program leaves behind becomes this process's child, and is found and ended at the end.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_child_subreaper(true);
    Ok((lock, spec))
}

/// The lock, held by this process from here on.
fn inherited_lock(dir: &AttemptDir) -> io::Result<File> {
    let lock = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (given, wanted) = (lock.metadata()?, std::fs::metadata(dir.lock_file())?);
    if (given.dev(), given.ino()) != (wanted.dev(), wanted.ino()) {
        return Err(io::Error::other(
            "standard input is not the attempt's lock: only a launcher starts this",
        ));
    }
    lock.try_lock()?;
    Ok(lock)
}

fn supervise(dir: &AttemptDir, spec: &Spec) -> Outcome {
    let end = watch::run(dir, spec);
    Outcome {
        created_ms: Some(spec.created_ms),
        started_ms: end.started_ms,
        ended_ms: Some(end.ended_ms),
        end: end.end,
    }
}
