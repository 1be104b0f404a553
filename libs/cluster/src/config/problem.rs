//! What can be wrong with the file of clusters.

use std::{io, path::PathBuf};

/// The file cannot be used. The message lists all that is wrong, one thing per line.
#[derive(Debug, thiserror::Error)]
pub enum ClustersError {
    /// It cannot be read.
    #[error("the clusters file {} cannot be read: {source}; see that it is there and may be read by this program", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What it says will not do.
    #[error("the clusters file {} cannot be used:\n  {}", .path.display(), lines(.problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// All that is wrong; at least one thing.
        problems: Vec<Problem>,
    },
}

/// Something that is wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is no TOML.
    #[error("{0}; correct it there")]
    Syntax(String),
    /// It names no cluster.
    #[error("it names no cluster; write a section `[clusters.default]`, which may be empty")]
    NoCluster,
    /// A cluster cannot be called that.
    #[error("`{section}`: {problem}")]
    Name {
        /// Its section.
        section: String,
        /// What is wrong with the name, and what to do.
        problem: String,
    },
    /// A value stands where a cluster's keys have to stand.
    #[error("`{0}`: is a section and has no value; write `[{0}]`, and its keys below")]
    Section(String),
    /// There is no such key.
    #[error("`{key}`: there is no such key; {}", meant(nearest.as_deref()))]
    UnknownKey {
        /// As it was written, with its section.
        key: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// The value will not do.
    #[error("`{key}`: {problem}; docs/kubernetes.md says what it may be")]
    Value {
        /// The key, with its section.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

/// No cluster of a name is configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no cluster `{name}` is configured; {}", advice(.file.as_ref(), .known))]
pub struct UnknownCluster {
    /// The name.
    pub name: String,
    /// The file of clusters; none where none is given.
    pub file: Option<PathBuf>,
    /// Those that are configured.
    pub known: Vec<String>,
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n  ")
}

fn meant(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "docs/kubernetes.md lists all keys".to_owned(),
    }
}

fn advice(file: Option<&PathBuf>, known: &[String]) -> String {
    let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    match file {
        Some(file) => {
            format!(
                "in {} there are {}; take one of these, or add it there",
                file.display(),
                known.join(", ")
            )
        }
        None => format!(
            "without a clusters file there is only {}; take that one, or give a file that has the other",
            known.join(", ")
        ),
    }
}
