//! What every service shares: configuration, telemetry, health, TLS, the signals that end it, the gRPC server around it, and
//! the errors it answers with.
//!
//! ```text
//!   main ──▶ program::run ──┬─ settings   what is configured, and from where
//!                           ├─ telemetry  log lines
//!                           ├─ health     /livez, /readyz
//!                           ├─ signal     when to end
//!                           └─▶ the service: connect (bus, store), grpc (tls, health), error, revive, amend
//! ```
//!
//! Never inside: anything that one service alone needs.

pub mod amend;
pub mod connect;
mod connections;
pub mod dead_letters;
pub mod descriptors;
pub mod error;
pub mod fail_point;
pub mod grants;
pub mod grpc;
pub mod health;
pub mod program;
pub mod recurring;
pub mod revive;
pub mod settings;
pub mod shares;
pub mod signal;
pub mod telemetry;
pub mod tls;
