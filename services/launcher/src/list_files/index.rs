//! Where the lines of a list file are, and how it is told that they are still the ones that were checked.
//!
//! A file is read once as a whole, for its digest. What is kept of that is, for each block of some 16 KiB of whole lines, where
//! it begins, its first line, and its digest: 48 bytes. An item is read with the block that it lies in, whose digest must be the
//! same. So neither the items nor an open file are held, and no item is taken that is not of the list that was meant.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    os::unix::fs::FileExt as _,
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use windlass_pipeline::{
    limits::{LIST_FILE_BYTES, LIST_LINE_BYTES},
    list_file::ListFile,
};

use super::error::ListProblem;

/// From how many bytes on a block takes no more lines.
const BLOCK_BYTES: usize = 16 << 10;

/// Items by index.
pub(super) type Items = BTreeMap<u32, Result<Value, ListProblem>>;

/// The blocks of a file that was the one that was meant.
#[derive(Debug)]
pub(super) struct Index {
    blocks: Vec<Block>,
    /// Where the last one ends.
    end: u64,
}

#[derive(Debug)]
struct Block {
    start: u64,
    /// The index of its first line.
    first: u32,
    sha256: [u8; 32],
}

impl Index {
    /// Reads a file from its beginning, and checks that it is the list.
    pub(super) fn of(file: &File, list: &ListFile) -> Result<Self, ListProblem> {
        let mut reader = BufReader::with_capacity(4 * BLOCK_BYTES, file);
        let (mut blocks, mut end, mut lines) = (Vec::new(), 0, 0_u32);
        let mut whole = Sha256::new();
        let mut block = Vec::new();
        loop {
            block.clear();
            let first = lines;
            while block.len() < BLOCK_BYTES && read_line(&mut reader, &mut block, lines)? {
                lines += 1;
            }
            if block.is_empty() {
                break;
            }
            whole.update(&block);
            blocks.push(Block { start: end, first, sha256: Sha256::digest(&block).into() });
            end += block.len() as u64;
            if end > LIST_FILE_BYTES {
                return Err(ListProblem::TooLarge);
            }
        }
        if <[u8; 32]>::from(whole.finalize()) != list.sha256 {
            return Err(ListProblem::Changed);
        }
        let found = u64::from(lines);
        if found != list.items {
            return Err(ListProblem::OtherCount { said: list.items, found });
        }
        blocks.shrink_to_fit();
        Ok(Self { blocks, end })
    }

    /// How many bytes it takes up.
    pub(super) fn bytes(&self) -> usize {
        self.blocks.len() * size_of::<Block>()
    }

    /// Reads items from the file, each by itself, so that one that is wrong harms no other.
    pub(super) fn items(&self, file: &File, wanted: &BTreeSet<u32>) -> Result<Items, ListProblem> {
        let mut items = Items::new();
        let mut wanted = wanted.iter().copied().peekable();
        while let Some(first) = wanted.peek() {
            let after = self.blocks.partition_point(|block| block.first <= *first);
            let next = self.blocks.get(after);
            let of_block = |index: &u32| next.is_none_or(|next| *index < next.first);
            let here = std::iter::from_fn(|| wanted.next_if(of_block));
            let Some(block) = after.checked_sub(1).map(|at| &self.blocks[at]) else {
                items.extend(here.map(|index| (index, Err(ListProblem::Changed))));
                continue;
            };
            let end = next.map_or(self.end, |next| next.start);
            let bytes = block.read(file, end)?;
            let lines = bytes
                .as_deref()
                .map(|bytes| bytes.split(|byte| *byte == b'\n').collect::<Vec<_>>());
            for index in here {
                let line = lines.as_ref().and_then(|it| it.get((index - block.first) as usize));
                let item = line.ok_or(ListProblem::Changed);
                items.insert(index, item.and_then(|line| value(line, index)));
            }
        }
        Ok(items)
    }
}

impl Block {
    /// Its bytes; none where they are others than they were.
    fn read(&self, file: &File, end: u64) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; (end - self.start) as usize];
        match file.read_exact_at(&mut bytes, self.start) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        Ok((<[u8; 32]>::from(Sha256::digest(&bytes)) == self.sha256).then_some(bytes))
    }
}

/// Adds a line with its end to what was read; false where there is none.
fn read_line(
    reader: &mut BufReader<&File>,
    block: &mut Vec<u8>,
    before: u32,
) -> Result<bool, ListProblem> {
    let start = block.len();
    let mut line = reader.take(LIST_LINE_BYTES as u64 + 1);
    let read = line.read_until(b'\n', block)?;
    if read > LIST_LINE_BYTES && block[start..].last() != Some(&b'\n') {
        return Err(ListProblem::LineTooLong { line: u64::from(before) + 1 });
    }
    Ok(read > 0)
}

/// The item that a line is.
fn value(line: &[u8], index: u32) -> Result<Value, ListProblem> {
    serde_json::from_slice(line).map_err(|error| {
        // Where it is within its only line says the column.
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default().to_owned();
        ListProblem::NotJson { line: u64::from(index) + 1, column: error.column(), what }
    })
}
