//! What is wrong with a list file.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use windlass_pipeline::limits::{LIST_FILE_BYTES, LIST_LINE_BYTES};

/// An item of a list file that cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the list file {} {problem}", path.display())]
pub(crate) struct ListError {
    pub(crate) path: PathBuf,
    pub(crate) problem: ListProblem,
}

/// Why; follows the name of the file.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ListProblem {
    #[error(
        "is not there, as the launcher sees it; write it where all launchers find it under this path, and keep it until the run \
         is over"
    )]
    Missing,
    #[error(
        "lies outside of the directories of the setting `launcher.list_dirs`; write it into one of them"
    )]
    Elsewhere,
    #[error(
        "is no plain file but a directory, a pipe or a device; write the items into a plain file"
    )]
    NotAFile,
    #[error("cannot be read by the launcher: {0}; let it be read by whom the launcher runs as")]
    Unreadable(Arc<io::Error>),
    #[error("has not been read within {} s; see to the file system that it lies on", .0.as_secs())]
    Late(Duration),
    #[error(
        "has more than {LIST_FILE_BYTES} bytes; write the items into several files, and loop over those"
    )]
    TooLarge,
    #[error(
        "has more than {LIST_LINE_BYTES} bytes in line {line}; have the item name a file of its own that holds it"
    )]
    LineTooLong { line: u64 },
    #[error(
        "has another SHA-256 than was said: it has changed, or the digest is of something else; take the digest of the whole file \
         when it is complete, never change it then, and have the step done again that says which file it is"
    )]
    Changed,
    #[error(
        "has {found} lines, and {said} were said; count all of them, also a last one without an end of line, which `wc -l` leaves \
         out"
    )]
    OtherCount { said: u64, found: u64 },
    #[error(
        "has no JSON value in line {line}: {what} in column {column}; write one value per line, texts in double quotes"
    )]
    NotJson { line: u64, column: usize, what: String },
}

/// A file that is still being read, or for which the system has no descriptor now: whoever wants its items is to come again, and
/// leaves the way free for others meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the list file {} is still being read", .0.display())]
pub(crate) struct StillReading(pub(super) PathBuf);

impl ListError {
    /// Whether it is the system's fault, not the file's: the same may be read later.
    pub(crate) fn is_passing(&self) -> bool {
        match &self.problem {
            ListProblem::Unreadable(error) => !matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::NotADirectory
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::InvalidFilename
            ),
            ListProblem::Late(_) => true,
            ListProblem::Missing
            | ListProblem::Elsewhere
            | ListProblem::NotAFile
            | ListProblem::TooLarge
            | ListProblem::LineTooLong { .. }
            | ListProblem::Changed
            | ListProblem::OtherCount { .. }
            | ListProblem::NotJson { .. } => false,
        }
    }
}

impl From<io::Error> for ListProblem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            // It was cut off while it was read.
            io::ErrorKind::UnexpectedEof => Self::Changed,
            _ => Self::Unreadable(Arc::new(error)),
        }
    }
}
