//! Results that are kept beyond their runs.

use rusqlite::{Connection, OptionalExtension, Row, params};
use tracing::warn;
use windlass_engine::time::Timestamp;
use windlass_proto::cache_key::CacheKey;

use super::{
    fault::Fault,
    runs::{run_id, stored_time},
};
use crate::{
    CacheEntry, CacheScope,
    cache::{SHARD_ENTRIES, shard, ttl_ms},
};

pub(super) fn read(
    db: &Connection,
    namespace: &str,
    keys: &[CacheKey],
) -> Result<Vec<Option<CacheEntry>>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT run, pipeline, step, outputs, ended_at FROM cache WHERE namespace = ? AND key = ?",
    )?;
    let mut find = |key: &CacheKey| {
        let row = |row: &Row<'_>| Ok(entry(*key, row));
        match select.query_row(params![namespace, key.0], row).optional()?.transpose() {
            // One that cannot be read is as good as none, and is replaced by the next.
            Err(fault) => {
                let why = fault.of_one_run()?;
                warn!(namespace, %key, why, "a result is passed over");
                Ok(None)
            }
            entry => entry,
        }
    };
    keys.iter().map(&mut find).collect()
}

fn entry(key: CacheKey, row: &Row<'_>) -> Result<CacheEntry, Fault> {
    Ok(CacheEntry {
        key,
        run: run_id(&row.get::<_, String>(0)?)?,
        pipeline: row.get(1)?,
        step: row.get(2)?,
        outputs: row.get(3)?,
        ended_at: Timestamp(row.get::<_, i64>(4)?.cast_unsigned()),
    })
}

pub(super) fn write(db: &Connection, namespace: &str, entries: &[CacheEntry]) -> Result<(), Fault> {
    let mut insert = db.prepare_cached(
        "INSERT OR REPLACE INTO cache (namespace, key, shard, run, pipeline, step, outputs, ended_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    for entry in entries {
        let CacheEntry { key, outputs, run, pipeline, step, ended_at } = entry;
        insert.execute(params![
            namespace,
            key.0,
            shard(*key),
            run.as_str(),
            pipeline,
            step,
            outputs,
            stored_time(*ended_at),
        ])?;
        trim(db, namespace, shard(*key), *ended_at)?;
    }
    Ok(())
}

/// Forgets what is too old, and the oldest of what is too much.
fn trim(db: &Connection, namespace: &str, shard: u8, newest: Timestamp) -> Result<(), Fault> {
    let oldest = stored_time(Timestamp(newest.0.saturating_sub(ttl_ms())));
    db.prepare_cached("DELETE FROM cache WHERE namespace = ? AND shard = ? AND ended_at < ?")?
        .execute(params![namespace, shard, oldest])?;
    let kept: i64 = db
        .prepare_cached("SELECT count(*) FROM cache WHERE namespace = ? AND shard = ?")?
        .query_row(params![namespace, shard], |row| row.get(0))?;
    let surplus = kept - i64::try_from(SHARD_ENTRIES).unwrap_or(i64::MAX);
    if surplus > 0 {
        db.prepare_cached(
            "DELETE FROM cache WHERE rowid IN (
                 SELECT rowid FROM cache WHERE namespace = ? AND shard = ? ORDER BY ended_at, key LIMIT ?
             )",
        )?
        .execute(params![namespace, shard, surplus])?;
    }
    Ok(())
}

pub(super) fn clear(db: &Connection, namespace: &str, scope: &CacheScope) -> Result<u64, Fault> {
    let CacheScope { pipeline, step } = scope;
    let forgotten = db
        .prepare_cached(
            "DELETE FROM cache WHERE namespace = ?1 AND (?2 IS NULL OR pipeline = ?2)
             AND (?3 IS NULL OR step = ?3 OR substr(step, 1, length(?3) + 1) = ?3 || '.')",
        )?
        .execute(params![namespace, pipeline, step])?;
    Ok(forgotten as u64)
}
