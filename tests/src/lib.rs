//! What whole-system tests and benchmarks share. They live in `tests/` and `benches/` next to this file.

pub mod pipelines;
pub mod waiting;
