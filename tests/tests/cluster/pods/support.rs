//! A control plane with what runs on it, and pipelines for it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::ListParams};
use tokio::sync::{mpsc, oneshot};
use windlass_cluster::ClusterConfig;
use windlass_engine::record::{AttemptEnd, AttemptRecord, RunState, StepIndex, StepState};
use windlass_launcher::{
    Launcher,
    runtime::kubernetes::{Budget, KubernetesConfig, KubernetesRuntime},
};
use windlass_proto::{id::RunId, v1};
use windlass_servers::{FakeNodes, Kubernetes, KubernetesGate, Verb};
use windlass_tests::waiting;

use crate::support::{Cluster, PARTITIONS, Service, eventually, leased};

/// How long pods that have ended may stay: those of a run that is over stay until a late create could do no harm.
const REMOVED_WITHIN: Duration = Duration::from_mins(2);

/// What most launchers may do. Pods that have ended are removed at once.
pub(super) const BUDGET: Budget = Budget {
    launching: true,
    live_pods: 1000,
    live_pods_per_namespace: None,
    requests_in_flight: 64,
    create_gap: None,
    keep_succeeded: (Duration::ZERO, None),
    keep_failed: (Duration::ZERO, None),
};

/// A namespace of a control plane, a gate before it, and a scheduler.
pub(super) struct Ground<'a> {
    pub(super) kubernetes: &'a Kubernetes,
    pub(super) nodes: &'a FakeNodes,
    pub(super) gate: KubernetesGate,
    pub(super) namespace: String,
    pub(super) cluster: Cluster,
    _scheduler: Service,
}

impl Ground<'static> {
    /// On the control plane that all tests share; none where there are no programs of Kubernetes.
    pub(super) async fn shared() -> Option<Self> {
        if Kubernetes::is_missing() {
            return None;
        }
        Some(Self::on(Kubernetes::shared().await).await)
    }
}

/// A control plane that the test may harm; none where there are no programs of Kubernetes.
pub(super) async fn own_control_plane() -> Option<Kubernetes> {
    if Kubernetes::is_missing() {
        return None;
    }
    Some(Kubernetes::start().await)
}

impl<'a> Ground<'a> {
    /// On a control plane that the test may harm.
    pub(super) async fn on(kubernetes: &'a Kubernetes) -> Self {
        let nodes = kubernetes.fake_nodes().await;
        let namespace = kubernetes.namespace().await;
        let cluster = Cluster::new();
        let scheduler = cluster.scheduler(leased("scheduler", Duration::from_mins(10)));
        let gate = KubernetesGate::to(&kubernetes.kubeconfig()).await;
        Self { kubernetes, nodes, gate, namespace, cluster, _scheduler: scheduler }
    }

    pub(super) fn launcher(&self) -> Service {
        self.launcher_with(|_| {})
    }

    /// A launcher with other settings than most have.
    pub(super) fn launcher_with(&self, change: impl FnOnce(&mut KubernetesConfig)) -> Service {
        let mut config = self.config();
        change(&mut config);
        self.start(config, BUDGET, oneshot::channel().0)
    }

    /// A launcher that may do other things than most.
    pub(super) fn launcher_within(&self, change: impl FnOnce(&mut Budget)) -> Service {
        let mut budget = BUDGET;
        change(&mut budget);
        self.start(self.config(), budget, oneshot::channel().0)
    }

    /// A launcher whose budget may be changed.
    pub(super) async fn launcher_and_runtime(
        &self,
        budget: Budget,
    ) -> (Service, Arc<KubernetesRuntime>) {
        let (tell, told) = oneshot::channel();
        let service = self.start(self.config(), budget, tell);
        (service, told.await.expect("it starts"))
    }

    fn config(&self) -> KubernetesConfig {
        KubernetesConfig {
            installation: "test".into(),
            cluster: "default".into(),
            namespace: self.namespace.clone(),
            other_namespaces: BTreeSet::new(),
            shards: PARTITIONS,
        }
    }

    fn start(
        &self,
        config: KubernetesConfig,
        budget: Budget,
        started: oneshot::Sender<Arc<KubernetesRuntime>>,
    ) -> Service {
        let (bus, store) = (self.cluster.bus.clone(), self.cluster.store.clone());
        let kubeconfig = self.gate.kubeconfig();
        Service::start(move |stop| async move {
            let (reports, reported) = mpsc::unbounded_channel();
            let cluster =
                ClusterConfig { kubeconfig: Some(kubeconfig), ..ClusterConfig::default() };
            let client = windlass_cluster::connect(&cluster).await.expect("a client");
            let runtime = KubernetesRuntime::new(client, config, budget, reports.clone());
            let runtime = Arc::new(runtime);
            // Most tests do not ask for it.
            let _ = started.send(runtime.clone());
            let launcher = Launcher {
                partitions: PARTITIONS,
                cluster: "default".into(),
                host_lost_after: None,
                list_dirs: None,
                bus,
                store,
                runtime,
                reports,
                reported,
            };
            launcher.run(stop).await;
        })
    }

