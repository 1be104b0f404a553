//! Reads a log, also while it is written.

use std::{
    collections::VecDeque,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::record::{Header, LogRecord, MAGIC, MAX_RECORD_BYTES, OVERHEAD_BYTES, decode};

/// How much is read at once where nobody said.
const SCAN_BYTES: usize = 1024 * 1024;

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The system refused.
    #[error("cannot read the log {}: {source}; see that it exists and that its disk is well", path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no log, or one of a newer version.
    #[error(
        "{} does not begin as a log does: a step has written to it or cut it off, or a later version of Windlass made it; \
         let steps write to their output alone",
        path.display()
    )]
    NotALog {
        /// The file.
        path: PathBuf,
    },
    /// No writer could have written this.
    #[error(
        "the log {} is damaged at byte {offset}: {what}, since a step has written to it or cut it off, or its disk is not well; \
         what comes before that can be read",
        path.display()
    )]
    Damaged {
        /// The log.
        path: PathBuf,
        /// Where the first bad record begins.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Reads one log from front to back. At its end it may be asked again, for what was written since.
#[derive(Debug)]
pub struct LogReader {
    file: File,
    path: PathBuf,
    /// Where the next record begins; 0 before the magic was seen.
    offset: u64,
    /// The next record's number, once one was read.
    sequence: Option<u64>,
}

impl LogReader {
    /// Opens a log at its beginning.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        Self::resume(path, 0)
    }

    /// Opens a log where another reader was, by its [`offset`](Self::offset).
    pub fn resume(path: &Path, offset: u64) -> Result<Self, LogError> {
        let path = path.to_path_buf();
        match File::open(&path) {
            Ok(file) => Ok(Self { file, path, offset, sequence: None }),
            Err(source) => Err(LogError::Io { path, source }),
        }
    }

    /// Where the next record begins, in bytes from the file's beginning.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next records: as many as lie within `max_bytes` of the file, but at least one. None where the file ends for
    /// now. Good records before a damaged one are returned first.
    pub fn read_batch(&mut self, max_bytes: usize) -> Result<Vec<LogRecord>, LogError> {
        let bytes = Bytes::from(self.fill(max_bytes)?);
        let mut records = Vec::new();
        let taken = self.walk(&bytes, |header, at, length| {
            records.push(LogRecord {
                sequence: header.sequence,
                time: header.time,
                stream: header.stream,
                partial: header.partial,
                content: bytes.slice(at + OVERHEAD_BYTES..at + length),
            });
        })?;
        self.offset += taken as u64;
        Ok(records)
    }

    /// Moves to where the last `count` records of what is there now begin. Reads all of it, and keeps 8 bytes for each
    /// record that is wanted.
    pub fn skip_to_last(&mut self, count: usize) -> Result<(), LogError> {
        let mut starts = VecDeque::new();
        loop {
            let bytes = self.fill(SCAN_BYTES)?;
            let base = self.offset;
            let taken = self.walk(&bytes, |_, at, _| {
                starts.push_back(base + at as u64);
                if starts.len() > count {
                    starts.pop_front();
                }
            })?;
            if taken == 0 {
                break;
            }
            self.offset += taken as u64;
        }
        if let Some(first) = starts.front() {
            self.offset = *first;
            self.sequence = None;
        }
        Ok(())
    }

    /// What the file holds from here on, up to `max_bytes` of it but enough for any one record.
    fn fill(&mut self, max_bytes: usize) -> Result<Vec<u8>, LogError> {
        if self.offset == 0 && !self.read_magic()? {
            return Ok(Vec::new());
        }
        let there = self.file.metadata().map_err(|source| self.io(source))?.len();
        let there = usize::try_from(there.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; max_bytes.max(MAX_RECORD_BYTES).min(there)];
        let read = self.read_at(&mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Whether the magic is there; false where it is not written yet.
    fn read_magic(&mut self) -> Result<bool, LogError> {
        let mut magic = [0; MAGIC.len()];
        let read = self.read_at(&mut magic)?;
        if magic[..read] != MAGIC[..read] {
            return Err(LogError::NotALog { path: self.path.clone() });
        }
        if read < MAGIC.len() {
            return Ok(false);
        }
        self.offset = MAGIC.len() as u64;
        Ok(true)
    }

    /// Reads until `bytes` are full or the file ends.
    fn read_at(&self, bytes: &mut [u8]) -> Result<usize, LogError> {
        let mut read = 0;
        while read < bytes.len() {
            match self.file.read_at(&mut bytes[read..], self.offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.io(source)),
            }
        }
        Ok(read)
    }

    /// Visits the whole records in `bytes`, and returns how many bytes they take.
    fn walk(
        &mut self,
        bytes: &[u8],
        mut visit: impl FnMut(Header, usize, usize),
    ) -> Result<usize, LogError> {
        let mut at = 0;
        loop {
            let (header, length) = match decode(&bytes[at..]).and_then(|found| self.in_order(found))
            {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(at),
                Err(_) if at > 0 => return Ok(at),
                Err(what) => {
                    return Err(LogError::Damaged {
                        path: self.path.clone(),
                        offset: self.offset,
                        what,
                    });
                }
            };
            visit(header, at, length);
            self.sequence = Some(header.sequence.wrapping_add(1));
            at += length;
        }
    }

    fn in_order(
        &self,
        found: Option<(Header, usize)>,
    ) -> Result<Option<(Header, usize)>, &'static str> {
        match (found, self.sequence) {
            (Some((header, _)), Some(expected)) if header.sequence != expected => {
                Err("a record has another number than the next one")
            }
            _ => Ok(found),
        }
    }

    fn io(&self, source: io::Error) -> LogError {
        LogError::Io { path: self.path.clone(), source }
    }
}
