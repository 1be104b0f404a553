//! Named limits: rows of who holds and who waits, which are read once and kept in memory after that.
//!
//! What is in memory is of a version of the rows. A transaction that is undone leaves the rows at another one than it has left
//! in memory, so that they are read again.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, params};
use windlass_engine::{
    limits::{LimitConfig, Limits, Rate, STARTS_MAX},
    record::StepIndex,
    time::Timestamp,
};

use super::{
    fault::Fault,
    runs::{run_id, stored_time},
};
use crate::{
    Holder, LimitAnswer, LimitRequest,
    limit::{self, Changes},
};

/// The limits of all namespaces that were asked for, each with the version of the rows that it is of.
#[derive(Debug, Default)]
pub(super) struct Loaded(Mutex<HashMap<String, (i64, Limits<Holder>)>>);

/// Stands between names: no name has it.
const SEPARATOR: char = '\0';

pub(super) fn take(
    db: &Connection,
    loaded: &Loaded,
    namespace: &str,
    request: &LimitRequest,
    now: Timestamp,
) -> Result<LimitAnswer, Fault> {
    loaded.with(db, namespace, |version, limits| {
        let (answer, changes) = limit::take(limits, request, now);
        if !changes.is_empty() {
            *version += 1;
            write_version(db, namespace, *version)?;
            write(db, namespace, limits, &changes, now)?;
        }
        Ok(answer)
    })
}

pub(super) fn configure(
    db: &Connection,
    loaded: &Loaded,
    namespace: &str,
    name: &str,
    config: Option<LimitConfig>,
    now: Timestamp,
) -> Result<LimitAnswer, Fault> {
    loaded.with(db, namespace, |version, limits| {
        let before = limits.config(name);
        let (answer, changes) = limit::configure(limits, name, config, now);
        *version += 1;
        write_version(db, namespace, *version)?;
        write_config(db, namespace, name, [before, config], now)?;
        write(db, namespace, limits, &changes, now)?;
        Ok(answer)
    })
}

pub(super) fn read<T>(
    db: &Connection,
    loaded: &Loaded,
    namespace: &str,
    read: impl FnOnce(&Limits<Holder>) -> T,
) -> Result<T, Fault> {
    loaded.with(db, namespace, |_, limits| Ok(read(limits)))
}

