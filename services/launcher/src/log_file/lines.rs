//! From reads of a pipe to lines.

use super::record::MAX_LINE_BYTES;

/// Some bytes of one stream: either whole lines, or a piece from within one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    pub(crate) bytes: &'a [u8],
    /// It holds no line feed, and its line goes on in the next block.
    pub(crate) partial: bool,
}

impl<'a> Block<'a> {
    /// Its lines with where each begins; the line feeds are not part of them.
    pub(super) fn lines(self) -> impl Iterator<Item = (usize, &'a [u8])> {
        let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(self.bytes);
        let mut start = 0;
        bytes.split(|byte| *byte == b'\n').map(move |line| {
            let at = start;
            start += line.len() + 1;
            (at, line)
        })
    }

    /// How many lines end in it.
    pub(super) fn line_count(self) -> u64 {
        if self.partial {
            return 0;
        }
        let feeds: u64 = self.bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum();
        feeds + u64::from(!self.bytes.ends_with(b"\n"))
    }
}

/// Cuts what one stream's reads return into blocks, as few and as large as they come.
#[derive(Debug, Default)]
pub(crate) struct LineSplitter {
    /// The beginning of a line whose end has not come; at most [`MAX_LINE_BYTES`] long between calls.
    pending: Vec<u8>,
}

impl LineSplitter {
    /// Takes what a read returned, and emits what can be told of it.
    pub(crate) fn feed(&mut self, data: &[u8], mut emit: impl FnMut(Block<'_>)) {
        let whole = data.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let (whole, rest) = data.split_at(whole);
        if !whole.is_empty() && self.pending.is_empty() {
            emit(Block { bytes: whole, partial: false });
        } else if !whole.is_empty() {
            self.pending.extend_from_slice(whole);
            emit(Block { bytes: &self.pending, partial: false });
            self.pending.clear();
        }
        self.pending.extend_from_slice(rest);
        if self.pending.len() > MAX_LINE_BYTES {
            // At least a byte stays, so that the part that ends the line is never empty.
            let cut = (self.pending.len() - 1) / MAX_LINE_BYTES * MAX_LINE_BYTES;
            emit(Block { bytes: &self.pending[..cut], partial: true });
            self.pending.drain(..cut);
        }
    }

    /// The stream has ended: so has its last line.
    pub(crate) fn finish(&mut self, mut emit: impl FnMut(Block<'_>)) {
        if !self.pending.is_empty() {
            emit(Block { bytes: &self.pending, partial: false });
            self.pending.clear();
        }
    }
}
