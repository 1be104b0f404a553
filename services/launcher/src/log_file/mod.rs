//! The file that holds what an attempt wrote: its format, a writer, and a reader that may read while it is written.
//!
//! ```text
//! file   = magic record*
//! magic  = "WNDLLOG" version:u8
//! record = length:u32 flags:u8 sequence:u64 time:u64 content      length counts what follows it; all little-endian
//! flags  = stream (1 stdout, 2 stderr, 3 system), + 0x80 where the line goes on in the stream's next record
//! ```
//!
//! One writer, any number of readers. A record whose end is not in the file yet is being written, or its writer was
//! killed: readers stop before it. The file is complete once its attempt's outcome exists. It is not synced to the disk:
//! after a power failure its end may be missing.
//!
//! Never inside: processes, and what becomes of a log that is complete.

mod lines;
mod reader;
mod record;
mod tail;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{LogError, LogReader};
pub use record::{LogRecord, LogStream, MAX_LINE_BYTES};
pub use writer::LogWriter;

pub(crate) use lines::{Block, LineSplitter};