pub(super) fn namespaces(db: &Connection) -> Result<Vec<String>, Fault> {
    let mut select = db.prepare_cached("SELECT DISTINCT namespace FROM limited")?;
    let names = select.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

impl Loaded {
    /// Does something with the limits of a namespace as they are stored. After an error they are read again.
    fn with<T>(
        &self,
        db: &Connection,
        namespace: &str,
        work: impl FnOnce(&mut i64, &mut Limits<Holder>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut loaded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = version(db, namespace)?;
        let known = loaded.remove(namespace).filter(|(version, _)| *version == stored);
        let (mut version, mut limits) = match known {
            Some(known) => known,
            None => (stored, load(db, namespace)?),
        };
        let outcome = work(&mut version, &mut limits)?;
        if !limits.is_empty() {
            loaded.insert(namespace.to_owned(), (version, limits));
        }
        Ok(outcome)
    }
}

fn version(db: &Connection, namespace: &str) -> Result<i64, Fault> {
    let version = db
        .prepare_cached("SELECT version FROM limit_versions WHERE namespace = ?")?
        .query_row([namespace], |row| row.get(0))
        .optional()?;
    Ok(version.unwrap_or_default())
}

fn write_version(db: &Connection, namespace: &str, version: i64) -> Result<(), Fault> {
    db.prepare_cached("INSERT OR REPLACE INTO limit_versions (namespace, version) VALUES (?, ?)")?
        .execute(params![namespace, version])?;
    Ok(())
}

fn load(db: &Connection, namespace: &str) -> Result<Limits<Holder>, Fault> {
    let mut limits = Limits::default();
    load_configs(db, namespace, &mut limits)?;
    let mut select = db.prepare_cached(
        "SELECT run, step, attempt, holds, limits FROM limited WHERE namespace = ? ORDER BY sequence",
    )?;
    let mut rows = select.query([namespace])?;
    while let Some(row) = rows.next()? {
        let run = run_id(&row.get::<_, String>(0)?)?;
        let holder = Holder { run, step: StepIndex(row.get(1)?), attempt: row.get(2)? };
        let names: String = row.get(4)?;
        let names: Arc<[Arc<str>]> = names.split(SEPARATOR).map(Arc::from).collect();
        if row.get(3)? {
            limits.assert(&holder, &names);
        } else {
            limits.ask(&holder, &names);
        }
    }
    Ok(limits)
}

fn load_configs(
    db: &Connection,
    namespace: &str,
    limits: &mut Limits<Holder>,
) -> Result<(), Fault> {
    let mut select =
        db.prepare_cached("SELECT name, size, starts, period_ms FROM limits WHERE namespace = ?")?;
    let mut rows = select.query([namespace])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let starts = NonZeroU32::new(row.get(2)?);
        let period_ms: u64 = row.get::<_, u32>(3)?.into();
        let rate = starts.map(|starts| Rate { starts, period_ms });
        let config = LimitConfig { size: NonZeroU32::new(row.get(1)?), rate };
        limits.configure(&name, Some(config), Timestamp::default());
    }
    let mut select = db.prepare_cached(
        "SELECT name, at, count FROM limit_starts WHERE namespace = ? ORDER BY at",
    )?;
    let mut rows = select.query([namespace])?;
    while let Some(row) = rows.next()? {
        let (name, at): (String, i64) = (row.get(0)?, row.get(1)?);
        let count = row.get::<_, u32>(2)?.min(STARTS_MAX);
        (0..count).for_each(|_| limits.count_start(&name, Timestamp(at.cast_unsigned())));
    }
    Ok(())
}

/// The configuration of before, and that of now.
fn write_config(
    db: &Connection,
    namespace: &str,
    name: &str,
    [before, config]: [Option<LimitConfig>; 2],
    now: Timestamp,
) -> Result<(), Fault> {
    let rate = |config: Option<LimitConfig>| config.and_then(|config| config.rate);
    if let Some(Rate { period_ms, .. }) = rate(before) {
        // All of them, where starts do not count any more.
        let ended = if rate(config).is_some() { now.0.saturating_sub(period_ms) } else { u64::MAX };
        forget_starts(db, namespace, name, Timestamp(ended))?;
    }
    let Some(LimitConfig { size, rate }) = config else {
        db.prepare_cached("DELETE FROM limits WHERE namespace = ? AND name = ?")?
            .execute([namespace, name])?;
        return Ok(());
    };
    let number = |number: Option<NonZeroU32>| number.map_or(0, NonZeroU32::get);
    // A day at most.
    let period_ms = rate.map_or(0, |it| u32::try_from(it.period_ms).unwrap_or(u32::MAX));
    db.prepare_cached(
        "INSERT OR REPLACE INTO limits (namespace, name, size, starts, period_ms) VALUES (?, ?, ?, ?, ?)",
    )?
    .execute(params![namespace, name, number(size), number(rate.map(|it| it.starts)), period_ms])?;
    Ok(())
}

/// Forgets the starts of until then.
fn forget_starts(
    db: &Connection,
    namespace: &str,
    name: &str,
    until: Timestamp,
) -> Result<(), Fault> {
    db.prepare_cached("DELETE FROM limit_starts WHERE namespace = ? AND name = ? AND at <= ?")?
        .execute(params![namespace, name, stored_time(until)])?;
    Ok(())
}

/// Writes what has become of these holders, in that order: a row that is written again gets a number behind all others.
fn write(
    db: &Connection,
    namespace: &str,
    limits: &Limits<Holder>,
    changes: &Changes,
    now: Timestamp,
) -> Result<(), Fault> {
    let Changes { asserted, released, waiting, granted } = changes;
    write_entries(db, namespace, limits, asserted, true)?;
    let mut delete = db.prepare_cached(
        "DELETE FROM limited WHERE namespace = ? AND run = ? AND step = ? AND attempt = ?",
    )?;
    for Holder { run, step, attempt } in released {
        delete.execute(params![namespace, run.as_str(), step.0, attempt])?;
    }
    write_entries(db, namespace, limits, waiting, false)?;
    write_entries(db, namespace, limits, granted, true)?;
    let names = granted.iter().filter_map(|holder| limits.limits_of(holder));
    for name in names.flat_map(|names| names.iter()) {
        if let Some(Rate { period_ms, .. }) = limits.config(name).and_then(|config| config.rate) {
            forget_starts(db, namespace, name, Timestamp(now.0.saturating_sub(period_ms)))?;
            db.prepare_cached(
                "INSERT INTO limit_starts (namespace, name, at, count) VALUES (?, ?, ?, 1)
                 ON CONFLICT DO UPDATE SET count = count + 1",
            )?
            .execute(params![namespace, name, stored_time(now)])?;
        }
    }
    Ok(())
}

/// Those of these holders who are there: the same request may have released some of them.
fn write_entries(
    db: &Connection,
    namespace: &str,
    limits: &Limits<Holder>,
    holders: &[Holder],
    holds: bool,
) -> Result<(), Fault> {
    let mut insert = db.prepare_cached(
        "INSERT OR REPLACE INTO limited (namespace, run, step, attempt, holds, limits) VALUES (?, ?, ?, ?, ?, ?)",
    )?;
    for holder in holders {
        let Some(names) = limits.limits_of(holder) else { continue };
        let names = names.join(&SEPARATOR.to_string());
        let Holder { run, step, attempt } = holder;
        insert.execute(params![namespace, run.as_str(), step.0, attempt, holds, names])?;
    }
    Ok(())
}
