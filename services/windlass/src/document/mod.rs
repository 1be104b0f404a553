//! Runs, steps and everything else as JSON: the names here are an interface.
//!
//! Names do not change and are not reused; new ones may be added. Times are RFC 3339 in UTC; states and reasons are the
//! contract's words in lower case (`succeeded`, `exit_code`); what has no value is null, never left out.

mod cluster;
mod error;
mod event;
mod explain;
mod limit;
mod plan;
mod result;
mod run;

pub(crate) use self::{
    cluster::{CheckClusterResult, ClusterManifestsResult, OrphansResult, PrepareClusterResult},
    error::ErrorDocument,
    event::EventDocument,
    explain::ExplainResult,
    limit::{LimitResult, LimitsResult, OneLimitResult},
    plan::PlanResult,
    result::{
        AttemptsResult, ClearCacheResult, DeleteResult, DevResult, GetResult, GraphResult,
        ListResult, RunResult, ValidateResult,
    },
    run::{AttemptDocument, RunDocument, StepDocument},
};

/// A text that may be empty in the contract, where that means that there is none.
fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
