//! Why a cluster could not be looked at or prepared.

use windlass_client::Code;
use windlass_cluster::{CheckError, ConnectError, PrepareError};

use crate::exit::Exit;

/// What is wrong with a Kubernetes cluster, or with the way to it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterFailure {
    /// There is no way to it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its API server gives no answer that helps.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// Something could not be made there.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
}

impl ClusterFailure {
    pub(super) fn exit(&self) -> Exit {
        if self.is_unavailable() { Exit::Unavailable } else { Exit::Input }
    }

    /// The one that a server of Windlass would have.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Prepare(PrepareError::Forbidden { .. }) => Code::PermissionDenied,
            _ if self.is_unavailable() => Code::Unavailable,
            _ => Code::FailedPrecondition,
        }
    }

    pub(super) fn is_unavailable(&self) -> bool {
        match self {
            Self::Check(CheckError::Unreachable { .. }) => true,
            Self::Prepare(error) => error.is_transient(),
            Self::Connect(_) | Self::Check(CheckError::Connect(_)) => false,
        }
    }
}
