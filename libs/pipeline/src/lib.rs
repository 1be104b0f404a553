//! The pipeline: what it may be, how it is written down, and what it becomes.
//!
//! ```text
//!   file ──▶ file::parse ──▶ v1::Pipeline ──▶ check::check ──▶ compile::graph ──▶ engine
//!                                 │
//!                                 ├──▶ arguments::resolve   the values of one run
//!                                 └──▶ template::Template   the references in a step's strings
//! ```
//!
//! [`check`] is the truth: a pipeline that passes it compiles, whichever way it came. The [`file`](mod@file) format is
//! one way to write a pipeline; [`schema`] describes it to editors. All numbers are in [`limits`].
//!
//! Never inside: I/O, and what happens to a run (that is the engine's).

pub mod arguments;
pub mod check;
pub mod compile;
pub mod duration;
pub mod file;
pub mod limits;
mod name;
mod quote;
pub mod schema;
mod step_names;
mod suggest;
pub mod template;
mod value;
