//! What a test and its fake nodes share: which nodes there are, and what was started.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use tokio::sync::Notify;
use windlass_pod::label;

/// Which attempt pods were started for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartedAttempt {
    /// The run's id, as its label has it.
    pub run: String,
    /// The step, as its label has it.
    pub step: String,
    /// The number of the attempt, as its label has it.
    pub attempt: String,
}

#[derive(Debug, Default)]
pub(super) struct Board {
    state: Mutex<State>,
    changed: Notify,
    /// Held while something is said of a node, so that what was true before is not said after what is.
    pub(super) telling: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether each works.
    nodes: BTreeMap<String, bool>,
    starts: BTreeMap<String, u32>,
    attempts: BTreeMap<StartedAttempt, u32>,
}

impl Board {
    /// With these nodes, all of which work.
    pub(super) fn new(nodes: impl IntoIterator<Item = String>) -> Self {
        let board = Self::default();
        board.state().nodes = nodes.into_iter().map(|name| (name, true)).collect();
        board
    }

    /// Those that work.
    pub(super) fn working(&self) -> Vec<String> {
        let state = self.state();
        state.nodes.iter().filter(|(_, works)| **works).map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn has(&self, node: &str) -> bool {
        self.state().nodes.contains_key(node)
    }

    pub(super) fn works(&self, node: &str) -> bool {
        self.state().nodes.get(node).copied().unwrap_or(false)
    }

    /// Lets a node work, or not.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub(super) fn set_works(&self, node: &str, works: bool) {
        let mut state = self.state();
        *state.nodes.get_mut(node).unwrap_or_else(|| panic!("there is no node {node}")) = works;
        drop(state);
        self.changed.notify_one();
    }

    pub(super) fn remove(&self, node: &str) {
        self.state().nodes.remove(node).unwrap_or_else(|| panic!("there is no node {node}"));
    }

    /// Ends when nodes work that may not have worked before.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The containers of a pod were started.
    pub(super) fn count(&self, pod: &Pod) {
        let name = format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any());
        let label = |name: &str| pod.labels().get(name).cloned();
        let attempt = || {
            let (run, step) = (label(label::RUN)?, label(label::STEP)?);
            Some(StartedAttempt { run, step, attempt: label(label::ATTEMPT)? })
        };
        let mut state = self.state();
        *state.starts.entry(name).or_default() += 1;
        if let Some(attempt) = attempt() {
            *state.attempts.entry(attempt).or_default() += 1;
        }
    }

    pub(super) fn starts(&self) -> BTreeMap<String, u32> {
        self.state().starts.clone()
    }

    pub(super) fn attempts(&self) -> BTreeMap<StartedAttempt, u32> {
        self.state().attempts.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
