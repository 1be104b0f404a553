//! Whole-system tests and benchmarks live in `tests/` and `benches/` next to this file.
