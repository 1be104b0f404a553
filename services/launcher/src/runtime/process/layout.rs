//! Where runs and attempts lie: `<dir>/<run>/<step>/<attempt>`, and `<dir>/<run>/shared` for what steps share.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use windlass_proto::id::RunId;

use crate::{
    runtime::AttemptKey,
    supervisor::{attempt_dir::AttemptDir, shortage::wait_out},
};

/// What the name of a run begins with while it is being removed.
const REMOVED: &str = ".removed-";

/// The directory of a runtime.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// Makes the directory where it is missing. Its path is whole from here on, since steps start elsewhere.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        make(dir)?;
        Ok(Self { dir: dir.canonicalize()? })
    }

    /// The attempt's directory, which may not exist.
    pub(super) fn attempt(&self, key: AttemptKey) -> AttemptDir {
        attempt_dir(&self.dir, key)
    }

    /// The directory that all steps of a run share.
    pub(super) fn run_dir(&self, run: RunId) -> PathBuf {
        self.dir.join(run.as_str()).join("shared")
    }

    /// Makes all that an attempt's directory lies in.
    pub(super) fn make_parents(&self, key: AttemptKey) -> io::Result<()> {
        make(&self.run_dir(key.run))?;
        make(&self.dir.join(key.run.as_str()).join(key.step.to_string()))
    }

    /// All attempts that have a directory, in order.
    pub(super) fn attempts(&self) -> Vec<AttemptKey> {
        let mut keys = Vec::new();
        for (run, path) in entries::<RunId>(&self.dir) {
            for (step, path) in entries::<u32>(&path) {
                for (attempt, _) in entries::<u32>(&path) {
                    keys.push(AttemptKey { run, step, attempt });
                }
            }
        }
        keys.sort_unstable();
        keys
    }

    /// Takes a run out of sight; what is returned is to be deleted. None where there is no such run.
    pub(super) fn take_out(&self, run: RunId) -> io::Result<Option<PathBuf>> {
        let taken = self.dir.join(format!("{REMOVED}{run}"));
        match fs::rename(self.dir.join(run.as_str()), &taken) {
            Ok(()) => Ok(Some(taken)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What was taken out and not deleted.
    pub(super) fn taken_out(&self) -> Vec<PathBuf> {
        let names = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        names
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(REMOVED))
            .map(|entry| entry.path())
            .collect()
    }
}

pub(super) fn attempt_dir(dir: &Path, key: AttemptKey) -> AttemptDir {
    let AttemptKey { run, step, attempt } = key;
    AttemptDir::new(dir.join(run.as_str()).join(step.to_string()).join(attempt.to_string()))
}

/// Makes a directory and all it lies in, readable by its owner alone.
fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// The entries of a directory whose names are of a kind; others are not this program's.
fn entries<T: FromStr>(dir: &Path) -> impl Iterator<Item = (T, PathBuf)> {
    let entries = wait_out(|| fs::read_dir(dir)).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}
