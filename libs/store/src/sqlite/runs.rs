//! A run: created, committed to, ordered about, read, removed.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use windlass_engine::{event::Order, record::RunRecord, time::Timestamp};
use windlass_proto::{convert, id::RunId};

use super::{expansions, fault::Fault, steps};
use crate::{
    Commit, Committed, Created, NewRun, Placed, PlacedOrder, RunView, StoreError, StoredRun,
    Submission, Version, codec, run::ORDER_OVERHEAD,
};

/// By which the other tables name a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunKey(pub(super) i64);

pub(super) fn create(db: &Connection, run: &NewRun, now: Timestamp) -> Result<Created, Fault> {
    let Submission { id, namespace, pipeline, arguments_json, digest, rerun_of, .. } =
        &run.submission;
    let Submission { labels, steps, no_cache, priority, .. } = &run.submission;
    let existing = db
        .prepare_cached("SELECT digest FROM runs WHERE id = ?")?
        .query_row([id.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(digest) = existing {
        return Ok(Created::Existed { digest });
    }
    if db.prepare_cached("SELECT 1 FROM removed WHERE id = ?")?.exists([id.as_str()])? {
        return Ok(Created::Removed);
    }
    db.prepare_cached(
        "INSERT INTO runs (id, created_at, namespace, pipeline, digest, rerun_of, steps, step_count, state,
             active, ended_at, number, commit_id, committed_at, order_sequence, record, no_cache, priority)
         VALUES (?, ?2, ?, ?, ?, ?, ?7, ?7, ?, ?, ?, ?, ?, ?2, 0, ?, ?, ?)",
    )?
    .execute(params![
        id.as_str(),
        stored_time(now),
        namespace,
        pipeline,
        digest,
        rerun_of.as_ref().map(RunId::as_str),
        steps,
        client_state(&run.record),
        !run.record.state.is_final(),
        stored_time(run.record.ended_at),
        Version::FIRST.number.cast_signed(),
        Version::FIRST.commit.cast_signed(),
        codec::encode_run(&run.record),
        no_cache,
        priority,
    ])?;
    let key = db.last_insert_rowid();
    db.prepare_cached("INSERT INTO submissions (run, arguments_json, pipeline) VALUES (?, ?, ?)")?
        .execute(params![key, arguments_json, &run.pipeline[..]])?;
    let mut add_label =
        db.prepare_cached("INSERT INTO labels (run, name, value) VALUES (?, ?, ?)")?;
    for (name, value) in labels {
        add_label.execute(params![key, name, value])?;
    }
    Ok(Created::New)
}

/// Commits to each run on its own: what is damaged of one undoes what was done to that one.
pub(super) fn commit_each(
    db: &Connection,
    commits: &[Commit],
    now: Timestamp,
) -> Result<Vec<Committed>, Fault> {
    let each = |change: &Commit| {
        db.prepare_cached("SAVEPOINT one")?.execute([])?;
        let committed = commit(db, change, now).or_else(|fault| {
            let why = fault.of_one_run()?;
            db.prepare_cached("ROLLBACK TO one")?.execute([])?;
            Ok::<_, Fault>(Committed::Damaged(why))
        })?;
        db.prepare_cached("RELEASE one")?.execute([])?;
        Ok(committed)
    };
    commits.iter().map(each).collect()
}

fn commit(db: &Connection, commit: &Commit, now: Timestamp) -> Result<Committed, Fault> {
    let Some(head) = Head::read(db, commit.run)? else {
        return Ok(Committed::Conflict);
    };
    if head.version != commit.expected {
        return Ok(Committed::Conflict);
    }
    let step_count = commit.steps_after(head.step_count).map_err(StoreError::Damaged)?;
    steps::grow(db, head.key, head.step_count, step_count)?;
    expansions::add(db, head.key, &commit.expansions)?;
    steps::write(db, head.key, step_count, &commit.steps)?;
    steps::write_attempts(db, head.key, &commit.attempts)?;
    steps::write_outputs(db, head.key, &commit.outputs)?;
    if let Some(taken) = commit.orders_taken {
        db.prepare_cached("DELETE FROM orders WHERE run = ? AND sequence <= ?")?
            .execute(params![head.key.0, stored_count(taken)])?;
    }
    if let Some(amendment) = &commit.amendment {
        db.prepare_cached("INSERT OR REPLACE INTO amendments (run, body) VALUES (?, ?)")?
            .execute(params![head.key.0, codec::encode_amendment(amendment)])?;
    }
    let version = head.version.next(commit.commit);
    head.write(db, version, step_count, &commit.record, now)?;
    Ok(Committed::Done(version))
}

/// What a commit has to know of a run.
struct Head {
    key: RunKey,
    version: Version,
    step_count: u32,
    /// The state that clients see, whether the run is active, and when it ended: all are indexed, and seldom change.
    indexed: (i32, bool, i64),
}

impl Head {
    fn read(db: &Connection, run: RunId) -> Result<Option<Self>, Fault> {
        let head = db
            .prepare_cached(
                "SELECT key, number, commit_id, step_count, state, active, ended_at FROM runs WHERE id = ?",
            )?
            .query_row([run.as_str()], |row| {
                Ok(Self {
                    key: RunKey(row.get(0)?),
                    version: version(row, 1, 2)?,
                    step_count: row.get(3)?,
                    indexed: (row.get(4)?, row.get(5)?, row.get(6)?),
                })
            })
            .optional()?;
        Ok(head)
    }

    fn write(
        &self,
        db: &Connection,
        version: Version,
        step_count: u32,
        record: &RunRecord,
        now: Timestamp,
    ) -> Result<(), Fault> {
        db.prepare_cached(
            "UPDATE runs SET number = ?, commit_id = ?, committed_at = ?, step_count = ?, record = ? WHERE key = ?",
        )?
        .execute(params![
            version.number.cast_signed(),
            version.commit.cast_signed(),
            stored_time(now),
            step_count,
            codec::encode_run(record),
            self.key.0,
        ])?;
        let active = !record.state.is_final() || has_orders(db, self.key)?;
        let indexed = (client_state(record), active, stored_time(record.ended_at));
        if indexed != self.indexed {
            db.prepare_cached("UPDATE runs SET state = ?, active = ?, ended_at = ? WHERE key = ?")?
                .execute(params![indexed.0, indexed.1, indexed.2, self.key.0])?;
        }
        Ok(())
    }
}

fn has_orders(db: &Connection, key: RunKey) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM orders WHERE run = ?")?.exists([key.0])
}

