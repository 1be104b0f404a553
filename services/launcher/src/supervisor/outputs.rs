//! Reads what a program wrote as its outputs.

use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use nix::fcntl::OFlag;
use serde_json::{Map, Value};

use super::shortage::wait_out;

/// The most that all outputs of a step may take, as JSON.
pub(super) const MAX_OUTPUT_BYTES: usize = 64 * 1024;

/// What is wrong with the outputs.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    #[error(
        "the outputs that the step wrote to the file named by WINDLASS_OUTPUT cannot be \
             read: {0}; write a plain file there"
    )]
    Unreadable(io::Error),
    #[error(
        "the outputs are not UTF-8 text, as JSON must be: byte {0} is the first that is not; write UTF-8 to the file \
             named by WINDLASS_OUTPUT, and other bytes as text, such as base64"
    )]
    NotText(usize),
    #[error(
        "the outputs take more than {MAX_OUTPUT_BYTES} bytes; write large data to a \
             file in the directory named by WINDLASS_RUN_DIR, and its name as the output; or where it is the list of a \
             loop, one item per line, and {{\"list_file\": \"/PATH\", \"items\": NUMBER OF LINES, \"sha256\": \
             \"64 HEXADECIMAL DIGITS\"}} as the output"
    )]
    TooLarge,
    #[error(
        "the outputs are not a JSON object: {0}; write one object, such as \
             {{\"rows\": 3}}, to the file named by WINDLASS_OUTPUT"
    )]
    NotAnObject(serde_json::Error),
    #[error("the step declares outputs that it did not write: {}; write them as one JSON object to the file named by WINDLASS_OUTPUT, or do not declare them", .0.join(", "))]
    Missing(Vec<String>),
}

/// The outputs as JSON text; none where the program wrote none and declares none.
pub(super) fn read(path: &Path, declared: &[String]) -> Result<Option<String>, OutputError> {
    let text = read_text(path)?;
    let text = text.trim();
    let written = match text {
        "" => Map::new(),
        text => {
            serde_json::from_str::<Map<String, Value>>(text).map_err(OutputError::NotAnObject)?
        }
    };
    let missing: Vec<String> =
        declared.iter().filter(|name| !written.contains_key(*name)).cloned().collect();
    if !missing.is_empty() {
        return Err(OutputError::Missing(missing));
    }
    // As it was written: numbers keep all their digits.
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn read_text(path: &Path) -> Result<String, OutputError> {
    // Without waiting: the program may have put a pipe there.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = match wait_out(|| options.open(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(OutputError::Unreadable(error)),
    };
    if !file.metadata().map_err(OutputError::Unreadable)?.is_file() {
        return Err(OutputError::Unreadable(io::Error::other("it is not a plain file")));
    }
    let mut text = Vec::new();
    let limit = MAX_OUTPUT_BYTES as u64 + 1;
    file.take(limit).read_to_end(&mut text).map_err(OutputError::Unreadable)?;
    if text.len() > MAX_OUTPUT_BYTES {
        return Err(OutputError::TooLarge);
    }
    String::from_utf8(text)
        .map_err(|error| OutputError::NotText(error.utf8_error().valid_up_to() + 1))
}
