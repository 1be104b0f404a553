//! Opens a list file so that nothing can come of it but its bytes.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;
use windlass_pipeline::limits::LIST_FILE_BYTES;

use super::error::ListProblem;

/// Opens a plain file that lies in one of the directories; in any, where there are none.
///
/// Who gives the path may be somebody who may not read the file. What is at its end is looked at before it is opened, since to
/// open a device may do something, and afterwards, since it may be something else by then. Should it be exchanged in between,
/// the digest says so: nobody learns what is in a file whose digest he does not know.
pub(super) fn open(path: &Path, dirs: Option<&[PathBuf]>) -> Result<(File, Metadata), ListProblem> {
    // What links lead to counts, on both sides.
    let path = fs::canonicalize(path)?;
    let holds = |dir: &PathBuf| fs::canonicalize(dir).is_ok_and(|dir| path.starts_with(dir));
    if !dirs.is_none_or(|dirs| dirs.iter().any(holds)) {
        return Err(ListProblem::Elsewhere);
    }
    if !fs::metadata(&path)?.is_file() {
        return Err(ListProblem::NotAFile);
    }
    // Without waiting, should it be a pipe by now.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(&path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(ListProblem::NotAFile);
    }
    if metadata.len() > LIST_FILE_BYTES {
        return Err(ListProblem::TooLarge);
    }
    Ok((file, metadata))
}
