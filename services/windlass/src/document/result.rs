//! The results of commands: one document each.

use std::path::PathBuf;

use serde::Serialize;

use super::{AttemptDocument, RunDocument, StepDocument};

/// Of `submit`, `cancel`, `pause`, `resume`, `retry` and `rerun`.
#[derive(Debug, Serialize)]
pub(crate) struct RunResult {
    pub(crate) run: RunDocument,
}

/// Of `list`.
#[derive(Debug, Serialize)]
pub(crate) struct ListResult {
    pub(crate) runs: Vec<RunDocument>,
    /// Whether there are runs beyond the limit.
    pub(crate) more: bool,
}

/// Of `get`.
#[derive(Debug, Serialize)]
pub(crate) struct GetResult {
    pub(crate) run: RunDocument,
    /// In the pipeline's order.
    pub(crate) steps: Vec<StepDocument>,
}

/// Of `get --attempts`.
#[derive(Debug, Serialize)]
pub(crate) struct AttemptsResult {
    /// From the first.
    pub(crate) attempts: Vec<AttemptDocument>,
}

/// Of `delete`.
#[derive(Debug, Serialize)]
pub(crate) struct DeleteResult {
    /// The run's id.
    pub(crate) deleted: String,
}

/// Of `cache clear`.
#[derive(Debug, Serialize)]
pub(crate) struct ClearCacheResult {
    /// How many results.
    pub(crate) forgotten: u64,
}

/// Of `validate`.
#[derive(Debug, Serialize)]
pub(crate) struct ValidateResult {
    /// The pipeline's name.
    pub(crate) pipeline: String,
    /// How many it has.
    pub(crate) steps: usize,
}

/// Of `graph`.
#[derive(Debug, Serialize)]
pub(crate) struct GraphResult {
    /// In the language that was asked for.
    pub(crate) graph: String,
}

/// Of `dev`, as soon as it listens.
#[derive(Debug, Serialize)]
pub(crate) struct DevResult {
    /// For `--server`.
    pub(crate) server: String,
    pub(crate) state_dir: PathBuf,
}
