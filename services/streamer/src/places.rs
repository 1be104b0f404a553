//! Where the log files of attempts lie.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use windlass_launcher::runtime::{AttemptKey, process};

/// Where the log files of attempts lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPlaces {
    /// All in the directory of one process runtime.
    OneHost(PathBuf),
    /// In directories that lie in this one, one for each host: what launchers share with streamers.
    Hosts(PathBuf),
}

impl LogPlaces {
    /// The directory that it was given.
    pub(crate) fn dir(&self) -> &Path {
        let (Self::OneHost(dir) | Self::Hosts(dir)) = self;
        dir
    }

    /// The log file of an attempt; none where there is none yet, since the attempt has not begun or never did.
    pub(crate) fn find(&self, key: AttemptKey) -> io::Result<Option<PathBuf>> {
        let there = |dir: &Path| {
            let file = process::log_file(dir, key);
            Ok::<_, io::Error>(file.try_exists()?.then_some(file))
        };
        match self {
            Self::OneHost(dir) => there(dir),
            Self::Hosts(root) => {
                let hosts = match fs::read_dir(root) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    hosts => hosts?,
                };
                // What cannot be looked into may still be in another one.
                let mut refused = None;
                for host in hosts {
                    match there(&host?.path()) {
                        Ok(Some(file)) => return Ok(Some(file)),
                        Ok(None) => {}
                        Err(error) => refused = Some(error),
                    }
                }
                refused.map_or(Ok(None), Err)
            }
        }
    }
}
