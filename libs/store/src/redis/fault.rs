//! What goes wrong between here and a server, and what that means to whoever asked.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::StoreError;

/// Why a command has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Fault {
    /// It was not sent.
    #[error("{0}")]
    NotSent(RedisError),
    /// The server refused it, or the answer is none that it gives.
    #[error("{0}")]
    Refused(RedisError),
    /// It was sent, and no answer came.
    #[error("{0}")]
    NoAnswer(RedisError),
}

impl Fault {
    /// Of an error on a connection that was there.
    pub(super) fn on_connection(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(_)
            | ErrorKind::Extension
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Parse => Self::Refused(error),
            _ => Self::NoAnswer(error),
        }
    }

    pub(super) fn error(&self) -> &RedisError {
        match self {
            Self::NotSent(error) | Self::Refused(error) | Self::NoAnswer(error) => error,
        }
    }

    /// Whether the server does not have the script that it was asked to run.
    pub(super) fn is_unknown_script(&self) -> bool {
        self.error().kind() == ErrorKind::Server(ServerErrorKind::NoScript)
    }

    /// Whether another connection may lead to a server that does better: this one is broken, or leads to a server that may
    /// not be written to any more.
    pub(super) fn spoils_connection(&self) -> bool {
        match self {
            Self::NotSent(_) | Self::NoAnswer(_) => true,
            Self::Refused(error) => matches!(code(error), "READONLY" | "MASTERDOWN"),
        }
    }

    /// What it means where nothing is changed.
    pub(super) fn while_reading(self) -> StoreError {
        match self {
            Self::Refused(error) => judge(&error),
            Self::NotSent(error) | Self::NoAnswer(error) => {
                StoreError::Unavailable(error.to_string())
            }
        }
    }

    /// What it means where something may have been changed.
    pub(super) fn while_writing(self) -> StoreError {
        match self {
            Self::NoAnswer(error) => StoreError::Unknown(error.to_string()),
            other => other.while_reading(),
        }
    }
}

/// An answer that no server gives to what was asked.
impl From<redis::ParsingError> for Fault {
    fn from(error: redis::ParsingError) -> Self {
        Self::Refused(error.into())
    }
}

/// What the server calls the error; errors of commands within a script have their own word in the midst of the text.
fn code(error: &RedisError) -> &str {
    error.code().unwrap_or_default()
}

/// Whether a key holds something of another kind than what it was asked about.
pub(super) fn is_of_another_kind(error: &RedisError) -> bool {
    code(error) == "WRONGTYPE"
}

/// What a server says that cannot do anything for now, or for this user.
const PASSING: [&str; 12] = [
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "NOREPLICAS",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MOVED",
    "ASK",
    "BUSY",
    "NOAUTH",
    "WRONGPASS",
    "max number of clients",
];

fn judge(error: &RedisError) -> StoreError {
    let words = error.to_string();
    let says = |word: &str| code(error) == word || words.contains(word);
    if says("OOM") {
        return StoreError::Unavailable(format!(
            "{words}: its memory is full; raise maxmemory or remove runs, and it will go on"
        ));
    }
    if says("MISCONF") {
        return StoreError::Unavailable(format!(
            "{words}: free some room on the server's disk, and it will go on"
        ));
    }
    if says("NOPERM") || words.contains("ACL failure") {
        return StoreError::Unavailable(format!(
            "{words}: grant it to the user, and it will go on"
        ));
    }
    if PASSING.into_iter().any(says) {
        return StoreError::Unavailable(words);
    }
    // All that is left says that the keys do not hold what they should.
    StoreError::Damaged(words)
}
