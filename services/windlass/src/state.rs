//! The state directory as the command sees it: looked at before the services open it, and watched while they use it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;

/// How often it is looked whether the directory is still there.
const INTERVAL: Duration = Duration::from_millis(100);

/// The store, and the directory of attempts, in a state directory.
const STORE: &str = "state.db";
const STORE_LOG: &str = "state.db-wal";
const ATTEMPTS: &str = "attempts";

/// The state directory does not hold what it must.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// The store has been cut off: taken for a new one, it would forget all runs.
    #[error(
        "the store {} is empty, although {} holds runs: it was cut off; restore it from a copy, or remove it to begin \
         without those runs", .0.join(STORE).display(), .0.join(ATTEMPTS).display()
    )]
    Emptied(PathBuf),
    /// What is written from now on is not found again.
    #[error(
        "the state directory {} was removed or replaced while it was in use: nothing is taken any more, and what was told \
         since then is lost; restore it from a copy, or start again to begin anew", .0.display()
    )]
    Lost(PathBuf),
}

/// Refuses a directory that would silently be begun anew.
pub(crate) fn check(dir: &Path) -> Result<(), StateError> {
    let size = |name| fs::metadata(dir.join(name)).map(|file| file.len());
    // Without a file there is no store to restore: whoever has moved it away wants a new one.
    let is_empty = size(STORE).is_ok_and(|bytes| bytes == 0) && size(STORE_LOG).unwrap_or(0) == 0;
    if is_empty && holds_runs(&dir.join(ATTEMPTS)) {
        return Err(StateError::Emptied(dir.to_owned()));
    }
    Ok(())
}

fn holds_runs(attempts: &Path) -> bool {
    let entries = fs::read_dir(attempts).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("run_"))
}

/// Watches a directory that the services have opened: the store would go on writing to a file that has no name any more.
#[derive(Debug)]
pub(crate) struct StateWatch {
    dir: PathBuf,
    /// Device and number of the store's file.
    store: Option<(u64, u64)>,
}

impl StateWatch {
    pub(crate) fn new(dir: PathBuf) -> Self {
        let store = identity(&dir).ok();
        Self { dir, store }
    }

    /// Waits until the store is not where it was.
    pub(crate) async fn lost(&self) -> StateError {
        loop {
            let is_lost = match identity(&self.dir) {
                Ok(store) => Some(store) != self.store,
                // Anything else may be a passing trouble of the disk, of which the store tells.
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            if is_lost {
                return StateError::Lost(self.dir.clone());
            }
            sleep(INTERVAL).await;
        }
    }
}

fn identity(dir: &Path) -> io::Result<(u64, u64)> {
    // By name: opening the file and closing it again would end the locks that the store holds on it.
    fs::metadata(dir.join(STORE)).map(|store| (store.dev(), store.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_store_is_refused_only_where_runs_are_left() {
        let dir = tempfile::tempdir().unwrap();
        check(dir.path()).unwrap();
        fs::create_dir_all(dir.path().join(ATTEMPTS).join("run_a")).unwrap();
        check(dir.path()).unwrap();
        fs::write(dir.path().join(STORE), "").unwrap();
        assert!(matches!(check(dir.path()), Err(StateError::Emptied(_))));
        fs::write(dir.path().join(STORE_LOG), "what was committed last").unwrap();
        check(dir.path()).unwrap();
    }

    #[tokio::test]
    async fn a_store_that_was_replaced_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(STORE), "old").unwrap();
        let watch = StateWatch::new(dir.path().to_owned());
        let lost = tokio::spawn(async move { watch.lost().await });
        fs::write(dir.path().join("new"), "new").unwrap();
        fs::rename(dir.path().join("new"), dir.path().join(STORE)).unwrap();
        assert!(matches!(lost.await.unwrap(), StateError::Lost(_)));
    }
}
