//! Clusters from outside, as far as no API server is needed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod file;
mod operator;
mod way;
