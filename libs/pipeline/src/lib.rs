//! The pipeline: what it may be, how it is written down, and what it becomes.
//!
//! ```text
//!   file ──▶ file::parse ──▶ v1::Pipeline ──▶ check::check ──▶ compile::graph ──▶ engine
//!                                 │
//!                                 ├──▶ arguments::resolve   the values of one run
//!                                 ├──▶ amend::in_use       what a retry may change of them
//!                                 ├──▶ outline::Outline     what steps are called, and where names lead
//!                                 ├──▶ plan::Plan           what a run would do, before it starts
//!                                 ├──▶ cache::Inputs        under which key a result is kept
//!                                 └──▶ template::Template   the references in a step's strings,
//!                                        └──▶ resolve::Resolver   and the values that they stand for in a run
//!                                               └──▶ list_file    lists that are in files, which others read
//! ```
//!
//! [`check`] is the truth: a pipeline that passes it compiles, whichever way it came. The [`file`](mod@file) format is
//! one way to write a pipeline; [`schema`] describes it to editors. All numbers are in [`limits`].
//!
//! Never inside: I/O, and what happens to a run (that is the engine's).

pub mod allowance;
pub mod amend;
pub mod arguments;
pub mod cache;
pub mod check;
pub mod compile;
pub mod condition;
pub mod drawing;
pub mod duration;
pub mod file;
pub mod limits;
pub mod list_file;
mod logic;
pub mod name;
pub mod outline;
pub mod plan;
pub mod resolve;
pub mod schema;
mod suggest;
pub mod template;
mod value;

use windlass_pod::quote;