    pub(super) fn api(&self) -> (Client, Api<Pod>) {
        let client = self.kubernetes.client();
        (client.clone(), Api::namespaced(client, &self.namespace))
    }

    /// The pods that there are.
    pub(super) async fn pods(&self) -> Vec<Pod> {
        self.api().1.list(&ListParams::default()).await.expect("listed").items
    }

    /// Waits until so many pods are in a phase.
    pub(super) async fn until_pods(&self, count: usize, phase: &str) -> Vec<Pod> {
        eventually(&format!("{count} pods are {phase}"), async || {
            let mut pods = self.pods().await;
            pods.retain(|pod| phase_of(pod) == phase);
            (pods.len() == count).then_some(pods)
        })
        .await
    }

    pub(super) async fn until_no_pods(&self) {
        let gone = async || self.pods().await.is_empty().then_some(());
        waiting::eventually(REMOVED_WITHIN, "all pods are gone", gone).await;
    }

    /// Asserts that a run ends well, and that no attempt of it was started more than once.
    pub(super) async fn succeeds(&self, run: RunId) {
        let record = self.cluster.end_of(run).await;
        assert_eq!(record.state, RunState::Succeeded, "{record:?}");
        self.assert_started_at_most_once(run);
    }

    /// Asserts that no attempt of a run was started more than once, whatever became of it.
    pub(super) fn assert_started_at_most_once(&self, run: RunId) {
        let run = run.to_string();
        let starts = self.nodes.attempt_starts();
        let twice: Vec<_> =
            starts.iter().filter(|(attempt, count)| attempt.run == run && **count > 1).collect();
        assert_eq!(twice, []);
    }

    /// How many pods were asked for.
    pub(super) fn creates(&self) -> u64 {
        self.gate.calls().of(Verb::Create, "pods")
    }

    /// How many steps of a run are in a state.
    pub(super) async fn count(&self, run: RunId, state: StepState) -> u32 {
        let read = self.cluster.store.read_record(run).await.expect("read");
        read.expect("it is there").1.counts[state as usize]
    }

    /// How many attempts of a run were started.
    pub(super) fn started(&self, run: RunId) -> usize {
        let run = run.to_string();
        self.nodes.attempt_starts().keys().filter(|attempt| attempt.run == run).count()
    }

    /// The attempts of a run's step that are over.
    pub(super) async fn attempts(&self, run: RunId, step: u32) -> Vec<AttemptRecord> {
        self.cluster.store.read_attempts(run, StepIndex(step)).await.expect("read")
    }

    /// How an attempt of a run's step failed: reason and words.
    pub(super) async fn failure(&self, run: RunId, step: u32, attempt: usize) -> (String, String) {
        let attempts = self.attempts(run, step).await;
        match &attempts[attempt - 1].end {
            AttemptEnd::Failed(failure) => {
                (format!("{:?}", failure.reason), failure.message.clone())
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn phase_of(pod: &Pod) -> &str {
    let status = pod.status.as_ref();
    status.and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// A step whose pod does as its annotations say.
pub(super) fn step(name: &str, depends_on: &[&str], behavior: &[(&str, &str)]) -> v1::Step {
    let depends_on: Vec<String> = depends_on.iter().map(|name| (*name).to_owned()).collect();
    let mut step = crate::support::step(name, &depends_on);
    let pod = v1::Pod {
        annotations: behavior
            .iter()
            .map(|(key, value)| (format!("fake/{key}"), (*value).to_owned()))
            .collect(),
        node_selector: [("type".to_owned(), "fake".to_owned())].into(),
        ..v1::Pod::default()
    };
    task(&mut step).image = "example.com/work:1".into();
    task(&mut step).pod = Some(Box::new(pod));
    step
}

/// What a step does.
pub(super) fn task(step: &mut v1::Step) -> &mut v1::Task {
    match &mut step.work {
        Some(v1::step::Work::Task(task)) => task,
        other => panic!("{other:?}"),
    }
}

/// What a step asks of its pod.
pub(super) fn pod(step: &mut v1::Step) -> &mut v1::Pod {
    task(step).pod.get_or_insert_default()
}

pub(super) fn pipeline(steps: impl IntoIterator<Item = v1::Step>) -> v1::Pipeline {
    let steps = steps.into_iter().collect();
    v1::Pipeline { name: "pods".into(), steps, ..v1::Pipeline::default() }
}

/// Steps beside each other that all behave so.
pub(super) fn wide(count: usize, behavior: &[(&str, &str)]) -> v1::Pipeline {
    pipeline((0..count).map(|number| step(&format!("s{number}"), &[], behavior)))
}
