//! The pods that an installation has in a cluster, as somebody sees them who is no launcher: for what is left of runs that nobody
//! knows any more.
//!
//! It reads metadata alone, in pages, so that many thousand pods are a few requests and little memory.

use std::{collections::BTreeMap, fmt, time::Duration};

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, Preconditions},
    core::PartialObjectMeta,
};
use windlass_pod::{label, manifest::label_value};
use windlass_proto::id::RunId;

use crate::{
    config::ClusterConfig,
    connect::{self, ConnectError},
    failure::{code, told},
    rights::Right,
};

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How many pods one answer lists.
const PAGE: u32 = 500;

/// How many pods are removed at once.
const AT_ONCE: usize = 16;

/// The phases of pods, in the order in which pods go through them: one that goes on while phases are listed one after the other
/// is met again, and not missed.
const PHASES: [&str; 5] = ["Pending", "Running", "Unknown", "Succeeded", "Failed"];

/// The right to list pods.
const LIST: Right = Right { resource: "pods", verb: "list" };

/// The right to delete a pod.
const DELETE: Right = Right { resource: "pods", verb: "delete" };

/// The pods of an installation in a cluster, for who has the credentials that are configured for it.
pub struct InstallationPods {
    client: Client,
    cluster: String,
    /// What says more where requests fail.
    check: String,
    server: String,
    namespaces: Vec<String>,
    labels: String,
}

/// A pod of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptPod {
    /// Where it is.
    pub namespace: String,
    /// Its name there.
    pub name: String,
    /// Which pod of this name it is.
    pub uid: String,
    /// The run, as its label says.
    pub run: RunId,
    /// The step's path; empty where somebody has removed the annotation.
    pub step: String,
    /// `Pending`, `Running`, `Unknown`, `Succeeded` or `Failed`.
    pub phase: &'static str,
    /// When it was created, by the API server's clock.
    pub created_at: Option<Timestamp>,
}

/// What came of removing pods.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Those that were told to end and will be gone.
    pub removed: usize,
    /// Those that were gone already.
    pub gone: usize,
}

/// Why pods are not listed or removed.
#[derive(Debug, thiserror::Error)]
pub enum PodsError {
    /// There is no way to the cluster.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The caller may not do it.
    #[error(
        "these credentials do not give the right to {right} in the namespace {namespace} of cluster `{cluster}`: {message}; add the \
         rule {} to a Role there that whoever asks is bound to, or name a kubeconfig with more rights{}", .right.rule(), before(*.removed)
    )]
    Forbidden {
        /// The cluster.
        cluster: String,
        /// Where the right is missing.
        namespace: String,
        /// The right.
        right: Right,
        /// What the API server says.
        message: String,
        /// How many pods were removed before.
        removed: usize,
    },
    /// The API server could not be asked, or refused.
    #[error(
        "the API server of cluster `{cluster}` was asked to {right} in the namespace {namespace}: {problem}; `{command}` says more{}",
        before(*.removed)
    )]
    Request {
        /// The command that looks at the cluster.
        command: String,
        /// The cluster.
        cluster: String,
        /// Where.
        namespace: String,
        /// What was asked.
        right: Right,
        /// What went wrong.
        problem: String,
        /// Whether it may work later.
        is_transient: bool,
        /// How many pods were removed before.
        removed: usize,
    },
}

impl PodsError {
    /// Whether the API server was not to be reached, or has trouble of its own: later it may do.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Request { is_transient, .. } => *is_transient,
            Self::Connect(_) | Self::Forbidden { .. } => false,
        }
    }

    /// The same, after so many pods were removed.
    fn after(mut self, count: usize) -> Self {
        match &mut self {
            Self::Forbidden { removed, .. } | Self::Request { removed, .. } => *removed = count,
            Self::Connect(_) => {}
        }
        self
    }
}

/// What is said of pods that were removed before something went wrong.
fn before(removed: usize) -> String {
    match removed {
        0 => String::new(),
        1 => " (1 pod was removed before)".to_owned(),
        removed => format!(" ({removed} pods were removed before)"),
    }
}

impl fmt::Debug for InstallationPods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallationPods").field("labels", &self.labels).finish_non_exhaustive()
    }
}

impl InstallationPods {
    /// Finds the way to a cluster, and asks nothing there yet.
    pub async fn connect(config: &ClusterConfig, installation: &str) -> Result<Self, PodsError> {
        let resolved = connect::resolve(config).await?;
        let server = resolved.cluster_url.to_string();
        let namespace = resolved.default_namespace.clone();
        let others = config.namespaces_beside(&namespace);
        let namespaces = std::iter::once(&*namespace).chain(others).map(str::to_owned).collect();
        let installation = label_value(installation);
        Ok(Self {
            client: connect::client(config, resolved).await?,
            cluster: config.name.clone(),
            check: config.command("check"),
            server,
            namespaces,
            labels: format!(
                "{}={},{}={installation}",
                label::MANAGED_BY,
                label::MANAGER,
                label::INSTALLATION
            ),
        })
    }

