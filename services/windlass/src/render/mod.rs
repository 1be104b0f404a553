//! From data to text for people. Pure: data in, text out; what depends on the terminal is in [`Theme`].

mod attempts;
mod cluster;
mod explain;
mod failure;
mod limits;
pub(crate) mod lines;
pub(crate) mod live;
mod plan;
mod run;
mod runs;
#[cfg(test)]
pub(crate) mod samples;
mod skipped;
mod summary;
mod table;
mod theme;
pub(crate) mod time;
pub(crate) mod words;

pub(crate) use self::{
    attempts::attempts,
    cluster::{checked, orphans, prepared, removal_of, removed},
    explain::explained,
    failure::failure,
    limits::{limit, limit_line, limits},
    plan::plan,
    run::run,
    runs::runs,
    skipped::{SkippedGroup, skipped},
    summary::{FailedStep, Summary, summary},
    theme::Theme,
};
