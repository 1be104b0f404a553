//! What is kept for each step: its state, its attempts, its outputs.
//!
//! The states lie in blocks of [`BLOCK`] records, one row each: 62 are just under half a page of 4096 bytes, so that two
//! blocks share one. Measured at a million steps against a row per step and larger blocks: as fast as any for steps that
//! are scattered, where each costs one page, and three times a row per step for steps that follow each other.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    ops::Range,
    sync::Arc,
};

use rusqlite::{Connection, OptionalExtension, params};
use windlass_engine::record::{AttemptRecord, StepIndex, StepRecord};
use windlass_proto::id::RunId;

use super::{
    fault::Fault,
    runs::{RunKey, key_of},
};
use crate::{
    RunView, StoreError,
    codec::{self, STEP_SIZE},
};

/// How many steps a block holds; the last one of a run may hold fewer.
const BLOCK: u32 = 62;

/// How many bits of a block's key are its number within the run: enough for 2^32 steps.
const NUMBER_BITS: u32 = 27;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct BlockNumber(u32);

impl BlockNumber {
    fn of(step: StepIndex) -> Self {
        Self(step.0 / BLOCK)
    }

    fn key(self, run: RunKey) -> i64 {
        run.0 << NUMBER_BITS | i64::from(self.0)
    }

    /// How many bytes it has in a run of so many steps.
    fn size(self, steps: u32) -> usize {
        steps.saturating_sub(self.0 * BLOCK).min(BLOCK) as usize * STEP_SIZE
    }

    /// None where it was never written.
    fn stored(self, db: &Connection, run: RunKey, steps: u32) -> Result<Option<Vec<u8>>, Fault> {
        let bytes: Option<Vec<u8>> = db
            .prepare_cached("SELECT steps FROM blocks WHERE key = ?")?
            .query_row([self.key(run)], |row| row.get(0))
            .optional()?;
        if let Some(bytes) = &bytes {
            self.check(bytes, steps)?;
        }
        Ok(bytes)
    }

    fn read(self, db: &Connection, run: RunKey, steps: u32) -> Result<Vec<u8>, Fault> {
        Ok(self.stored(db, run, steps)?.unwrap_or_else(|| unchanged(self.size(steps))))
    }

    fn check(self, bytes: &[u8], steps: u32) -> Result<(), Fault> {
        let (size, expected) = (bytes.len(), self.size(steps));
        if size == expected {
            return Ok(());
        }
        let what = format!("block {} has {size} bytes in place of {expected}", self.0);
        Err(StoreError::Damaged(what).into())
    }

    fn write(self, db: &Connection, run: RunKey, bytes: &[u8]) -> Result<(), Fault> {
        db.prepare_cached("INSERT OR REPLACE INTO blocks (key, steps) VALUES (?, ?)")?
            .execute(params![self.key(run), bytes])?;
        Ok(())
    }
}

/// As many bytes as steps have to which nothing has happened.
fn unchanged(size: usize) -> Vec<u8> {
    codec::encode_step(&StepRecord::default()).repeat(size / STEP_SIZE)
}

/// Gives a run more steps. Blocks that were never written need not be touched.
pub(super) fn grow(db: &Connection, run: RunKey, from: u32, to: u32) -> Result<(), Fault> {
    let last = BlockNumber(from / BLOCK);
    let more = last.size(to).saturating_sub(last.size(from));
    if last.size(from) == 0 || more == 0 {
        return Ok(());
    }
    if let Some(mut bytes) = last.stored(db, run, from)? {
        bytes.extend(unchanged(more));
        last.write(db, run, &bytes)?;
    }
    Ok(())
}

/// Writes the states of steps, each of which the run has.
pub(super) fn write(
    db: &Connection,
    run: RunKey,
    steps: u32,
    changed: &[(StepIndex, StepRecord)],
) -> Result<(), Fault> {
    for changed in
        changed.chunk_by(|(one, _), (next, _)| BlockNumber::of(*one) == BlockNumber::of(*next))
    {
        let Some((first, _)) = changed.first() else {
            continue;
        };
        let block = BlockNumber::of(*first);
        let mut bytes = if covers(changed, block.size(steps)) {
            vec![0; block.size(steps)]
        } else {
            block.read(db, run, steps)?
        };
        let (records, _) = bytes.as_chunks_mut::<STEP_SIZE>();
        for (step, record) in changed {
            if let Some(place) = records.get_mut((step.0 % BLOCK) as usize) {
                *place = codec::encode_step(record);
            }
        }
        block.write(db, run, &bytes)?;
    }
    Ok(())
}

/// Whether these are all the steps of a block, so that it need not be read.
fn covers(changed: &[(StepIndex, StepRecord)], size: usize) -> bool {
    changed.len() * STEP_SIZE == size && changed.is_sorted_by(|(one, _), (next, _)| one < next)
}

