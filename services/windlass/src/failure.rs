//! Why a command could not do what it was told.

mod cluster;

use std::io;

use windlass_client::{ClientError, Code, FieldViolation};
use windlass_launcher::runtime::process::OpenError as RuntimeError;
use windlass_pipeline::check::Violations;
use windlass_service::error::{ApiError, ErrorReason};
use windlass_store::OpenError as StoreError;

pub(crate) use self::cluster::ClusterFailure;
use crate::{embedded::StartError, exit::Exit, state::StateError};

/// Why a command ended before its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was given is wrong.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The server refused, or there is none.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nobody named a server, and none answers where one is looked for then.
    #[error(transparent)]
    NoServer(ClientError),
    /// The state directory does not hold what it must.
    #[error(transparent)]
    State(#[from] StateError),
    /// The services of this process could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A Kubernetes cluster cannot be reached, or will not do what is asked of it.
    #[error(transparent)]
    Cluster(#[from] ClusterFailure),
    /// Standard output is closed or full.
    #[error("standard output cannot be written to: {0}; see where it leads")]
    Output(#[source] io::Error),
    /// The system refused something.
    #[error("{action}: {source}; see whether the system has room for this process")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// The command line, a file or an argument is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct InputError {
    /// For programs: what a server would have said.
    pub(crate) reason: ErrorReason,
    /// For people: what is wrong, and what to do.
    pub(crate) message: String,
    /// The places that are wrong, where there are several.
    pub(crate) violations: Vec<FieldViolation>,
}

impl InputError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::because(ErrorReason::InvalidRequest, message)
    }

    pub(crate) fn because(reason: ErrorReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), violations: Vec::new() }
    }
}

impl From<ApiError> for InputError {
    fn from(error: ApiError) -> Self {
        let ApiError { reason, message, violations, .. } = error;
        let violations = violations
            .into_iter()
            .map(|it| FieldViolation { field: it.field, description: it.description })
            .collect();
        Self { reason, message, violations }
    }
}

impl From<Violations> for InputError {
    /// As a server says it.
    fn from(violations: Violations) -> Self {
        let fields = violations
            .iter()
            .map(|it| FieldViolation { field: it.field.clone(), description: it.message.clone() });
        Self {
            violations: fields.collect(),
            ..Self::because(ErrorReason::InvalidPipeline, violations.to_string())
        }
    }
}

