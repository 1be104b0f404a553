//! Files that settings name.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

/// A file that a setting names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is not there, or may not be read.
    #[error("the file {} cannot be read: {problem}; see that it is there and may be read by this program", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        problem: io::Error,
    },
    /// It holds nothing.
    #[error("the file {} is empty; write the secret into it", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a secret; blanks and line ends around it are no part of it.
pub(super) fn read_secret(path: &Path) -> Result<SecretString, FileError> {
    let text = fs::read_to_string(path)
        .map_err(|problem| FileError::Unreadable { path: path.to_owned(), problem })?;
    match text.trim() {
        "" => Err(FileError::Empty { path: path.to_owned() }),
        secret => Ok(SecretString::from(secret)),
    }
}
