//! Who holds which attempt.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use windlass_engine::record::StepIndex;
use windlass_proto::id::RunId;

use super::{
    fault::Fault,
    runs::{RunKey, key_of},
};

/// Claims what is free, and tells who holds each.
pub(super) fn claim(
    db: &Connection,
    run: RunId,
    holder: &Arc<str>,
    attempts: &[(StepIndex, u32)],
) -> Result<Option<Vec<Arc<str>>>, Fault> {
    let Some(run) = key_of(db, run)? else {
        return Ok(None);
    };
    let mut insert =
        db.prepare_cached("INSERT INTO claims (run, step, attempt, holder) VALUES (?, ?, ?, ?)")?;
    let mut claim = |(step, attempt): &(StepIndex, u32)| {
        if let Some(first) = holder_of(db, run, *step, *attempt)? {
            return Ok(first);
        }
        insert.execute(params![run.0, step.0, attempt, holder])?;
        Ok(Arc::clone(holder))
    };
    attempts.iter().map(&mut claim).collect::<Result<_, _>>().map(Some)
}

pub(super) fn read(
    db: &Connection,
    run: RunId,
    attempts: &[(StepIndex, u32)],
) -> Result<Vec<Option<Arc<str>>>, Fault> {
    let Some(run) = key_of(db, run)? else {
        return Ok(vec![None; attempts.len()]);
    };
    attempts.iter().map(|(step, attempt)| holder_of(db, run, *step, *attempt)).collect()
}

fn holder_of(
    db: &Connection,
    run: RunKey,
    step: StepIndex,
    attempt: u32,
) -> Result<Option<Arc<str>>, Fault> {
    let holder = db
        .prepare_cached("SELECT holder FROM claims WHERE run = ? AND step = ? AND attempt = ?")?
        .query_row(params![run.0, step.0, attempt], |row| row.get(0))
        .optional()?;
    Ok(holder)
}
