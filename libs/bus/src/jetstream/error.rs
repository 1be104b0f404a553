//! What can be wrong with the servers, said so that a person knows what to do.

use std::path::PathBuf;

use async_nats::jetstream::{
    self, ErrorCode,
    context::{RequestError, RequestErrorKind},
};

use super::config::JetStreamConfig;
use crate::BusError;

/// Why there is no bus.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A setting cannot be.
    #[error("{setting} cannot be `{is}`: {wanted}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it is.
        is: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// A file cannot be read.
    #[error("{} cannot be used as the {what} for NATS: {reason}; check that it is there and may be read", path.display())]
    File {
        /// What it is to hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The seed of a key is none.
    #[error(
        "what is to be the seed of an NKey (`bus.nkey_seed_file`) is not that of a user: {reason}; write the seed alone into the file, 58 characters that begin with `SU`, as `nk -gen user` makes them"
    )]
    Nkey {
        /// What is wrong with it.
        reason: String,
    },
    /// No server answers.
    #[error(
        "NATS cannot be reached at {servers}: {reason}; check `bus.url`, and that the server runs and is not behind a firewall"
    )]
    Unreachable {
        /// The servers that were tried.
        servers: String,
        /// What went wrong.
        reason: String,
    },
    /// The server does not let this user in.
    #[error(
        "NATS at {servers} refuses the credentials: {reason}; check the user and password, token, key or credentials file of `[bus]`, and the server's `authorization`"
    )]
    Credentials {
        /// The servers that were tried.
        servers: String,
        /// What went wrong.
        reason: String,
    },
    /// The connection cannot be encrypted.
    #[error(
        "NATS at {servers} and this program do not agree on TLS: {reason}; if the server speaks none, write `nats://` in `bus.url`, otherwise check `bus.tls` (the authority's certificate, the client's certificate and key), and the name in the server's certificate"
    )]
    Tls {
        /// The servers that were tried.
        servers: String,
        /// What went wrong.
        reason: String,
    },
    /// A stream or a consumer is not as it must be.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// Why a stream or a consumer is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// A setting differs that cannot be changed.
    #[error(
        "stream {stream} has {setting} {is}, and this program wants {wanted}: NATS cannot change that; correct `[bus]`, use another `installation.name`, or stop all programs and delete the stream (`nats stream rm {stream}`): what is in it is derived again"
    )]
    Stream {
        /// The stream.
        stream: String,
        /// What differs.
        setting: &'static str,
        /// What it is.
        is: String,
        /// What it is to be.
        wanted: String,
    },
    /// The user may not do this.
    #[error(
        "NATS does not permit this user to work with {what}: {reason}; let the user publish to `{prefix}.>`, `$JS.API.>` and `$JS.ACK.>`, and subscribe to `{prefix}.>` and `_INBOX.>`"
    )]
    Denied {
        /// What was asked for.
        what: String,
        /// What the server says.
        reason: String,
        /// The installation.
        prefix: String,
    },
    /// The server has no JetStream, or the account has none.
    #[error(
        "NATS has no JetStream for this account ({reason}); enable it (`jetstream {{}}` in the server's configuration, and in the account's where there are accounts)"
    )]
    NoJetStream {
        /// What the server says.
        reason: String,
    },
    /// The server or the account has no room.
    #[error(
        "NATS has no room for {what}: {reason}; give the server or the account more storage, or lower `max_bytes` in `[bus.streams]`, or `bus.replicas`"
    )]
    NoRoom {
        /// What was to be made.
        what: String,
        /// What the server says.
        reason: String,
    },
    /// There are too few servers for so many replicas.
    #[error(
        "NATS cannot keep {replicas} replicas of {what}: {reason}; lower `bus.replicas`, or run a cluster of that many servers with JetStream"
    )]
    Replicas {
        /// What was to be made.
        what: String,
        /// How many were asked for.
        replicas: usize,
        /// What the server says.
        reason: String,
    },
    /// The server does not answer, or not now.
    #[error("NATS does not answer for {what}: {reason}")]
    Unavailable {
        /// What was asked for.
        what: String,
        /// What went wrong.
        reason: String,
    },
    /// The server refuses for another reason.
    #[error("NATS refuses {what}: {reason}; see the server's log")]
    Refused {
        /// What was asked for.
        what: String,
        /// What the server says.
        reason: String,
    },
}

/// How a request to JetStream failed, whatever was asked for.
#[derive(Debug)]
pub(super) enum ApiError {
    TimedOut,
    NoResponders,
    Denied(String),
    JetStream(jetstream::Error),
    Other(String),
}

impl ApiError {
    /// Whether what was asked for is not there.
    pub(super) fn is_not_found(&self) -> bool {
        let Self::JetStream(error) = self else {
            return false;
        };
        matches!(error.error_code(), ErrorCode::STREAM_NOT_FOUND | ErrorCode::CONSUMER_NOT_FOUND)
    }

    /// What it means for `what`, where nothing more is known.
    pub(super) fn about(self, what: &str, config: &JetStreamConfig) -> ShapeError {
        let (what, replicas) = (what.to_owned(), config.streams.replicas);
        let error = match self {
            Self::TimedOut => {
                return ShapeError::Unavailable { what, reason: "it took too long".into() };
            }
            Self::Other(reason) => return ShapeError::Unavailable { what, reason },
            Self::NoResponders => {
                return ShapeError::NoJetStream { reason: "nothing answers its requests".into() };
            }
            Self::Denied(reason) => {
                return ShapeError::Denied { what, reason, prefix: config.prefix.clone() };
            }
            Self::JetStream(error) => error,
        };
        let reason = error.to_string();
        match error.error_code() {
            ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
                ShapeError::NoJetStream { reason }
            }
            ErrorCode::STORAGE_RESOURCES_EXCEEDED
            | ErrorCode::MEMORY_RESOURCES_EXCEEDED
            | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED
            | ErrorCode::INSUFFICIENT_RESOURCES => ShapeError::NoRoom { what, reason },
            ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED | ErrorCode::CLUSTER_NO_PEERS => {
                ShapeError::Replicas { what, replicas, reason }
            }
            ErrorCode::CLUSTER_NOT_AVAILABLE | ErrorCode::CLUSTER_NOT_LEADER => {
                ShapeError::Unavailable { what, reason }
            }
            _ => ShapeError::Refused { what, reason },
        }
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        match error.kind() {
            RequestErrorKind::NoResponders => Self::NoResponders,
            RequestErrorKind::TimedOut => Self::TimedOut,
            RequestErrorKind::InvalidSubject | RequestErrorKind::Other => {
                Self::Other(error.to_string())
            }
        }
    }
}

impl From<ShapeError> for BusError {
    /// A person may put right what is wrong while this program runs: trying again is worth it.
    fn from(error: ShapeError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
