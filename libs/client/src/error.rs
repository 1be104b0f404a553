//! What a call can end with instead of an answer.

use std::{collections::BTreeMap, error::Error as _, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Why a call has no answer. Messages are for people, and say what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error(
        "`{endpoint}` is not the address of a server: {problem}; write it as http://HOST:PORT or https://HOST:PORT"
    )]
    InvalidEndpoint {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody answers at the address.
    #[error(
        "no Windlass server answers at {endpoint}: {problem}; check the address, and that the server runs there"
    )]
    Unreachable {
        /// Where one was looked for.
        endpoint: String,
        /// What the system said.
        problem: String,
    },
    /// The server speaks TLS and was addressed without it, or the other way round.
    #[error("the server at {endpoint} {}: use {corrected}", if corrected.starts_with("https:") { "speaks TLS" } else { "does not speak TLS" })]
    OtherScheme {
        /// How it was addressed.
        endpoint: String,
        /// How it should be.
        corrected: String,
    },
    /// Somebody answers at the address, and the two sides do not trust each other, or a certificate cannot be used.
    #[error(
        "there is no secure connection to {endpoint}: {problem}; see that the server speaks TLS there, that its certificate comes \
         from the authority that is trusted here, and, if it asks for a client's certificate, that the given one is accepted there"
    )]
    Untrusted {
        /// Where the server is.
        endpoint: String,
        /// What is wrong.
        problem: String,
    },
    /// The server closes every connection as soon as it is secured, which is how it refuses a client's certificate.
    #[error(
        "the server at {endpoint} closes the connection as soon as it is secured ({problem}): {}", likely(*.identified)
    )]
    NotLetIn {
        /// Where the server is.
        endpoint: String,
        /// Whether the client had a certificate to show.
        identified: bool,
        /// How the connection ended.
        problem: String,
    },
    /// The server refused, or the connection broke.
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
    /// The server sent what this program cannot understand.
    #[error(
        "the server's answer lacks `{0}`; it is of another version: use the `windlass` of the server's version"
    )]
    Incomplete(&'static str),
}

/// A gRPC status with its details.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The gRPC code.
    pub code: Code,
    /// `google.rpc.ErrorInfo.reason`, as listed in docs/errors.md; none where the server did not answer itself.
    pub reason: Option<String>,
    /// `google.rpc.ErrorInfo.metadata`: what the message speaks of, such as the run's id.
    pub metadata: BTreeMap<String, String>,
    /// The fields of the request that are wrong.
    pub violations: Vec<FieldViolation>,
    /// What is wrong, for people.
    pub message: String,
    /// The least time before the same call may work.
    pub retry_after: Option<Duration>,
    /// Whether this side made the status, because the connection broke or ran into its time limit.
    pub from_transport: bool,
}

/// A field of a request that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Where, such as `pipeline.steps[3].name`.
    pub field: String,
    /// What is wrong, and what to do.
    pub description: String,
}

impl ClientError {
    /// The gRPC code; what never reached a server has the one that a server would have given.
    pub fn code(&self) -> Code {
        match self {
            Self::InvalidEndpoint { .. } => Code::InvalidArgument,
            Self::Unreachable { .. } => Code::Unavailable,
            Self::OtherScheme { .. } | Self::Untrusted { .. } | Self::NotLetIn { .. } => {
                Code::Unauthenticated
            }
            Self::Refused(refusal) => refusal.code,
            Self::Incomplete(_) => Code::Internal,
        }
    }

