//! The form of the file.

/// Marks a file as one of Windlass: `WNDL`.
pub(super) const APPLICATION_ID: i32 = 0x574e_444c;

/// The form that this version of the program reads and writes.
pub(super) const FORMAT: i32 = 2;

/// Makes the form in an empty file: that of the first version, brought up to date.
pub(super) fn create() -> String {
    format!("{FIRST} {TO_FORMAT_2}")
}

/// What brings a file of this form up to date; none if it is of no known form.
pub(super) fn upgrade(from: i32) -> Option<&'static str> {
    match from {
        1 => Some(TO_FORMAT_2),
        FORMAT => Some(""),
        _ => None,
    }
}

/// The number of partitions, claims, and when runs ended: those that had ended count as having ended when they were
/// committed last.
const TO_FORMAT_2: &str = "
ALTER TABLE runs ADD COLUMN ended_at INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET ended_at = committed_at WHERE NOT active;
CREATE INDEX runs_finished ON runs (ended_at, id) WHERE NOT active;

CREATE TABLE installation (
    -- Always 1.
    key INTEGER PRIMARY KEY,
    partitions INTEGER NOT NULL,
    id TEXT NOT NULL
) STRICT;

CREATE TABLE claims (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    holder TEXT NOT NULL,
    PRIMARY KEY (run, step, attempt)
) STRICT, WITHOUT ROWID;
";

/// The first form.
///
/// What a commit changes of a run is in `runs`, in short rows; what is large and never changes is in `submissions`. A
/// run's partition is computed from its id and not stored.
const FIRST: &str = "
CREATE TABLE runs (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    digest BLOB NOT NULL,
    rerun_of TEXT,
    steps INTEGER NOT NULL,
    -- As clients see it.
    state INTEGER NOT NULL,
    -- Whether it has not ended or has orders.
    active INTEGER NOT NULL,
    number INTEGER NOT NULL,
    commit_id INTEGER NOT NULL,
    committed_at INTEGER NOT NULL,
    order_sequence INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT;
CREATE INDEX runs_by_time ON runs (created_at DESC, id);
CREATE INDEX runs_by_namespace ON runs (namespace, created_at DESC, id);
CREATE INDEX runs_by_pipeline ON runs (pipeline, created_at DESC, id);
CREATE INDEX runs_by_state ON runs (state, created_at DESC, id);
CREATE INDEX runs_active ON runs (id) WHERE active;

CREATE TABLE submissions (
    run INTEGER PRIMARY KEY,
    arguments_json TEXT NOT NULL,
    pipeline BLOB NOT NULL
) STRICT;

CREATE TABLE labels (
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

-- The key is a run's key and a block's number in one; a block that is missing holds steps that have not changed yet.
CREATE TABLE blocks (
    key INTEGER PRIMARY KEY,
    steps BLOB NOT NULL
) STRICT;

CREATE TABLE attempts (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (run, step, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE outputs (
    run INTEGER NOT NULL,
    step INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (run, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE orders (
    run INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    PRIMARY KEY (run, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE removed (
    id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
";
