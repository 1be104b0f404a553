//! The whole system: the contract over gRPC, the real command, real processes that are really killed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
mod bad_input;
mod command;
mod examples;
mod full_disk;
mod leaving;
mod reach;
mod recovery;
mod support;
