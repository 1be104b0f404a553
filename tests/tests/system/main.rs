//! The whole system: the contract over gRPC, the real command, real processes that are really killed.

mod api;
mod bad_input;
mod examples;
mod recovery;
mod support;
