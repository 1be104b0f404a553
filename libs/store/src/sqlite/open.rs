//! Opening the file: nothing is written to it before it is known to be ours, whole, and of a form that is understood.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use windlass_engine::time::Timestamp;

use super::schema;

/// Why a store's file could not be opened. The file was left as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The directory of the file does not exist.
    #[error("{} is not a directory: create it, or name another file for the store", .directory.display())]
    NoDirectory {
        /// The directory.
        directory: PathBuf,
    },
    /// The system does not let it be read and written.
    #[error("the store {} cannot be used ({why}): see to its permissions, or name another file", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Another store has the file open.
    #[error("the store {} is held by another process: stop that one, or name another file", .path.display())]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// The file is no store, or a damaged one.
    #[error(
        "the store {} is damaged or is no store ({why}): restore it from a copy, or move it away to begin a new one",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A later version of the program made the file.
    #[error(
        "the store {} has the form {found}, and this version of Windlass knows {known}: use a newer version",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The file's form.
        found: i32,
        /// The latest form that this version knows.
        known: i32,
    },
}

impl OpenError {
    pub(super) fn unusable(path: &Path, why: &impl fmt::Display) -> Self {
        Self::Unusable { path: path.to_owned(), why: why.to_string() }
    }

    fn damaged(path: &Path, why: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.into() }
    }

    fn judge(path: &Path, error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Held { path: path.to_owned() }
            }
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::ReadOnly
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory,
            ) => Self::unusable(path, error),
            _ => Self::damaged(path, error.to_string()),
        }
    }
}

/// A file that is ours and held.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// The latest time in it.
    pub(super) newest: Timestamp,
}

pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    // Absolute, since names such as `:memory:` would mean something else.
    let path = std::path::absolute(path).map_err(|error| OpenError::unusable(path, &error))?;
    if let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) {
        return Err(OpenError::NoDirectory { directory: directory.to_owned() });
    }
    // SQLite would take a file of one byte for an empty one.
    if path.is_file() && (1..SMALLEST_PAGE).contains(&size_of(&path)) {
        return Err(OpenError::damaged(&path, "it is too short"));
    }
    let judge = |error| OpenError::judge(&path, &error);
    let had_log = log_of(&path).exists();
    let connection = connect(&path).map_err(judge)?;
    check(&connection, &path).inspect_err(|error| tidy(error, &path, had_log))?;
    let newest = prepare(&connection).map_err(judge)?;
    Ok(Opened { connection, path, newest })
}

/// In bytes.
const SMALLEST_PAGE: u64 = 512;

/// The file beside it that holds what was committed last.
fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Removes the empty log that a look into a damaged file has made beside it. Called while the file is held, so that it
/// cannot be another store's.
fn tidy(error: &OpenError, path: &Path, had_log: bool) {
    let log = log_of(path);
    if !had_log && !matches!(error, OpenError::Held { .. }) && size_of(&log) == 0 {
        // Where it stays, it does no harm.
        let _ = std::fs::remove_file(log);
    }
}

/// In bytes; 0 where there is no file. Asks by name: opening the file and closing it again would end the locks of a
/// store that this process holds.
fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    // Closing would otherwise write to a file that was found to be damaged.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE")?;
    Ok(connection)
}

/// Reads only.
fn check(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let judge = |error| OpenError::judge(path, &error);
    let pragma =
        |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(judge);
    let mark = (pragma("application_id")?, pragma("user_version")?);
    if db.is_readonly("main").map_err(judge)? {
        return Err(OpenError::unusable(path, &"it may be read and not written"));
    }
    if mark == (0, 0) && is_empty(db).map_err(judge)? {
        return Ok(());
    }
    match mark {
        (schema::APPLICATION_ID, known) if schema::upgrade(known).is_some() => {}
        (schema::APPLICATION_ID, found) if found > schema::FORMAT => {
            let path = path.to_owned();
            return Err(OpenError::Newer { path, found, known: schema::FORMAT });
        }
        _ => return Err(OpenError::damaged(path, "it belongs to another program")),
    }
    // Where a log is left, the last page may be half written, and the log has the whole one.
    let page = u64::from(pragma("page_size")?.unsigned_abs()).max(SMALLEST_PAGE);
    if size_of(&log_of(path)) == 0 && !size_of(path).is_multiple_of(page) {
        return Err(OpenError::damaged(path, "its last page is cut off"));
    }
    let verdict: String =
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(judge)?;
    if verdict == "ok" { Ok(()) } else { Err(OpenError::damaged(path, verdict)) }
}

/// Without a file, in an empty one, and where the making of a new store was interrupted.
fn is_empty(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT count(*) = 0 FROM sqlite_schema", [], |row| row.get(0))
}

/// Makes the form where there is none, or brings it up to date, and tells the latest time in the file.
fn prepare(db: &Connection) -> rusqlite::Result<Timestamp> {
    db.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -65536;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    if is_empty(db)? {
        bring_into_form(db, &schema::create())?;
    } else {
        let form = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if form != schema::FORMAT {
            bring_into_form(db, &schema::upgrade(form).unwrap_or_default())?;
        }
    }
    db.set_prepared_statement_cache_capacity(64);
    let newest: i64 = db.query_row(NEWEST, [], |row| row.get(0))?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(Timestamp(newest.cast_unsigned()))
}

/// The latest time in the file. Results, and starts that a rate counts, may outlive all runs, and are not to come from the future.
const NEWEST: &str = "SELECT max(ifnull((SELECT max(committed_at) FROM runs), 0), ifnull((SELECT max(ended_at) FROM cache), 0),
    ifnull((SELECT max(at) FROM limit_starts), 0))";

fn bring_into_form(db: &Connection, statements: &str) -> rusqlite::Result<()> {
    let (id, form) = (schema::APPLICATION_ID, schema::FORMAT);
    db.execute_batch(&format!(
        "BEGIN; PRAGMA application_id = {id}; PRAGMA user_version = {form}; {statements} COMMIT;"
    ))
}
