//! One record: what it says, and how it lies in the file.

use bytes::Bytes;
use windlass_engine::time::Timestamp;

/// The longest content of a record: longer lines are cut into parts.
pub const MAX_LINE_BYTES: usize = 16 * 1024;

/// What a log begins with: a name and the format's version.
pub(super) const MAGIC: [u8; 8] = *b"WNDLLOG\x01";

/// Bytes of a record that `length` does not count: itself.
const LENGTH_BYTES: usize = 4;
/// Bytes of a record between its length and its content.
const FIXED_BYTES: usize = 1 + 8 + 8;
/// Bytes of a record besides its content.
pub(super) const OVERHEAD_BYTES: usize = LENGTH_BYTES + FIXED_BYTES;
/// The longest record.
pub(super) const MAX_RECORD_BYTES: usize = OVERHEAD_BYTES + MAX_LINE_BYTES;

const PARTIAL: u8 = 0x80;

/// Where a line was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// The program's standard output.
    Stdout,
    /// The program's standard error.
    Stderr,
    /// Not the program's: a word on the log itself, such as how much was left out.
    System,
}

impl LogStream {
    fn to_bits(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
            Self::System => 3,
        }
    }

    fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            1 => Some(Self::Stdout),
            2 => Some(Self::Stderr),
            3 => Some(Self::System),
            _ => None,
        }
    }
}

/// One line, or a part of one that is longer than [`MAX_LINE_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// From 0 in each log, without gaps: lines that were left out have no numbers.
    pub sequence: u64,
    /// When it was read from the program.
    pub time: Timestamp,
    /// Where it was written.
    pub stream: LogStream,
    /// The line goes on in the next record of the same stream.
    pub partial: bool,
    /// The bytes as they were written, without the line feed.
    pub content: Bytes,
}

/// All of a record but its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sequence: u64,
    pub(super) time: Timestamp,
    pub(super) stream: LogStream,
    pub(super) partial: bool,
}

/// Appends a record to `buffer`. The content is at most [`MAX_LINE_BYTES`] long.
pub(super) fn encode(buffer: &mut Vec<u8>, header: Header, content: &[u8]) {
    let length = u32::try_from(FIXED_BYTES + content.len()).expect("a record is far below 4 GiB");
    let partial = if header.partial { PARTIAL } else { 0 };
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.push(header.stream.to_bits() | partial);
    buffer.extend_from_slice(&header.sequence.to_le_bytes());
    buffer.extend_from_slice(&header.time.0.to_le_bytes());
    buffer.extend_from_slice(content);
}

/// The record that `bytes` begin with, and its length in all; none where it does not end within them.
///
/// # Errors
///
/// Says what is wrong where no writer could have written this.
pub(super) fn decode(bytes: &[u8]) -> Result<Option<(Header, usize)>, &'static str> {
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    if !(FIXED_BYTES..=FIXED_BYTES + MAX_LINE_BYTES).contains(&length) {
        return Err("a record has an impossible length");
    }
    if rest.len() < length {
        return Ok(None);
    }
    let fixed = rest.first_chunk::<FIXED_BYTES>().expect("the length was checked to cover it");
    let [flags, numbers @ ..] = *fixed;
    let stream = LogStream::from_bits(flags & !PARTIAL).ok_or("a record is of no known stream")?;
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&numbers[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let header = Header {
        sequence: number(0),
        time: Timestamp(number(8)),
        stream,
        partial: flags & PARTIAL != 0,
    };
    Ok(Some((header, LENGTH_BYTES + length)))
}
