//! The directory of one attempt: all that a launcher and a supervisor know of each other.
//!
//! ```text
//! lock          whoever holds it may write here, and nobody else; held by the supervisor while the attempt lives
//! spec.json     what to do
//! bell  stop    an order to stop
//! process.json  the program's process, once it runs
//! log           what it wrote
//! output.json   what it wrote as its outputs
//! outcome.json  what became of it: where this exists, the attempt is over for ever
//! ```
//!
//! Whoever reads or writes here waits while the system has no file descriptor for it: what cannot be opened for want of one
//! is not taken for missing.
//!
//! Each file is written under another name, `.NAME.new`, and renamed. That of the outcome is made before the program
//! starts, with all the room that an outcome may take.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    bell,
    outcome::Outcome,
    outputs::MAX_OUTPUT_BYTES,
    shortage::{is_shortage, wait_out},
    spec::Spec,
};

/// The file that says what became of the attempt.
const OUTCOME: &str = "outcome.json";
/// The most that an outcome takes: outputs as a text in JSON, which may double them, and all the rest.
const MAX_OUTCOME_BYTES: usize = 2 * MAX_OUTPUT_BYTES + 4 * 1024;

/// The directory of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct AttemptDir {
    path: PathBuf,
}

/// The program's process, as it is written down for whoever must end it after its supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessRecord {
    /// Its process id, and that of its group.
    pub(crate) pid: i32,
    /// When it began by the kernel's count, which tells it from a later process with its id; none without `/proc`.
    pub(crate) start_ticks: Option<u64>,
    /// The boot in which that holds.
    pub(crate) boot_id: Option<String>,
    /// When it was started.
    pub(crate) started_ms: u64,
}

/// Something in an attempt's directory could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {source}; {}", path.display(), advice(source))]
pub(crate) struct DirError {
    doing: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DirError {
    /// Whether it works once there is room on the disk.
    pub(crate) fn is_want_of_room(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether it works once the system has file descriptors and memory again.
    pub(crate) fn is_shortage(&self) -> bool {
        is_shortage(&self.source)
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some room on the disk that holds it"
        }
        io::ErrorKind::NotFound => {
            "it was removed while it was in use: leave what is in it to Windlass, steps included"
        }
        _ => "see that it is the launcher's own, and that its disk is well",
    }
}

impl AttemptDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn output_file(&self) -> PathBuf {
        self.path.join("output.json")
    }

    pub(crate) fn bell_file(&self) -> PathBuf {
        self.path.join("bell")
    }

    fn stop_file(&self) -> PathBuf {
        self.path.join("stop")
    }

    /// Makes the directory, readable by its owner alone; false where it is there already. Of all who try, one makes it.
    pub(crate) fn create(&self) -> Result<bool, DirError> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(self.error("create", source)),
        }
    }

    /// Removes the directory if there is nothing in it.
    pub(crate) fn remove_empty(&self) {
        // Fails where there is something.
        let _ = fs::remove_dir(&self.path);
    }

    /// The lock, if nobody holds it.
    pub(crate) fn try_lock(&self) -> Result<Option<File>, DirError> {
        let lock = self.open_lock()?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(self.error("lock", source)),
        }
    }

    /// Waits until nobody else holds the lock.
    pub(crate) fn lock(&self) -> Result<File, DirError> {
        let lock = self.open_lock()?;
        lock.lock().map_err(|source| self.error("lock", source))?;
        Ok(lock)
    }

    fn open_lock(&self) -> Result<File, DirError> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        wait_out(|| options.open(self.lock_file()))
            .map_err(|source| self.error("open the lock of", source))
    }

    /// Orders the attempt to stop. Harmless where it has ended, and where it was ordered before. Does not wait for a file
    /// descriptor: an order is given again, and others must not wait for this one.
    pub(crate) fn order_stop(&self) -> Result<(), DirError> {
        let created = File::create(self.stop_file());
        // On a full disk there is no file; the bell alone does where somebody listens already.
        let rung = bell::ring(&self.bell_file());
        created
            .map(drop)
            .or_else(|error| if rung { Ok(()) } else { Err(error) })
            .map_err(|source| self.error("order to stop", source))
    }

    pub(crate) fn is_stop_ordered(&self) -> bool {
        self.stop_file().exists()
    }

    pub(crate) fn write_spec(&self, spec: &Spec) -> Result<(), DirError> {
        self.write("spec.json", spec, false)
    }

    pub(crate) fn read_spec(&self) -> Result<Spec, DirError> {
        self.read("spec.json")
    }

    pub(crate) fn write_process(&self, process: &ProcessRecord) -> Result<(), DirError> {
        self.write("process.json", process, false)
    }

    /// The program's process; none where it was not started, or that could not be written down.
    pub(crate) fn read_process(&self) -> Option<ProcessRecord> {
        self.read("process.json").ok()
    }

    /// Takes the room that the outcome will need, so that a disk which is full by then does not lose it.
    pub(crate) fn reserve_outcome(&self) -> Result<(), DirError> {
        let reserved = self.open_new(OUTCOME).and_then(|file| reserve(&file, MAX_OUTCOME_BYTES));
        reserved.map_err(|source| self.error("take room for the outcome in", source))
    }

    /// Writes down what became of the attempt; durable on return. Needs no room where it was reserved.
    pub(crate) fn write_outcome(&self, outcome: &Outcome) -> Result<(), DirError> {
        self.write(OUTCOME, outcome, true)
    }

    /// What became of the attempt; none where that is not written down, or cannot be read.
    pub(crate) fn read_outcome(&self) -> Option<Outcome> {
        self.read(OUTCOME).ok()
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T, DirError> {
        wait_out(|| fs::read(self.path.join(name)))
            .and_then(|text| serde_json::from_slice(&text).map_err(io::Error::from))
            .map_err(|source| self.error("read what was written in", source))
    }

    /// Writes a file that others see whole or not at all.
    fn write<T: Serialize>(&self, name: &str, value: &T, durable: bool) -> Result<(), DirError> {
        let write = || {
            let text = serde_json::to_vec(value)?;
            let mut file = self.open_new(name)?;
            file.write_all(&text)?;
            // Room that was reserved is given back.
            file.set_len(text.len() as u64)?;
            if durable {
                file.sync_all()?;
            }
            fs::rename(self.new_file(name), self.path.join(name))?;
            if durable {
                wait_out(|| File::open(&self.path))?.sync_all()?;
            }
            Ok(())
        };
        write().map_err(|source| self.error("write to", source))
    }

    /// The file that will be renamed to `name`, as it is: cutting it off would give back what was reserved.
    fn open_new(&self, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        wait_out(|| options.open(self.new_file(name)))
    }

    fn new_file(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.new"))
    }

    pub(crate) fn error(&self, doing: &'static str, source: io::Error) -> DirError {
        DirError { doing, path: self.path.clone(), source }
    }
}

/// Has the system set aside this many bytes for a file.
fn reserve(file: &File, bytes: usize) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    match nix::fcntl::posix_fallocate(file, 0, i64::try_from(bytes).map_err(io::Error::other)?) {
        // Not every file system can.
        Err(nix::errno::Errno::EOPNOTSUPP) => {}
        reserved => return Ok(reserved?),
    }
    fill(file, bytes)
}

/// Fills a file: what was written once can mostly be written over.
fn fill(mut file: &File, bytes: usize) -> io::Result<()> {
    file.write_all(&vec![0; bytes])
}