    /// Why, for programs, as listed in docs/errors.md.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => refusal.reason.as_deref(),
            Self::InvalidEndpoint { .. }
            | Self::Unreachable { .. }
            | Self::OtherScheme { .. }
            | Self::Untrusted { .. }
            | Self::NotLetIn { .. }
            | Self::Incomplete(_) => None,
        }
    }

    /// The fields of the request that are wrong.
    pub fn violations(&self) -> &[FieldViolation] {
        match self {
            Self::Refused(refusal) => &refusal.violations,
            Self::InvalidEndpoint { .. }
            | Self::Unreachable { .. }
            | Self::OtherScheme { .. }
            | Self::Untrusted { .. }
            | Self::NotLetIn { .. }
            | Self::Incomplete(_) => &[],
        }
    }

    /// Whether the same call may work a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(refusal) => refusal.from_transport || refusal.code == Code::Unavailable,
            Self::InvalidEndpoint { .. }
            | Self::OtherScheme { .. }
            | Self::Untrusted { .. }
            | Self::NotLetIn { .. }
            | Self::Incomplete(_) => false,
        }
    }

    /// The least time before the same call may work, where the server said one.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::InvalidEndpoint { .. }
            | Self::Unreachable { .. }
            | Self::OtherScheme { .. }
            | Self::Untrusted { .. }
            | Self::NotLetIn { .. }
            | Self::Incomplete(_) => None,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let from_transport = is_of_transport(&status);
        let violations = details.bad_request().map(|bad| {
            let violations = bad.field_violations.iter();
            violations.map(|violation| FieldViolation {
                field: violation.field.clone(),
                description: violation.description.clone(),
            })
        });
        Self::Refused(Box::new(Refusal {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()),
            metadata: info
                .map(|info| info.metadata.clone().into_iter().collect())
                .unwrap_or_default(),
            violations: violations.map(Iterator::collect).unwrap_or_default(),
            message: message(&status, from_transport),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            from_transport,
        }))
    }
}

/// Whether this side made the status, of a broken connection: only then it has a source, since none comes over the wire.
pub(crate) fn is_of_transport(status: &Status) -> bool {
    status.source().is_some()
}

fn message(status: &Status, from_transport: bool) -> String {
    if from_transport {
        let problem = status.source().map(root_cause).unwrap_or_default();
        return format!(
            "the connection to the server broke ({problem}); see whether the server still runs"
        );
    }
    match status.message() {
        "" if status.code() == Code::Unimplemented => {
            "the server does not do this: runs are asked of a submitter (`--server`), logs of a streamer (`--log-server`); check both addresses".to_owned()
        }
        "" => {
            format!("the server refused without a word ({:?}); see what it logged", status.code())
        }
        message => message.to_owned(),
    }
}

/// What is likely wrong where a server closes the connection instead of letting the client in.
fn likely(identified: bool) -> &'static str {
    if identified {
        "it likely does not accept the client's certificate; give one that has not expired and comes from the authority that \
         the server trusts"
    } else {
        "it likely asks for a client's certificate (mutual TLS), and none was given; give one that it accepts"
    }
}

/// What the innermost error says: the outer ones only tell that something failed.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn a_refusal_keeps_the_details_that_the_server_gave() {
        let mut details = ErrorDetails::new();
        details.set_error_info(
            "INVALID_PIPELINE",
            "windlass",
            [("run_id".to_owned(), "r".to_owned())],
        );
        details.add_bad_request_violation("pipeline.name", "is empty; give it one");
        details.set_retry_info(Some(Duration::from_secs(2)));
        let status = Status::with_error_details(
            Code::InvalidArgument,
            "the pipeline breaks a rule",
            details,
        );

        let error = ClientError::from(status);
        assert_eq!(
            (error.code(), error.reason()),
            (Code::InvalidArgument, Some("INVALID_PIPELINE"))
        );
        assert_eq!(error.violations()[0].field, "pipeline.name");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
        assert_eq!(error.to_string(), "the pipeline breaks a rule");
        assert!(!error.is_transient());
        let ClientError::Refused(refusal) = error else { panic!("a refusal") };
        assert_eq!(refusal.metadata["run_id"], "r");
    }

    #[test]
    fn a_broken_connection_and_an_unavailable_server_are_transient() {
        let mut broken = Status::unknown("h2 protocol error");
        broken.set_source(std::sync::Arc::new(std::io::Error::other("connection reset")));
        let broken = ClientError::from(broken);
        assert!(broken.is_transient());
        assert!(broken.to_string().contains("connection reset"), "{broken}");
        assert!(ClientError::from(Status::unavailable("starting")).is_transient());
        assert!(!ClientError::from(Status::not_found("no such run")).is_transient());
    }
}
