//! Finding runs.

use rusqlite::{Connection, ToSql, params_from_iter};
use windlass_engine::time::Timestamp;
use windlass_proto::id::RunId;

use super::{
    fault::Fault,
    runs::{self, VIEW_COLUMNS, stored_time},
};
use crate::{FinishedRun, FinishedRuns, Installation, RunQuery, RunView, passed_over::PassedOver};

pub(super) fn active(
    db: &Connection,
    partition: u32,
    partitions: u32,
) -> Result<Vec<RunId>, Fault> {
    let mut select = db.prepare_cached("SELECT id FROM runs WHERE active")?;
    let mut rows = select.query([])?;
    let mut active = Vec::new();
    while let Some(row) = rows.next()? {
        let run = runs::run_id(&row.get::<_, String>(0)?)?;
        if run.partition(partitions) == partition {
            active.push(run);
        }
    }
    Ok(active)
}

/// Records the number of partitions where there is none, and tells what is recorded.
pub(super) fn install(db: &Connection, offer: &Installation) -> Result<Installation, Fault> {
    db.prepare_cached("INSERT OR IGNORE INTO installation (key, partitions, id) VALUES (1, ?, ?)")?
        .execute((offer.partitions, &offer.id))?;
    let recorded = db
        .prepare_cached("SELECT partitions, id FROM installation")?
        .query_row([], |row| Ok(Installation { partitions: row.get(0)?, id: row.get(1)? }))?;
    Ok(recorded)
}

pub(super) fn finished(db: &Connection, limit: usize) -> Result<FinishedRuns, Fault> {
    let total: i64 = db
        .prepare_cached("SELECT count(*) FROM runs WHERE NOT active")?
        .query_row([], |row| row.get(0))?;
    let mut select = db.prepare_cached(
        "SELECT id, number, commit_id, ended_at FROM runs WHERE NOT active ORDER BY ended_at, id LIMIT ?",
    )?;
    let mut rows = select.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut oldest = Vec::new();
    while let Some(row) = rows.next()? {
        oldest.push(FinishedRun {
            run: runs::run_id(&row.get::<_, String>(0)?)?,
            version: runs::version(row, 1, 2)?,
            ended_at: Timestamp(row.get::<_, i64>(3)?.cast_unsigned()),
        });
    }
    Ok(FinishedRuns { total: total.cast_unsigned(), oldest })
}

pub(super) fn list(
    db: &Connection,
    query: &RunQuery,
    limit: usize,
    passed_over: &PassedOver,
) -> Result<Vec<RunView>, Fault> {
    let mut looked_at = limit;
    loop {
        let (views, damaged) = list_readable(db, query, looked_at, passed_over)?;
        let wanting = limit.saturating_sub(views.len());
        if wanting == 0 || views.len() + damaged < looked_at {
            return Ok(views);
        }
        looked_at += wanting;
    }
}

/// The runs among the first ones of a query that can be read, and how many cannot.
fn list_readable(
    db: &Connection,
    query: &RunQuery,
    looked_at: usize,
    passed_over: &PassedOver,
) -> Result<(Vec<RunView>, usize), Fault> {
    let (sql, values) = select(query, looked_at);
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query(params_from_iter(values))?;
    let (mut views, mut damaged) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        match runs::view(db, row) {
            Ok((_, view)) => views.push(view),
            Err(fault) => {
                let why = fault.of_one_run()?;
                passed_over.tell(&row.get::<_, String>(1).unwrap_or_default(), &why);
                damaged += 1;
            }
        }
    }
    Ok((views, damaged))
}

/// How the runs of a query would be found.
#[cfg(test)]
pub(super) fn plan(db: &Connection, query: &RunQuery) -> Result<String, Fault> {
    let (sql, values) = select(query, 1);
    let mut explain = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
    let lines = explain.query_map(params_from_iter(values), |row| row.get::<_, String>(3))?;
    Ok(lines.collect::<rusqlite::Result<Vec<_>>>()?.join("; "))
}

fn select(query: &RunQuery, limit: usize) -> (String, Vec<Box<dyn ToSql>>) {
    let Conditions { sql, values } = Conditions::of(query);
    let select = format!(
        "SELECT {VIEW_COLUMNS} FROM runs WHERE {sql} ORDER BY created_at DESC, id LIMIT {limit}"
    );
    (select, values)
}

/// A query as SQL: what must hold, and the values that it speaks of, in order.
struct Conditions {
    sql: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    fn of(query: &RunQuery) -> Self {
        let mut conditions = Self { sql: "TRUE".into(), values: Vec::new() };
        if let Some(namespace) = &query.namespace {
            conditions.add("namespace = ?", [text(namespace)]);
        }
        if let Some(pipeline) = &query.pipeline {
            conditions.add("pipeline = ?", [text(pipeline)]);
        }
        for (name, value) in &query.labels {
            let labelled =
                "EXISTS (SELECT 1 FROM labels WHERE run = key AND name = ? AND value = ?)";
            conditions.add(labelled, [text(name), text(value)]);
        }
        if !query.states.is_empty() {
            let places = vec!["?"; query.states.len()].join(", ");
            let states = query.states.iter().map(|state| Box::new(i32::from(*state)) as _);
            conditions.add(&format!("state IN ({places})"), states);
        }
        if let Some(time) = query.created_after {
            conditions.add("created_at >= ?", [Box::new(stored_time(time)) as _]);
        }
        if let Some(time) = query.created_before {
            conditions.add("created_at < ?", [Box::new(stored_time(time)) as _]);
        }
        if let Some(after) = query.after {
            let time = stored_time(after.created_at);
            let place: [Box<dyn ToSql>; 3] =
                [Box::new(time), Box::new(time), text(after.run.as_str())];
            conditions.add("created_at <= ? AND (created_at < ? OR id > ?)", place);
        }
        conditions
    }

    fn add(&mut self, sql: &str, values: impl IntoIterator<Item = Box<dyn ToSql>>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(sql);
        self.values.extend(values);
    }
}

fn text(text: &str) -> Box<dyn ToSql> {
    Box::new(text.to_owned())
}
