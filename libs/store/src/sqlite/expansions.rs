//! How the loops of a run have expanded: a row for each time, numbered from 0.

use rusqlite::{Connection, params};
use windlass_engine::{layout::Expansion, record::StepIndex};

use super::{fault::Fault, runs::RunKey};
use crate::{RunView, growth::check_expansions};

/// Adds these to those that are stored.
pub(super) fn add(db: &Connection, run: RunKey, expansions: &[Expansion]) -> Result<(), Fault> {
    if expansions.is_empty() {
        return Ok(());
    }
    let first: i64 = db
        .prepare_cached("SELECT ifnull(max(number) + 1, 0) FROM expansions WHERE run = ?")?
        .query_row([run.0], |row| row.get(0))?;
    let mut insert = db.prepare_cached(
        "INSERT INTO expansions (run, number, step, first, items) VALUES (?, ?, ?, ?, ?)",
    )?;
    for (number, expansion) in (first..).zip(expansions) {
        let Expansion { step, first, items } = expansion;
        insert.execute(params![run.0, number, step.0, first.0, items])?;
    }
    Ok(())
}

/// Reads those from the `from`-th on.
pub(super) fn read(
    db: &Connection,
    run: RunKey,
    view: &RunView,
    from: usize,
) -> Result<Vec<Expansion>, Fault> {
    let mut select = db.prepare_cached(
        "SELECT step, first, items FROM expansions WHERE run = ? AND number >= ? ORDER BY number",
    )?;
    let first = i64::try_from(from).unwrap_or(i64::MAX);
    let rows = select.query_map([run.0, first], |row| {
        Ok(Expansion {
            step: StepIndex(row.get(0)?),
            first: StepIndex(row.get(1)?),
            items: row.get(2)?,
        })
    })?;
    let expansions: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    check_expansions(view, from, &expansions)?;
    Ok(expansions)
}
