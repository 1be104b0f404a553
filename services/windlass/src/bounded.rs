//! Files that people name. Some never end, such as `/dev/zero` or a pipe, and would fill the memory.

use std::{fs::File, io, io::Read, path::Path};

/// Reads a file; none where it has more than `limit` bytes.
pub(crate) fn read_file(file: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    read(File::open(file)?, limit)
}

/// Reads to the end; none where that is more than `limit` bytes away.
pub(crate) fn read(from: impl Read, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut content)?;
    Ok((content.len() <= limit).then_some(content))
}
