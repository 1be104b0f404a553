//! Why a cluster could not be looked at or prepared.

use windlass_client::Code;
use windlass_cluster::{CheckError, ConnectError, PodsError, PrepareError};

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
    /// Pods are not listed or removed.
    #[error(transparent)]
    Pods(Box<PodsError>),
}

impl From<PodsError> for ClusterFailure {
    fn from(error: PodsError) -> Self {
        Self::Pods(Box::new(error))
    }
}

impl ClusterFailure {
    pub(super) fn exit(&self) -> Exit {
        if self.is_unavailable() { Exit::Unavailable } else { Exit::Input }
    }

    /// The one that a server of Windlass would have.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Prepare(PrepareError::Forbidden { .. }) => Code::PermissionDenied,
            Self::Pods(error) if matches!(**error, PodsError::Forbidden { .. }) => {
                Code::PermissionDenied
            }
            _ if self.is_unavailable() => Code::Unavailable,
            _ => Code::FailedPrecondition,
        }
    }

    pub(super) fn is_unavailable(&self) -> bool {
        match self {
            Self::Check(CheckError::Unreachable { .. }) => true,
            Self::Prepare(error) => error.is_transient(),
            Self::Pods(error) => error.is_transient(),
            Self::Connect(_) | Self::Check(CheckError::Connect(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_cluster::PluginError;

    use super::*;

    #[test]
    fn a_server_that_is_away_is_told_from_what_will_not_do() {
        let away = ClusterFailure::from(CheckError::Unreachable {
            cluster: "gpu".to_owned(),
            server: "https://10.0.0.1".to_owned(),
            problem: "cannot be reached".to_owned(),
        });
        assert_eq!((away.exit(), away.code()), (Exit::Unavailable, Code::Unavailable));
        let forbidden = ClusterFailure::from(PrepareError::Forbidden {
            command: "windlass cluster prepare gpu".to_owned(),
            kind: "Role".to_owned(),
            name: "jobs/windlass".to_owned(),
            message: "no".to_owned(),
        });
        assert_eq!((forbidden.exit(), forbidden.code()), (Exit::Input, Code::PermissionDenied));
        let limit = std::time::Duration::from_mins(2);
        let source = PluginError::Slow { program: "login".to_owned(), limit };
        let slow = ConnectError::Plugin { cluster: "gpu".to_owned(), source };
        let slow = ClusterFailure::from(CheckError::Connect(slow));
        assert_eq!((slow.exit(), slow.code()), (Exit::Input, Code::FailedPrecondition));
    }
}
