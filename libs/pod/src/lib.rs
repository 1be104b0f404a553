//! What Windlass knows of pods: pure functions from an attempt to its pod, and from a pod to what became of the attempt.
//!
//! ```text
//!   v1::Pod ──▶ settings::check      what a step may ask of its pod, when it is submitted
//!      │
//!      └──────▶ settings::rendered ──▶ manifest::pod ──▶ the pod that an attempt is
//! ```
//!
//! Never inside: I/O, clocks, a client of Kubernetes, decisions about runs.

pub mod judge;
pub mod label;
pub mod manifest;
pub mod observed;
pub mod quote;
pub mod settings;
pub mod suggest;
mod syntax;
