//! Pipelines in files: YAML, or JSON, which is YAML.
//!
//! ```text
//!   bytes ──▶ yaml ──▶ format ──▶ convert ──▶ check ──▶ v1::Pipeline
//!               ▲                  │ │          │
//!               └──── sources ◀────┘ └──────────┴──▶ locate ──▶ FileError
//!                        ▲   files that are used
//!                      Files
//! ```
//!
//! Never inside: reading files from a disk (that is what [`Files`] is for), and rules that hold for every pipeline (those
//! are [`check`](mod@crate::check)'s).

mod cache;
mod collection;
mod convert;
mod entry;
mod env;
mod error;
mod for_each;
pub(crate) mod format;
mod locate;
mod outputs;
mod pod;
mod quantity;
mod rules;
mod sources;
mod yaml;

use std::path::{Path, PathBuf};

use windlass_proto::v1;

pub use error::{FileError, Position, Problem};
pub use sources::Files;

use crate::{check, limits};
use convert::{Context, Converted};
use sources::Sources;

/// What reading a file depends on besides its content.
#[derive(Debug, Clone, Default)]
pub struct FileOptions<'a> {
    /// The directory that relative working directories are in, and that steps without one start in; the same for all files
    /// that are used. None leaves both as they are.
    pub base_dir: Option<PathBuf>,
    /// The file's own path. Paths of files that it uses begin in its directory; without it, wherever `files` has relative
    /// paths begin.
    pub path: Option<&'a Path>,
    /// Where files come from that this one uses. Without it, none can be used.
    pub files: Option<&'a dyn Files>,
}

/// Reads and checks a pipeline.
///
/// # Errors
///
/// A file that is no pipeline, or one that breaks its rules, with the places of what is wrong, in this file and in those that
/// it uses.
pub fn parse(bytes: &[u8], options: &FileOptions<'_>) -> Result<v1::Pipeline, FileError> {
    if bytes.len() > limits::FILE_BYTES {
        return Err(FileError::too_large(bytes.len()));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| FileError::not_utf8(&bytes[..error.valid_up_to()]))?;
    let file = yaml::refuse_bombs(text)
        .and_then(|()| yaml::read(text))
        .map_err(|error| FileError::yaml(None, &error))?;
    let sources = Sources::new(options.files, options.path, text);
    let mut context = Context::new(options.base_dir.as_deref(), sources);
    let Converted { pipeline, outputs } = convert::pipeline(file, &mut context)?;
    context
        .violations
        .into_result()
        .and_then(|()| check::check(&pipeline))
        .and_then(|()| check::outputs(&pipeline, &outputs))
        .map_err(|violations| locate::placed(&context.sources, &violations))?;
    Ok(pipeline)
}
