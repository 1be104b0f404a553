//! The end of a log that is too long: the last blocks, kept in memory until it is known that they are the last.

use std::collections::VecDeque;

use windlass_engine::time::Timestamp;

use super::{lines::Block, record::LogStream};

/// How many bytes are kept at least, bookkeeping included.
const KEPT_BYTES: usize = 256 * 1024;
/// The largest block that another one is added to.
const MERGED_BYTES: usize = 16 * 1024;

/// How much is not in a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) bytes: u64,
    pub(super) lines: u64,
}

impl LeftOut {
    pub(super) fn add(&mut self, block: Block<'_>) {
        self.bytes += block.bytes.len() as u64;
        self.lines += block.line_count();
    }
}

/// A block that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) stream: LogStream,
    pub(super) time: Timestamp,
    partial: bool,
    bytes: Vec<u8>,
}

impl Kept {
    pub(super) fn block(&self) -> Block<'_> {
        Block { bytes: &self.bytes, partial: self.partial }
    }

    /// What it takes of the memory.
    fn cost(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }

    fn may_take(&self, stream: LogStream, time: Timestamp, block: Block<'_>) -> bool {
        let whole = !self.partial && !block.partial && self.bytes.ends_with(b"\n");
        whole && self.stream == stream && self.time == time && self.bytes.len() < MERGED_BYTES
    }
}

/// The last blocks, and a count of those before them.
#[derive(Debug, Default)]
pub(super) struct Tail {
    blocks: VecDeque<Kept>,
    cost: usize,
    pub(super) left_out: LeftOut,
}

impl Tail {
    pub(super) fn push(&mut self, stream: LogStream, time: Timestamp, block: Block<'_>) {
        let last = self.blocks.back_mut();
        if let Some(last) = last.filter(|last| last.may_take(stream, time, block)) {
            last.bytes.extend_from_slice(block.bytes);
            self.cost += block.bytes.len();
        } else {
            let bytes = block.bytes.to_vec();
            let kept = Kept { stream, time, partial: block.partial, bytes };
            self.cost += kept.cost();
            self.blocks.push_back(kept);
        }
        while let Some(first) = self.blocks.front()
            && self.cost - first.cost() >= KEPT_BYTES
        {
            self.cost -= first.cost();
            self.left_out.add(first.block());
            self.blocks.pop_front();
        }
    }

    pub(super) fn into_blocks(self) -> VecDeque<Kept> {
        self.blocks
    }
}
