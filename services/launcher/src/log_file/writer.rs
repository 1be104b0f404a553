//! Writes a log. Nothing that goes wrong here harms the attempt: what cannot be written is left out, and counted.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use windlass_engine::time::Timestamp;

use super::{
    lines::Block,
    record::{Header, LogStream, MAGIC, MAX_LINE_BYTES, OVERHEAD_BYTES, encode},
    tail::{LeftOut, Tail},
};

/// How many encoded bytes are gathered before they are written, within one call.
const WRITE_BYTES: usize = 256 * 1024;

/// The one writer of a log.
///
/// The file holds the first `limit` bytes of records; of what comes after them, the last 256 KiB and how much was left
/// out before those follow at the end. Each call hands what it was given to the system before it returns.
#[derive(Debug)]
pub struct LogWriter {
    file: File,
    limit: u64,
    /// Where the last whole record ends.
    offset: u64,
    /// The next record's number.
    sequence: u64,
    pending: Pending,
    /// What could not be written since the last time something could.
    unwritten: LeftOut,
    /// Set once the limit was reached.
    tail: Option<Tail>,
}

/// Records that are encoded and not written.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    records: u64,
    content: LeftOut,
    /// They begin with a record that tells what was not written before.
    tells_unwritten: bool,
}

impl LogWriter {
    /// Creates the file, which must not exist, readable by its owner alone. `limit` is in bytes of the file.
    pub fn create(path: &Path, limit: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all_at(&MAGIC, 0)?;
        Ok(Self {
            file,
            limit,
            offset: MAGIC.len() as u64,
            sequence: 0,
            pending: Pending::default(),
            unwritten: LeftOut::default(),
            tail: None,
        })
    }

    /// Appends what a stream's read returned at `time`.
    pub(crate) fn append(&mut self, stream: LogStream, time: Timestamp, block: Block<'_>) {
        if let Some(tail) = &mut self.tail {
            tail.push(stream, time, block);
            return;
        }
        self.tell_unwritten(time);
        let mut rest = None;
        for (at, line) in block.lines() {
            if self.end() + encoded_bytes(line) > self.limit {
                rest = Some(at);
                break;
            }
            self.encode_line(stream, time, line, block.partial);
        }
        self.flush();
        if let Some(rest) = rest {
            let block = Block { bytes: &block.bytes[rest..], ..block };
            self.tail.insert(Tail::default()).push(stream, time, block);
        }
    }

    /// Writes what was kept back. The file is complete then.
    pub(crate) fn finish(mut self, time: Timestamp) {
        self.tell_unwritten(time);
        if let Some(tail) = self.tail.take() {
            self.tell_left_out(tail.left_out, time);
            for kept in tail.into_blocks() {
                let block = kept.block();
                for (_, line) in block.lines() {
                    self.encode_line(kept.stream, kept.time, line, block.partial);
                }
            }
        }
        self.flush();
    }

    fn tell_left_out(&mut self, LeftOut { bytes, lines }: LeftOut, time: Timestamp) {
        if bytes > 0 {
            let limit = self.limit;
            let text = format!(
                "{bytes} bytes ({lines} lines) were left out here: the log had reached its limit \
                 of {limit} bytes"
            );
            self.encode_record(LogStream::System, time, text.as_bytes(), false);
        }
    }

    /// Where the file ends once all is written.
    fn end(&self) -> u64 {
        self.offset + self.pending.bytes.len() as u64
    }

    fn tell_unwritten(&mut self, time: Timestamp) {
        let LeftOut { bytes, lines } = self.unwritten;
        if bytes == 0 {
            return;
        }
        let text = format!(
            "{bytes} bytes ({lines} lines) are missing here: the log could not be written; \
             see whether its disk is full"
        );
        self.encode_record(LogStream::System, time, text.as_bytes(), false);
        self.pending.tells_unwritten = true;
    }

    /// Encodes a line in as many parts as it needs; `partial` tells that the line goes on after the last one.
    fn encode_line(&mut self, stream: LogStream, time: Timestamp, mut line: &[u8], partial: bool) {
        while let Some((part, rest)) =
            line.split_at_checked(MAX_LINE_BYTES).filter(|(_, rest)| !rest.is_empty())
        {
            self.encode_record(stream, time, part, true);
            line = rest;
        }
        self.encode_record(stream, time, line, partial);
        if self.pending.bytes.len() >= WRITE_BYTES {
            self.flush();
        }
    }

    fn encode_record(&mut self, stream: LogStream, time: Timestamp, content: &[u8], partial: bool) {
        let header = Header { sequence: self.sequence, time, stream, partial };
        encode(&mut self.pending.bytes, header, content);
        self.sequence += 1;
        self.pending.records += 1;
        if stream != LogStream::System {
            // With the line feed, as it is counted everywhere else.
            self.pending.content.bytes += content.len() as u64 + u64::from(!partial);
            self.pending.content.lines += u64::from(!partial);
        }
    }

    /// Writes what is pending, or takes it back where that fails.
    fn flush(&mut self) {
        let written = self.file.write_all_at(&self.pending.bytes, self.offset);
        if written.is_ok() {
            self.offset += self.pending.bytes.len() as u64;
            if self.pending.tells_unwritten {
                self.unwritten = LeftOut::default();
            }
        } else {
            // A reader must never see the end of this attempt behind the beginning of the next one. Where even this
            // fails, the next write begins at the same place.
            let _ = self.file.set_len(self.offset);
            self.sequence -= self.pending.records;
            self.unwritten.bytes += self.pending.content.bytes;
            self.unwritten.lines += self.pending.content.lines;
        }
        self.pending.bytes.clear();
        self.pending =
            Pending { bytes: std::mem::take(&mut self.pending.bytes), ..Pending::default() };
    }
}

#[cfg(test)]
impl LogWriter {
    /// Has what follows written elsewhere, as if the disk had changed.
    pub(super) fn replace_file(&mut self, file: File) -> File {
        std::mem::replace(&mut self.file, file)
    }
}

/// What a line takes in the file.
fn encoded_bytes(line: &[u8]) -> u64 {
    (line.len() + line.len().div_ceil(MAX_LINE_BYTES).max(1) * OVERHEAD_BYTES) as u64
}
