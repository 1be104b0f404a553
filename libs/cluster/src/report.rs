//! What a look at a cluster has found.

use std::fmt;

use crate::{prepare::ServiceAccountRef, rights::Right};

/// What was found in a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The cluster's name.
    pub cluster: String,
    /// Where its API server is.
    pub server: String,
    /// Where pods are created whose steps name no namespace.
    pub namespace: String,
    /// One thing each, in the order in which they depend on each other.
    pub findings: Vec<Finding>,
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The thing.
    pub item: Item,
    /// Whether it is there.
    pub verdict: Verdict,
}

/// A thing that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Kubernetes in a version that is not too old; the version.
    Version(String),
    /// A namespace for pods: the one where they are created, or another one, which is there with all rights.
    Namespace(String),
    /// A service account.
    ServiceAccount(ServiceAccountRef),
    /// A right in a namespace.
    Right {
        /// The right.
        right: Right,
        /// Where.
        namespace: String,
    },
    /// That the cluster's own rules let a plain pod in.
    Admission {
        /// Where.
        namespace: String,
    },
}

impl Item {
    /// What it is, in a word for programs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Version(_) => "version",
            Self::Namespace(_) => "namespace",
            Self::ServiceAccount(_) => "service_account",
            Self::Right { .. } => "right",
            Self::Admission { .. } => "admission",
        }
    }

    /// Which of its kind it is; none where there is one of the kind in a namespace.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Version(name) | Self::Namespace(name) => Some(name.clone()),
            Self::ServiceAccount(account) => Some(account.to_string()),
            Self::Right { right, .. } => Some(right.to_string()),
            Self::Admission { .. } => None,
        }
    }

    /// The namespace in which it is needed; none where that is the cluster, or the thing's own affair.
    pub fn namespace(&self) -> Option<&str> {
        match self {
            Self::Right { namespace, .. } | Self::Admission { namespace } => Some(namespace),
            Self::Version(_) | Self::Namespace(_) | Self::ServiceAccount(_) => None,
        }
    }
}

/// For people.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "Kubernetes {version}"),
            Self::Namespace(name) => write!(f, "the namespace {name}"),
            Self::ServiceAccount(account) => write!(f, "the service account {account}"),
            Self::Right { right, namespace } => write!(f, "the right to {right} in {namespace}"),
            Self::Admission { namespace } => {
                write!(f, "the admission of a plain pod in {namespace}")
            }
        }
    }
}

/// Whether a thing is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Present,
    /// It is not, and what to do.
    Missing(String),
    /// It could not be looked at, and why. Nothing need be wrong.
    Unknown(String),
}

impl Report {
    /// Whether nothing is missing, as far as could be looked.
    pub fn is_complete(&self) -> bool {
        !self.findings.iter().any(|it| matches!(it.verdict, Verdict::Missing(_)))
    }
}