    /// Where the cluster's API server is.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Where pods are looked for: the namespaces in which launchers make them.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }

    /// All pods of the installation, by run, step and name. Those whose label names no run are none of its launchers'.
    pub async fn list(&self) -> Result<Vec<AttemptPod>, PodsError> {
        let mut by_uid = BTreeMap::new();
        for namespace in &self.namespaces {
            for phase in PHASES {
                for pod in self.list_phase(namespace, phase).await? {
                    by_uid.insert(pod.uid.clone(), pod);
                }
            }
        }
        let mut pods: Vec<_> = by_uid.into_values().collect();
        pods.sort_by(|one, other| {
            (&one.run, &one.step, &one.name).cmp(&(&other.run, &other.step, &other.name))
        });
        Ok(pods)
    }

    async fn list_phase(
        &self,
        namespace: &str,
        phase: &'static str,
    ) -> Result<Vec<AttemptPod>, PodsError> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let selected = format!("status.phase={phase}");
        let mut params = ListParams::default().labels(&self.labels).fields(&selected).limit(PAGE);
        let mut found = Vec::new();
        loop {
            let page = self.answer(namespace, LIST, pods.list_metadata(&params)).await?;
            let page = page.map_err(|error| self.refused(namespace, LIST, &error))?;
            found.extend(
                page.items.into_iter().filter_map(|pod| attempt_pod(namespace, phase, pod)),
            );
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok(found),
            }
        }
    }

    /// Has pods end, each with the grace that its step has, and removed then. Only those that were listed: another pod of the
    /// same name stays. After the first failure no further one is removed.
    pub async fn remove(&self, pods: &[AttemptPod]) -> Result<Removed, PodsError> {
        let removals = pods.iter().map(|pod| self.remove_one(pod));
        let mut removals = stream::iter(removals).buffer_unordered(AT_ONCE);
        let mut removed = Removed::default();
        while let Some(was_there) = removals.next().await {
            match was_there {
                Ok(true) => removed.removed += 1,
                Ok(false) => removed.gone += 1,
                Err(error) => return Err(error.after(removed.removed)),
            }
        }
        Ok(removed)
    }

    /// False where it is gone already.
    async fn remove_one(&self, pod: &AttemptPod) -> Result<bool, PodsError> {
        let pods: Api<PartialObjectMeta<Pod>> =
            Api::namespaced(self.client.clone(), &pod.namespace);
        let precondition = Preconditions { uid: Some(pod.uid.clone()), resource_version: None };
        let params = DeleteParams { preconditions: Some(precondition), ..DeleteParams::default() };
        let deleted = pods.delete(&pod.name, &params);
        match self.answer(&pod.namespace, DELETE, deleted).await? {
            Ok(_) => Ok(true),
            // Another one of this name is not meant.
            Err(error) if matches!(code(&error), Some(404 | 409)) => Ok(false),
            Err(error) => Err(self.refused(&pod.namespace, DELETE, &error)),
        }
    }

    /// Waits for an answer, and not for ever.
    async fn answer<T>(
        &self,
        namespace: &str,
        right: Right,
        asked: impl Future<Output = kube::Result<T>>,
    ) -> Result<kube::Result<T>, PodsError> {
        let late = |_| PodsError::Request {
            command: self.check.clone(),
            cluster: self.cluster.clone(),
            namespace: namespace.to_owned(),
            right,
            problem: format!("it has not answered within {} s", ANSWER_TIMEOUT.as_secs()),
            is_transient: true,
            removed: 0,
        };
        tokio::time::timeout(ANSWER_TIMEOUT, asked).await.map_err(late)
    }

    fn refused(&self, namespace: &str, right: Right, error: &kube::Error) -> PodsError {
        let (cluster, namespace) = (self.cluster.clone(), namespace.to_owned());
        if code(error) == Some(403) {
            let message = told(error);
            return PodsError::Forbidden { cluster, namespace, right, message, removed: 0 };
        }
        PodsError::Request {
            command: self.check.clone(),
            cluster,
            namespace,
            right,
            problem: told(error),
            // A list that takes too long has to be begun again (410).
            is_transient: code(error).is_none_or(|code| code >= 500 || matches!(code, 410 | 429)),
            removed: 0,
        }
    }
}

fn attempt_pod(
    namespace: &str,
    phase: &'static str,
    pod: PartialObjectMeta<Pod>,
) -> Option<AttemptPod> {
    let run = pod.labels().get(label::RUN)?.parse().ok()?;
    let step = pod.annotations().get(label::STEP).cloned().unwrap_or_default();
    Some(AttemptPod {
        namespace: namespace.to_owned(),
        run,
        step,
        phase,
        created_at: pod.metadata.creation_timestamp.map(|time| time.0),
        name: pod.metadata.name?,
        uid: pod.metadata.uid?,
    })
}