pub(super) fn place_order(db: &Connection, run: RunId, order: &Order) -> Result<Placed, Fault> {
    let Some(key) = key_of(db, run)? else {
        return Ok(Placed::NoRun);
    };
    let body = codec::encode_order(order);
    let (orders, bytes): (u32, u32) = db
        .prepare_cached("SELECT count(*), ifnull(sum(length(body)), 0) FROM orders WHERE run = ?")?
        .query_row([key.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let waiting = orders as usize * ORDER_OVERHEAD + bytes as usize;
    if let Some(refused) = Placed::refused(body.len(), waiting) {
        return Ok(refused);
    }
    let sequence: i64 = db
        .prepare_cached(
            "UPDATE runs SET order_sequence = order_sequence + 1, active = TRUE WHERE key = ?
             RETURNING order_sequence",
        )?
        .query_row([key.0], |row| row.get(0))?;
    db.prepare_cached("INSERT INTO orders (run, sequence, body) VALUES (?, ?, ?)")?
        .execute(params![key.0, sequence, body])?;
    Ok(Placed::Waiting)
}

pub(super) fn load(db: &Connection, run: RunId) -> Result<Option<StoredRun>, Fault> {
    let Some((key, view)) = find(db, run)? else {
        return Ok(None);
    };
    let steps = steps::read_range(db, key, view.step_count, 0..u32::MAX)?;
    let expansions = expansions::read(db, key, &view, 0)?;
    let pipeline = pipeline(db, key)?;
    let orders = orders(db, key)?;
    Ok(Some(StoredRun { view, steps, expansions, pipeline, orders }))
}

pub(super) fn record(db: &Connection, run: RunId) -> Result<Option<(Version, RunRecord)>, Fault> {
    let mut select =
        db.prepare_cached("SELECT number, commit_id, record FROM runs WHERE id = ?")?;
    let mut rows = select.query([run.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let bytes = row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?;
    Ok(Some((version(row, 0, 1)?, codec::decode_run(bytes)?)))
}

pub(super) fn key_of(db: &Connection, run: RunId) -> Result<Option<RunKey>, Fault> {
    let key = db
        .prepare_cached("SELECT key FROM runs WHERE id = ?")?
        .query_row([run.as_str()], |row| row.get(0).map(RunKey))
        .optional()?;
    Ok(key)
}

pub(super) fn orders_of(db: &Connection, run: RunId) -> Result<Vec<PlacedOrder>, Fault> {
    key_of(db, run)?.map_or(Ok(Vec::new()), |key| orders(db, key))
}

pub(super) fn pipeline_of(db: &Connection, run: RunId) -> Result<Option<Bytes>, Fault> {
    key_of(db, run)?.map(|key| pipeline(db, key)).transpose()
}

fn orders(db: &Connection, key: RunKey) -> Result<Vec<PlacedOrder>, Fault> {
    let mut select =
        db.prepare_cached("SELECT sequence, body FROM orders WHERE run = ? ORDER BY sequence")?;
    let rows = select.query_map([key.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.map(|row: rusqlite::Result<(i64, Vec<u8>)>| {
        let (sequence, body) = row?;
        let order = codec::decode_order(&body)?;
        Ok(PlacedOrder { sequence: sequence.cast_unsigned(), order })
    })
    .collect()
}

fn pipeline(db: &Connection, key: RunKey) -> Result<Bytes, Fault> {
    let bytes: Vec<u8> = db
        .prepare_cached("SELECT pipeline FROM submissions WHERE run = ?")?
        .query_row([key.0], |row| row.get(0))?;
    Ok(bytes.into())
}

/// What [`view`] takes, of the table `runs`.
pub(super) const VIEW_COLUMNS: &str = "key, id, created_at, namespace, pipeline, digest, rerun_of, steps, \
    number, commit_id, record, step_count, (SELECT arguments_json FROM submissions WHERE run = key), no_cache, \
    (SELECT body FROM amendments WHERE run = key), priority";

pub(super) fn find(db: &Connection, run: RunId) -> Result<Option<(RunKey, RunView)>, Fault> {
    let mut select = db.prepare_cached(&format!("SELECT {VIEW_COLUMNS} FROM runs WHERE id = ?"))?;
    let mut rows = select.query([run.as_str()])?;
    rows.next()?.map(|row| view(db, row)).transpose()
}

/// Puts together what is shown of a run.
pub(super) fn view(db: &Connection, row: &Row<'_>) -> Result<(RunKey, RunView), Fault> {
    let key = RunKey(row.get(0)?);
    let submission = Submission {
        id: run_id(&row.get::<_, String>(1)?)?,
        namespace: row.get(3)?,
        pipeline: row.get(4)?,
        labels: labels(db, key)?,
        arguments_json: row.get(12)?,
        digest: row.get(5)?,
        rerun_of: row.get::<_, Option<String>>(6)?.as_deref().map(run_id).transpose()?,
        steps: row.get(7)?,
        no_cache: row.get(13)?,
        priority: row.get(15)?,
    };
    let amendment: Option<Vec<u8>> = row.get(14)?;
    let view = RunView {
        submission: Arc::new(submission),
        created_at: Timestamp(row.get::<_, i64>(2)?.cast_unsigned()),
        version: version(row, 8, 9)?,
        record: codec::decode_run(row.get_ref(10)?.as_blob().map_err(rusqlite::Error::from)?)?,
        step_count: row.get(11)?,
        amendment: amendment.map(|it| codec::decode_amendment(&it)).transpose()?.map(Arc::new),
    };
    Ok((key, view))
}

fn labels(db: &Connection, key: RunKey) -> Result<BTreeMap<String, String>, Fault> {
    let mut select = db.prepare_cached("SELECT name, value FROM labels WHERE run = ?")?;
    let rows = select.query_map([key.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn remove(db: &Connection, run: RunId, expected: Version) -> Result<Committed, Fault> {
    let Some(head) = Head::read(db, run)?.filter(|head| head.version == expected) else {
        return Ok(Committed::Conflict);
    };
    remove_all(db, head.key, run)?;
    Ok(Committed::Done(expected))
}

pub(super) fn remove_damaged(db: &Connection, run: RunId) -> Result<bool, Fault> {
    let Some(key) = key_of(db, run)? else {
        return Ok(false);
    };
    match find(db, run) {
        Ok(_) => return Ok(false),
        Err(fault) => fault.of_one_run()?,
    };
    remove_all(db, key, run)?;
    Ok(true)
}

fn remove_all(db: &Connection, key: RunKey, run: RunId) -> Result<(), Fault> {
    steps::remove(db, key)?;
    for table in ["submissions", "amendments", "labels", "orders", "claims", "expansions"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE run = ?"))?.execute([key.0])?;
    }
    db.prepare_cached("DELETE FROM runs WHERE key = ?")?.execute([key.0])?;
    db.prepare_cached("INSERT INTO removed (id) VALUES (?)")?.execute([run.as_str()])?;
    Ok(())
}

pub(super) fn run_id(text: &str) -> Result<RunId, Fault> {
    text.parse().map_err(|error| Fault::Store(StoreError::Damaged(format!("{error}"))))
}

pub(super) fn version(row: &Row<'_>, number: usize, commit: usize) -> rusqlite::Result<Version> {
    Ok(Version {
        number: row.get::<_, i64>(number)?.cast_unsigned(),
        commit: row.get::<_, i64>(commit)?.cast_unsigned(),
    })
}

fn client_state(record: &RunRecord) -> i32 {
    convert::run_state(record).into()
}

/// A time as the file orders it; the end of time at the latest.
pub(super) fn stored_time(time: Timestamp) -> i64 {
    stored_count(time.0)
}

fn stored_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
