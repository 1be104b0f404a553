//! What goes wrong while the file is read and written, and what that means to whoever asked.

use rusqlite::ErrorCode;

use crate::{StoreError, codec::DecodeError};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// While the transaction was made: it was undone.
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    /// While the transaction was ended.
    #[error(transparent)]
    AtCommit(rusqlite::Error),
    /// What is stored makes no sense.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// As the store puts it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Fault {
    /// Whether nothing of the transaction can have been kept.
    pub(super) fn undid_everything(&self) -> bool {
        match self {
            Self::AtCommit(error) => !leaves_doubt(error),
            Self::Sql(_) | Self::Decode(_) | Self::Store(_) => true,
        }
    }
}

impl Fault {
    /// Why what is stored of one run makes no sense; none where that is no fault of the run's.
    pub(super) fn of_one_run(self) -> Result<String, Self> {
        match self {
            Self::Decode(error) => Ok(error.to_string()),
            Self::Store(StoreError::Damaged(why)) => Ok(why),
            // What no file can be blamed for: a value is not of the kind that it should be.
            Self::Sql(error) if error.sqlite_error_code().is_none() => Ok(error.to_string()),
            other => Err(other),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::AtCommit(error) if leaves_doubt(&error) => Self::Unknown(error.to_string()),
            Fault::Sql(error) | Fault::AtCommit(error) => judge(&error),
            Fault::Decode(error) => error.into(),
            Fault::Store(error) => error,
        }
    }
}

/// A commit that the disk took and did not confirm may be found again after a crash.
fn leaves_doubt(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

fn judge(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Unavailable(format!(
            "{error}: free some room on the disk that holds it, and it will go on"
        )),
        Some(ErrorCode::SystemIoFailure) => StoreError::Unavailable(format!(
            "{error}: check the disk that holds it, and whether it is full"
        )),
        Some(
            ErrorCode::OutOfMemory
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly,
        ) => StoreError::Unavailable(error.to_string()),
        // All that is left says that the file does not hold what it should.
        _ => StoreError::Damaged(error.to_string()),
    }
}
