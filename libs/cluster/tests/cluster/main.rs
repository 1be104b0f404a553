//! Clusters from outside, as far as no API server is needed.

mod file;
mod operator;
mod way;
