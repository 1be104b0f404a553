//! Pipelines in files: YAML, or JSON, which is YAML.
//!
//! ```text
//!   bytes ──▶ yaml ──▶ format ──▶ convert ──▶ check ──▶ v1::Pipeline
//!                                    └──────────┴──▶ locate ──▶ FileError
//! ```
//!
//! Never inside: reading files from a disk, and rules that hold for every pipeline (those are
//! [`check`](mod@crate::check)'s).

mod collection;
mod convert;
mod entry;
mod error;
pub(crate) mod format;
mod locate;
mod quantity;
mod yaml;

use std::path::PathBuf;

use windlass_proto::v1;

pub use error::{FileError, Position, Problem};

use crate::{
    check::{self, Violations},
    limits,
};

/// What reading a file depends on besides its content.
#[derive(Debug, Clone, Default)]
pub struct FileOptions {
    /// The directory that relative working directories are in, and that steps without one start in. None leaves both
    /// as they are.
    pub base_dir: Option<PathBuf>,
}

/// Reads and checks a pipeline.
///
/// # Errors
///
/// A file that is no pipeline, or one that breaks its rules, with the places of what is wrong.
pub fn parse(bytes: &[u8], options: &FileOptions) -> Result<v1::Pipeline, FileError> {
    if bytes.len() > limits::FILE_BYTES {
        return Err(FileError::too_large(bytes.len()));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| FileError::not_utf8(&bytes[..error.valid_up_to()]))?;
    yaml::refuse_bombs(text).map_err(|error| FileError::yaml(&error))?;
    let file = yaml::read(text).map_err(|error| FileError::yaml(&error))?;
    let mut violations = Violations::default();
    let pipeline = convert::pipeline(file, options.base_dir.as_deref(), &mut violations);
    violations
        .into_result()
        .and_then(|()| check::check(&pipeline))
        .map_err(|violations| placed(text, &violations))?;
    Ok(pipeline)
}

/// Violations with their places in the file.
fn placed(text: &str, violations: &Violations) -> FileError {
    let positions =
        locate::locate(text, violations.iter().map(|violation| violation.field.as_str()));
    let problems = violations
        .iter()
        .zip(positions)
        .map(|(violation, position)| Problem { position, message: violation.message.clone() })
        .collect();
    FileError::Rules { problems, more: violations.more() }
}
