//! What a supervisor is told to do.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::runtime::KeepResult;

/// An attempt, as the launcher orders it. Times are milliseconds, sizes bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    /// When the launcher created the attempt, since 1970.
    pub(crate) created_ms: u64,
    pub(crate) run: String,
    pub(crate) step: String,
    pub(crate) attempt: u32,
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// Added to the environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Where the program starts; where the launcher was started if there is none.
    pub(crate) working_dir: Option<PathBuf>,
    /// A directory that all steps of the run share.
    pub(crate) run_dir: PathBuf,
    /// Between TERM and KILL.
    pub(crate) grace_ms: u64,
    /// The most resident memory of all its processes together.
    pub(crate) memory_bytes: Option<u64>,
    /// The outputs that it must write.
    pub(crate) outputs: Vec<String>,
    /// The size at which the middle of the log begins to be left out.
    pub(crate) log_limit: u64,
    /// How many files the program may have open; none means as many as the launcher.
    #[serde(default)]
    pub(crate) open_files: Option<u64>,
    /// How the result is to be kept, where it is.
    #[serde(default)]
    pub(crate) keep: Option<KeepResult>,
}
