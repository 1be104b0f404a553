//! What Windlass knows of pods: pure functions from an attempt to its pod, and from a pod to what became of the attempt.
//!
//! Never inside: I/O, clocks, a client of Kubernetes, decisions about runs.

pub mod judge;
pub mod label;
pub mod observed;
