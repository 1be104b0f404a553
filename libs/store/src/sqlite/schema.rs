//! The form of the file.

/// Marks a file as one of Windlass: `WNDL`.
pub(super) const APPLICATION_ID: i32 = 0x574e_444c;

/// The form that this version of the program reads and writes.
pub(super) const FORMAT: i32 = 4;

/// Makes the form in an empty file: that of the first version, brought up to date.
pub(super) fn create() -> String {
    format!("{FIRST} {TO_FORMAT_2} {TO_FORMAT_3} {TO_FORMAT_4}")
}

/// What brings a file of this form up to date; none if it is of no known form.
pub(super) fn upgrade(from: i32) -> Option<String> {
    match from {
        1 => Some(format!("{TO_FORMAT_2} {TO_FORMAT_3} {TO_FORMAT_4}")),
        2 => Some(format!("{TO_FORMAT_3} {TO_FORMAT_4}")),
        3 => Some(TO_FORMAT_4.to_owned()),
        FORMAT => Some(String::new()),
        _ => None,
    }
}

/// Named limits, priorities, and what retries change of runs. A run's record gets the count of blocked steps: 4 bytes of zeros, behind 97 bytes, or more as in form 3.
const TO_FORMAT_4: &str = "
ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET record = (
    WITH named(size) AS (SELECT 4 * (substr(record, 4, 1) = x'01')),
        known(size) AS (SELECT 97 + size + 8 * (substr(record, 5 + size, 1) = x'01') FROM named)
    SELECT CAST(substr(record, 1, size) || x'00000000' || substr(record, size + 1) AS BLOB) FROM known
);

-- How often the other tables were changed.
CREATE TABLE limit_versions (
    namespace TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Those that are configured; 0 stands for what is not limited.
CREATE TABLE limits (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    size INTEGER NOT NULL,
    starts INTEGER NOT NULL,
    period_ms INTEGER NOT NULL,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;

-- Who holds and who waits.
CREATE TABLE limited (
    -- By arrival, and from the grant on by that.
    sequence INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    run TEXT NOT NULL,
    step INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    holds INTEGER NOT NULL,
    -- Names, with a zero between.
    limits TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX limited_by_holder ON limited (namespace, run, step, attempt);
CREATE INDEX limited_by_namespace ON limited (namespace, sequence);

-- How many started in a millisecond, of those that a rate still counts.
CREATE TABLE limit_starts (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (namespace, name, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE amendments (
    run INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;
";

/// Runs that grow, results that outlive them, and orders that say more than what is asked. A run's record gets counts of
/// open and of suspended steps, and the time when its exit steps began: 16 bytes of zeros, behind 89 bytes, which are 4
/// more where it names the step that failed (byte 3), and 8 more where it says since when it is paused (the byte after that).
const TO_FORMAT_3: &str = "
ALTER TABLE runs ADD COLUMN step_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN no_cache INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET step_count = steps, record = (
    WITH named(size) AS (SELECT 4 * (substr(record, 4, 1) = x'01')),
        known(size) AS (SELECT 89 + size + 8 * (substr(record, 5 + size, 1) = x'01') FROM named)
    SELECT CAST(substr(record, 1, size) || x'00000000000000000000000000000000' || substr(record, size + 1) AS BLOB) FROM known
);

CREATE TABLE expansions (
    run INTEGER NOT NULL,
    -- From 0, in the order in which they came.
    number INTEGER NOT NULL,
    step INTEGER NOT NULL,
    first INTEGER NOT NULL,
    items INTEGER NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;

-- The message `windlass.v1.Order`; what was a number that means nothing is none.
ALTER TABLE orders ADD COLUMN body BLOB NOT NULL DEFAULT x'';
UPDATE orders SET body = CASE kind WHEN 1 THEN x'0a00' WHEN 2 THEN x'1200' WHEN 3 THEN x'1a00' WHEN 4 THEN x'2200' ELSE x'' END;
ALTER TABLE orders DROP COLUMN kind;

CREATE TABLE cache (
    namespace TEXT NOT NULL,
    key BLOB NOT NULL,
    -- Of the key.
    shard INTEGER NOT NULL,
    run TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    step TEXT NOT NULL,
    outputs TEXT,
    ended_at INTEGER NOT NULL,
    PRIMARY KEY (namespace, key)
) STRICT;
CREATE INDEX cache_by_age ON cache (namespace, shard, ended_at, key);
";

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
