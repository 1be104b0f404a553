//! What can be wrong with the file of clusters.

use std::{io, path::PathBuf};

use windlass_pod::{
    quote::{quote, shown},
    suggest::nearest,
};

/// How many clusters are named where none has the name that was asked for.
const NAMED: usize = 10;

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
    #[error("line {line}, column {column}: {message}; correct it there")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// What stands at `clusters` is no section.
    #[error(
        "`clusters`: is no list and has no value; write a section for each cluster, such as `[clusters.default]`, and its keys below"
    )]
    Clusters,
    /// Two sections are the same cluster, and would have pods in the same namespace.
    #[error(
        "`clusters.{section}`: reaches the same cluster as `clusters.{other}`, with the same `kubeconfig` and `context`, and both \
         have pods in {}, where nothing tells whose they are; give each `namespace` and `other_namespaces` of its own, or make \
         one section of both", common(.namespace.as_deref())
    )]
    Overlap {
        /// The name of the one.
        section: String,
        /// The name of the other.
        other: String,
        /// The namespace; none for that of the context.
        namespace: Option<String>,
    },
    /// It names no cluster.
    #[error("it names no cluster; write a section `[clusters.default]`, which may be empty")]
    NoCluster,
    /// A cluster cannot be called that.
    #[error("{}: {problem}", quote(.section))]
    Name {
        /// Its section.
        section: String,
        /// What is wrong with the name, and what to do.
        problem: String,
    },
    /// A value stands where a cluster's keys have to stand.
    #[error("{}: is a section and has no value; write `[{}]`, and its keys below", quote(.0), shown(.0))]
    Section(String),
    /// There is no such key.
    #[error("{}: there is no such key; {}", quote(.key), meant(nearest.as_deref()))]
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
#[error("no cluster {} is configured; {}", quote(.name), advice(.name, .file.as_ref(), .known))]
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

/// What both call the namespace that they have in common.
fn common(namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("the namespace `{namespace}`"),
        None => "the namespace of that context".to_owned(),
    }
}

fn advice(name: &str, file: Option<&PathBuf>, known: &[String]) -> String {
    // The nearest one first, which may stand far behind.
    let nearest = nearest(name, known.iter().map(String::as_str));
    let others = known.iter().map(String::as_str).filter(|other| Some(*other) != nearest);
    let named = nearest.into_iter().chain(others).take(NAMED);
    let mut listed = named.map(|name| quote(name).to_string()).collect::<Vec<_>>().join(", ");
    if known.len() > NAMED {
        listed = format!("{listed} and {} more", known.len() - NAMED);
    }
    match file {
        Some(file) => {
            format!("in {} there are {listed}; take one of these, or add it there", file.display())
        }
        None => format!(
            "without a clusters file there is only {listed}; take that one, or give a file that has the other"
        ),
    }
}
