//! Where the embedded services keep what outlives them.

use std::{fs, io, os::unix::fs::DirBuilderExt as _, path::PathBuf};

use tempfile::TempDir;

/// Where state and logs are kept.
#[derive(Debug)]
pub enum StateDir {
    /// State in memory, logs in a directory that goes when this does.
    Temporary(TempDir),
    /// All of it in a directory that stays.
    Persistent(PathBuf),
}

/// The state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the state directory {} cannot be made: {source}; choose another one with --state-dir", .path.display())]
pub struct StateDirError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl StateDir {
    /// A directory among the system's temporary ones.
    pub fn temporary() -> Result<Self, StateDirError> {
        tempfile::Builder::new()
            .prefix("windlass-")
            .tempdir()
            .map(Self::Temporary)
            .map_err(|source| StateDirError { path: std::env::temp_dir(), source })
    }

    /// Makes the directory where it is not there. Only its owner may look inside: logs and environments hold secrets.
    pub(super) fn prepare(&self) -> Result<(), StateDirError> {
        match self {
            Self::Temporary(_) => Ok(()),
            Self::Persistent(path) => fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(|source| StateDirError { path: path.clone(), source }),
        }
    }

    /// The file for the store; none where the state is kept in memory.
    pub(super) fn store_file(&self) -> Option<PathBuf> {
        match self {
            Self::Temporary(_) => None,
            Self::Persistent(path) => Some(path.join("state.db")),
        }
    }

    /// The directory for what the process runtime keeps of attempts.
    pub(super) fn attempts_dir(&self) -> PathBuf {
        match self {
            Self::Temporary(dir) => dir.path().join("attempts"),
            Self::Persistent(path) => path.join("attempts"),
        }
    }
}
