//! The whole system: the contract over gRPC, the real command, real processes that are really killed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod amendments;
mod api;
mod approvals;
mod bad_input;
mod cache;
mod command;
mod dynamic;
mod examples;
mod explain;
mod full_disk;
mod leaving;
mod limits;
mod list_files;
mod reach;
mod recovery;
mod resumed;
mod retries;
mod setting_limits;
mod support;
