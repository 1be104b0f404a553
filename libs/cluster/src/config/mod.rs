//! Which clusters there are, and how much may be asked of each: `clusters.toml`.

mod change;
mod file;
mod overlap;
mod problem;
mod value;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    num::{NonZeroU32, NonZeroUsize},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::fmt::serde::unsigned_duration::friendly::compact;
use serde::{Deserialize, Serialize};

pub use self::{
    change::Change,
    problem::{ClustersError, Problem, UnknownCluster},
};

/// The cluster of steps that name none.
pub const DEFAULT_CLUSTER: &str = "default";

/// All clusters that are configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Clusters {
    /// The file that they are from; none where there is no file.
    file: Option<PathBuf>,
    by_name: BTreeMap<String, ClusterConfig>,
}

/// A cluster: how it is reached, and how much may be asked of it. The fields are the keys of a section of the file; all of them
/// have defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterConfig {
    /// Its name, by which steps choose it.
    #[serde(skip)]
    pub name: String,
    /// The clusters file that it is from, as it was named; none where there is no file.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// The kubeconfig file that says how it is reached. Unless given, the sources of [`connect`](crate::connect()) are tried.
    pub kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig; its current one unless given.
    pub context: Option<String>,
    /// Where pods are created; the namespace of the context, or of the launcher's own pod, unless given.
    pub namespace: Option<String>,
    /// Other namespaces in which steps may have their pods, where they name one.
    pub other_namespaces: BTreeSet<String>,
    /// `false` has launchers start nothing there any more; what runs goes on.
    pub launching: bool,
    /// The most pods of Windlass that may be there and not have ended.
    pub live_pods: NonZeroUsize,
    /// The most of these in one namespace; no limit unless given.
    pub live_pods_per_namespace: Option<NonZeroUsize>,
    /// The most pods that are created in a second; no limit unless given.
    pub creates_per_second: Option<NonZeroU32>,
    /// The most requests to the API server that are under way at once.
    pub in_flight_requests: NonZeroUsize,
    /// The least time between two creations of pods; none unless given.
    #[serde(with = "compact::optional")]
    pub start_gap: Option<Duration>,
    /// How long a pod stays whose attempt succeeded, from when that is known for good.
    #[serde(with = "compact::required")]
    pub keep_succeeded: Duration,
    /// How long a pod stays whose attempt failed.
    #[serde(with = "compact::required")]
    pub keep_failed: Duration,
    /// The most pods that stay of attempts that succeeded, the latest; no limit unless given.
    pub keep_succeeded_count: Option<u32>,
    /// The most pods that stay of attempts that failed, the latest; no limit unless given.
    pub keep_failed_count: Option<u32>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        let number = |number| NonZeroUsize::new(number).expect("written as a number above 0");
        Self {
            name: DEFAULT_CLUSTER.to_owned(),
            file: None,
            kubeconfig: None,
            context: None,
            namespace: None,
            other_namespaces: BTreeSet::new(),
            launching: true,
            live_pods: number(5000),
            live_pods_per_namespace: None,
            creates_per_second: None,
            in_flight_requests: number(64),
            start_gap: None,
            keep_succeeded: Duration::from_mins(1),
            keep_failed: Duration::from_mins(1),
            keep_succeeded_count: None,
            keep_failed_count: None,
        }
    }
}

impl Clusters {
    /// Reads the file; without one there is one cluster, [`DEFAULT_CLUSTER`], with the defaults.
    ///
    /// # Errors
    ///
    /// All that is wrong in the file at once.
    pub fn read(file: Option<&Path>) -> Result<Self, ClustersError> {
        let Some(path) = file else {
            let default = ClusterConfig::default();
            return Ok(Self { file: None, by_name: [(default.name.clone(), default)].into() });
        };
        let text = std::fs::read_to_string(path)
            .map_err(|source| ClustersError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Takes in the file's text.
    ///
    /// # Errors
    ///
    /// All that is wrong in it at once.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ClustersError> {
        let mut by_name = file::parse(text)
            .map_err(|problems| ClustersError::Invalid { path: path.to_owned(), problems })?;
        for cluster in by_name.values_mut() {
            cluster.file = Some(path.to_owned());
        }
        Ok(Self { file: Some(path.to_owned()), by_name })
    }

    /// The cluster of a name.
    pub fn get(&self, name: &str) -> Result<&ClusterConfig, UnknownCluster> {
        self.by_name.get(name).ok_or_else(|| UnknownCluster {
            name: name.to_owned(),
            file: self.file.clone(),
            known: self.by_name.keys().cloned().collect(),
        })
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &ClusterConfig> {
        self.by_name.values()
    }
}

impl ClusterConfig {
    /// The other namespaces in which steps may have their pods, without the one where pods are created anyway.
    pub(crate) fn namespaces_beside<'a>(
        &'a self,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        self.other_namespaces.iter().map(String::as_str).filter(move |other| *other != namespace)
    }

    /// A command line of `windlass cluster` about this cluster, to be copied into a shell: `windlass cluster prepare gpu
    /// --clusters-file clusters.toml`.
    pub fn command(&self, command: &str) -> String {
        let mut line = format!("windlass cluster {command} {}", self.name);
        if let Some(file) = &self.file {
            // Writing to a text cannot fail.
            let _ = write!(line, " --clusters-file {}", word(&file.display().to_string()));
        }
        line
    }
}

/// A text as a shell reads it as one word.
fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,@%+".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Whether a text can name a namespace: what Kubernetes calls a DNS label.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte != b'-');
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.iter().copied().all(inner)
        && edge(bytes.first())
        && edge(bytes.last())
}
