//! What every service shares: telemetry, the signals that end it, the gRPC server around it, and the errors it answers
//! with.
//!
//! Never inside: anything that one service alone needs.

pub mod error;
pub mod grpc;
pub mod signal;
pub mod telemetry;