impl Failure {
    /// Whether whoever read the output has gone, which is no reason to complain.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            // The same whichever side does not trust the other, and whenever it says so: where it is the server, the
            // connection may just break.
            Self::Client(
                ClientError::OtherScheme { .. }
                | ClientError::Untrusted { .. }
                | ClientError::NotLetIn { .. },
            )
            | Self::NoServer(_) => Exit::Unavailable,
            Self::Client(error) if error.is_transient() => Exit::Unavailable,
            // It is for the operator, not for whoever asked.
            Self::Client(error) if error.reason() == Some(ErrorReason::LogOutOfReach.as_str()) => {
                Exit::Internal
            }
            Self::Client(error) => match error.code() {
                Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::FailedPrecondition
                | Code::ResourceExhausted => Exit::Input,
                Code::DeadlineExceeded => Exit::Unavailable,
                _ => Exit::Internal,
            },
            Self::Input(_) => Exit::Input,
            Self::Cluster(failure) => failure.exit(),
            _ if self.is_of_state_dir() => Exit::Input,
            Self::State(_) | Self::Start(_) | Self::Output(_) | Self::System { .. } => {
                Exit::Internal
            }
        }
    }

    /// The gRPC code in words; what no server said has the one that a server would have.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Input(error) => error.reason.code(),
            Self::Client(error) | Self::NoServer(error) => error.code(),
            Self::Cluster(failure) => failure.code(),
            _ if self.is_of_state_dir() => Code::FailedPrecondition,
            Self::State(_) | Self::Start(_) | Self::Output(_) | Self::System { .. } => {
                Code::Internal
            }
        }
    }

    /// Whether the state directory that was named, or something in it, is not as it must be.
    fn is_of_state_dir(&self) -> bool {
        match self {
            Self::State(_) => true,
            Self::Start(StartError::Runtime(error)) => !matches!(error, RuntimeError::Thread(_)),
            Self::Start(error) => matches!(error, StartError::StateDir(_) | StartError::Store(_)),
            Self::Input(_)
            | Self::Client(_)
            | Self::NoServer(_)
            | Self::Cluster(_)
            | Self::Output(_)
            | Self::System { .. } => false,
        }
    }

    /// Why, for programs; what no server said has the one that a server would have.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Input(error) => Some(error.reason.as_str()),
            Self::Client(ClientError::InvalidEndpoint { .. }) => {
                Some(ErrorReason::InvalidRequest.as_str())
            }
            Self::Client(error) | Self::NoServer(error) => {
                let unanswered = error.is_transient().then_some(ErrorReason::Unavailable.as_str());
                error.reason().or(unanswered)
            }
            Self::Cluster(failure) => {
                failure.is_unavailable().then_some(ErrorReason::Unavailable.as_str())
            }
            Self::State(_) | Self::Start(_) | Self::Output(_) | Self::System { .. } => None,
        }
    }

    pub(crate) fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Input(error) => &error.violations,
            Self::Client(error) | Self::NoServer(error) => error.violations(),
            Self::Cluster(_)
            | Self::State(_)
            | Self::Start(_)
            | Self::Output(_)
            | Self::System { .. } => &[],
        }
    }

    /// For people: what is wrong, and what to do.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::NoServer(ClientError::Unreachable { endpoint, problem }) => format!(
                "no Windlass server answers at {endpoint}: {problem}; start one with `windlass dev`, or name another with \
                 --server or WINDLASS_SERVER"
            ),
            Self::Client(error @ ClientError::Untrusted { .. }) => {
                format!("{error}; see --tls-ca, --tls-cert and --tls-key")
            }
            Self::Client(error @ ClientError::NotLetIn { .. }) => {
                format!(
                    "{error}, with --tls-cert and --tls-key or WINDLASS_TLS_CERT and WINDLASS_TLS_KEY"
                )
            }
            Self::Start(
                StartError::Store(StoreError::Held { .. } | StoreError::Unusable { .. })
                | StartError::Runtime(RuntimeError::Dir { .. }),
            ) => format!("{self}, with --state-dir"),
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_client::Refusal;

    fn refused(code: Code, from_transport: bool) -> Failure {
        Failure::from(ClientError::Refused(Box::new(Refusal {
            code,
            reason: None,
            metadata: std::collections::BTreeMap::new(),
            violations: Vec::new(),
            message: String::new(),
            retry_after: None,
            from_transport,
        })))
    }

    #[test]
    fn an_exit_code_tells_whose_turn_it_is() {
        let broken_pipe = Failure::Output(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(broken_pipe.is_broken_pipe());
        assert_eq!(Failure::from(InputError::new("x")).exit(), Exit::Input);
        assert_eq!(refused(Code::NotFound, false).exit(), Exit::Input);
        assert_eq!(refused(Code::FailedPrecondition, false).exit(), Exit::Input);
        assert_eq!(refused(Code::Unavailable, false).exit(), Exit::Unavailable);
        let untrusted = ClientError::Untrusted { endpoint: String::new(), problem: String::new() };
        assert_eq!(Failure::from(untrusted).exit(), Exit::Unavailable);
        let not_let_in = ClientError::NotLetIn {
            endpoint: String::new(),
            identified: false,
            problem: String::new(),
        };
        assert_eq!(Failure::from(not_let_in).exit(), Exit::Unavailable);
        assert_eq!(refused(Code::Unknown, true).exit(), Exit::Unavailable);
        assert_eq!(refused(Code::Unknown, true).reason(), Some("UNAVAILABLE"));
        assert_eq!(refused(Code::DataLoss, false).exit(), Exit::Internal);
    }
}