/// Reads the states of a range of steps, those left out that the run does not have.
pub(super) fn read_range(
    db: &Connection,
    run: RunKey,
    steps: u32,
    range: Range<u32>,
) -> Result<Vec<StepRecord>, Fault> {
    let range = range.start..range.end.min(steps);
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let mut records = vec![StepRecord::default(); range.len()];
    let (first, last) = (BlockNumber(range.start / BLOCK), BlockNumber((range.end - 1) / BLOCK));
    let mut select =
        db.prepare_cached("SELECT key, steps FROM blocks WHERE key BETWEEN ? AND ? ORDER BY key")?;
    let mut rows = select.query([first.key(run), last.key(run)])?;
    while let Some(row) = rows.next()? {
        let number = row.get::<_, i64>(0)? - first.key(run) + i64::from(first.0);
        let block = BlockNumber(u32::try_from(number).map_err(|_| out_of_place(number))?);
        let bytes = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        block.check(bytes, steps)?;
        let (stored, _) = bytes.as_chunks::<STEP_SIZE>();
        for (step, bytes) in
            (block.0 * BLOCK..).zip(stored).filter(|(step, _)| range.contains(step))
        {
            if let Some(place) = records.get_mut((step - range.start) as usize) {
                *place = codec::decode_step(bytes)?;
            }
        }
    }
    Ok(records)
}

fn out_of_place(number: i64) -> Fault {
    StoreError::Damaged(format!("there is a block {number} in the midst of others")).into()
}

/// Reads the states of these steps, in the order asked.
pub(super) fn read(
    db: &Connection,
    run: RunKey,
    view: &RunView,
    steps: &[StepIndex],
) -> Result<Vec<StepRecord>, Fault> {
    let mut blocks: HashMap<BlockNumber, Vec<u8>> = HashMap::new();
    let total = view.step_count;
    let mut record_of = |step: StepIndex| {
        let block = BlockNumber::of(step);
        let bytes = match blocks.entry(block) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(block.read(db, run, total)?),
        };
        let (records, _) = bytes.as_chunks::<STEP_SIZE>();
        let unknown = || StoreError::no_such_step(view.submission.id, total, step);
        let record = records.get((step.0 % BLOCK) as usize).ok_or_else(unknown)?;
        Ok(codec::decode_step(record)?)
    };
    steps.iter().map(|step| record_of(*step)).collect()
}

pub(super) fn write_attempts(
    db: &Connection,
    run: RunKey,
    attempts: &[AttemptRecord],
) -> Result<(), Fault> {
    let mut insert = db.prepare_cached(
        "INSERT OR REPLACE INTO attempts (run, step, attempt, record) VALUES (?, ?, ?, ?)",
    )?;
    for attempt in attempts {
        let bytes = codec::encode_attempt(attempt);
        insert.execute(params![run.0, attempt.step.0, attempt.attempt, bytes])?;
    }
    Ok(())
}

pub(super) fn attempts(
    db: &Connection,
    run: RunId,
    step: StepIndex,
) -> Result<Vec<AttemptRecord>, Fault> {
    let Some(run) = key_of(db, run)? else {
        return Ok(Vec::new());
    };
    let mut select = db.prepare_cached(
        "SELECT attempt, record FROM attempts WHERE run = ? AND step = ? ORDER BY attempt",
    )?;
    let rows = select.query_map(params![run.0, step.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let decode = |row: rusqlite::Result<(u32, Vec<u8>)>| {
        let (attempt, bytes) = row?;
        Ok(codec::decode_attempt(step, attempt, &bytes)?)
    };
    rows.map(decode).collect()
}

pub(super) fn latest_attempts(
    db: &Connection,
    run: RunId,
    steps: &[StepIndex],
) -> Result<BTreeMap<StepIndex, AttemptRecord>, Fault> {
    let Some(run) = key_of(db, run)? else {
        return Ok(BTreeMap::new());
    };
    let mut select = db.prepare_cached(
        "SELECT attempt, record FROM attempts WHERE run = ? AND step = ? ORDER BY attempt DESC LIMIT 1",
    )?;
    let mut latest = BTreeMap::new();
    for step in steps {
        let found: Option<(u32, Vec<u8>)> = select
            .query_row(params![run.0, step.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        if let Some((attempt, bytes)) = found {
            latest.insert(*step, codec::decode_attempt(*step, attempt, &bytes)?);
        }
    }
    Ok(latest)
}

pub(super) fn write_outputs(
    db: &Connection,
    run: RunKey,
    outputs: &[(StepIndex, Arc<str>)],
) -> Result<(), Fault> {
    let mut insert =
        db.prepare_cached("INSERT OR REPLACE INTO outputs (run, step, json) VALUES (?, ?, ?)")?;
    for (step, json) in outputs {
        insert.execute(params![run.0, step.0, json])?;
    }
    Ok(())
}

pub(super) fn outputs(
    db: &Connection,
    run: RunId,
    steps: &[StepIndex],
) -> Result<BTreeMap<StepIndex, Arc<str>>, Fault> {
    let Some(run) = key_of(db, run)? else {
        return Ok(BTreeMap::new());
    };
    let mut select = db.prepare_cached("SELECT json FROM outputs WHERE run = ? AND step = ?")?;
    let mut outputs = BTreeMap::new();
    for step in steps {
        let json =
            select.query_row(params![run.0, step.0], |row| row.get::<_, Arc<str>>(0)).optional()?;
        outputs.extend(json.map(|json| (*step, json)));
    }
    Ok(outputs)
}

/// Forgets all that is kept for the steps of a run.
pub(super) fn remove(db: &Connection, run: RunKey) -> Result<(), Fault> {
    let (first, beyond) = (BlockNumber(0).key(run), BlockNumber(0).key(RunKey(run.0 + 1)));
    db.prepare_cached("DELETE FROM blocks WHERE key >= ? AND key < ?")?.execute([first, beyond])?;
    for table in ["attempts", "outputs"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE run = ?"))?.execute([run.0])?;
    }
    Ok(())
}
