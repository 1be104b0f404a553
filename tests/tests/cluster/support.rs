//! A cluster to try.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};
use windlass_bus::{Bus, MemoryBus};
use windlass_engine::record::{RunRecord, StepState};
use windlass_launcher::{
    Launcher,
    runtime::{
        AttemptKey, AttemptSpec, Report, ReportSender, Runtime,
        simulated::{Plan, SimulatedAttempt, SimulatedEnd, SimulatedRuntime},
    },
};
use windlass_proto::{
    cluster,
    id::RunId,
    v1::{self, run_service_server::RunService as _, step::Work},
};
use windlass_scheduler::{Ownership, Retention, SchedulerConfig};
use windlass_store::{MemoryStore, NewRun, ShareRequest, Store, Submission};
use windlass_submitter::{Submitter, SubmitterConfig};
use windlass_tests::waiting;

/// Into how many partitions the cluster divides runs.
pub(crate) const PARTITIONS: u32 = 8;

/// How long anything may take that is to happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A bus, a store, and a runtime whose attempts all launchers see.
pub(crate) struct Cluster {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) store: Arc<dyn Store>,
    submitter: Submitter,
}

/// A service that runs in tasks of this process.
pub(crate) struct Service {
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// What the task runs on: ends with it all that the service has started.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::on(Arc::new(MemoryBus::new()))
    }

    pub(crate) fn on(bus: Arc<dyn Bus>) -> Self {
        Self::of(bus, Arc::new(MemoryStore::new()))
    }

    pub(crate) fn of(bus: Arc<dyn Bus>, store: Arc<dyn Store>) -> Self {
        let config = SubmitterConfig { installation: "test".into(), partitions: PARTITIONS };
        let stop = CancellationToken::new();
        let submitter = Submitter::new(config, bus.clone(), store.clone(), stop);
        Self { bus, store, submitter }
    }

    pub(crate) fn scheduler(&self, ownership: Ownership) -> Service {
        // The sweep is far beyond a test's time: nothing may depend on it.
        self.sweeping_scheduler(ownership, Duration::from_hours(1), None)
    }

    /// A scheduler that looks so often for what is owed, and for runs that are kept no longer.
    pub(crate) fn sweeping_scheduler(
        &self,
        ownership: Ownership,
        sweep: Duration,
        retention: Option<Retention>,
    ) -> Service {
        let number = |number| NonZeroUsize::new(number).expect("not zero");
        let config = SchedulerConfig {
            partitions: PARTITIONS,
            ownership,
            launch_window: number(64),
            command_size: number(16),
            batch: number(64),
            sweep,
            retention,
        };
        let (bus, store) = (self.bus.clone(), self.store.clone());
        Service::start(move |stop| windlass_scheduler::run(config, bus, store, stop))
    }

    /// A launcher whose attempts do as planned, and the runtime that counts them.
    pub(crate) fn launcher(&self, plan: Plan) -> (Service, SimulatedRuntime) {
        let (reports, reported) = mpsc::unbounded_channel();
        let runtime = SimulatedRuntime::new(reports.clone(), plan).counting_starts();
        (self.launcher_on(cluster::DEFAULT, runtime.clone(), reports, reported), runtime)
    }

    /// A launcher on a host of this name: its attempts are there and nowhere else, and so are claimed.
    pub(crate) fn launcher_of(&self, host: &'static str, plan: Plan) -> (Service, Host) {
        self.launcher_with(host, plan, Vec::new())
    }

    /// A launcher of a cluster, on a host of this name.
    pub(crate) fn launcher_in(
        &self,
        cluster: &'static str,
        host: &'static str,
        plan: Plan,
    ) -> (Service, Host) {
        self.launcher_where(cluster, host, plan, Vec::new())
    }

    /// A launcher that finds these attempts on its host when it begins.
    pub(crate) fn launcher_with(
        &self,
        host: &'static str,
        plan: Plan,
        found: Vec<AttemptKey>,
    ) -> (Service, Host) {
        self.launcher_where(cluster::DEFAULT, host, plan, found)
    }

    fn launcher_where(
        &self,
        cluster: &str,
        host: &'static str,
        plan: Plan,
        found: Vec<AttemptKey>,
    ) -> (Service, Host) {
        let (reports, reported) = mpsc::unbounded_channel();
        let simulated = SimulatedRuntime::new(reports.clone(), plan).counting_starts();
        let host = Host { name: host, simulated, found, removed: Arc::default() };
        (self.launcher_on(cluster, host.clone(), reports, reported), host)
    }

    fn launcher_on<R: Runtime>(
        &self,
        cluster: &str,
        runtime: R,
        reports: ReportSender,
        reported: mpsc::UnboundedReceiver<Report>,
    ) -> Service {
        let launcher = Launcher {
            partitions: PARTITIONS,
            cluster: cluster.to_owned(),
            host_lost_after: None,
            list_dirs: None,
            bus: self.bus.clone(),
            store: self.store.clone(),
            runtime: Arc::new(runtime),
            reports,
            reported,
        };
        Service::start(move |stop| launcher.run(stop))
    }

    pub(crate) async fn submit(&self, pipeline: v1::Pipeline) -> RunId {
        let request = v1::SubmitRunRequest { pipeline: Some(pipeline), ..Default::default() };
        let response = self.submitter.submit_run(Request::new(request)).await.expect("accepted");
        let run = response.into_inner().run.expect("a submission is answered with its run");
        run.run_id.parse().expect("run ids are run ids")
    }

    /// Why steps of a run wait, by their names: the first that is said of each.
    pub(crate) async fn explain(&self, run: RunId) -> BTreeMap<String, String> {
        let obstacles = self.obstacles(run).await.into_iter();
        obstacles.map(|(step, obstacle)| (step, obstacle.message)).collect()
    }

    /// The same, with all that is told of it.
    pub(crate) async fn obstacles(&self, run: RunId) -> BTreeMap<String, v1::Obstacle> {
        let request = v1::ExplainRunRequest { run_id: run.to_string(), ..Default::default() };
        let explained = self.submitter.explain_run(Request::new(request)).await;
        let steps = explained.expect("explained").into_inner().steps.into_iter();
        let first =
            |it: v1::StepExplanation| Some((it.step?.name, it.obstacles.into_iter().next()?));
        steps.filter_map(first).collect()
    }

    pub(crate) async fn cancel(&self, run: RunId) -> Result<v1::CancelRunResponse, Status> {
        let request = v1::CancelRunRequest { run_id: run.to_string() };
        Ok(self.submitter.cancel_run(Request::new(request)).await?.into_inner())
    }

    pub(crate) async fn delete(&self, run: RunId) -> Result<v1::DeleteRunResponse, Status> {
        let request = v1::DeleteRunRequest { run_id: run.to_string() };
        Ok(self.submitter.delete_run(Request::new(request)).await?.into_inner())
    }

    /// All runs that users are shown.
    pub(crate) async fn list(&self) -> BTreeSet<RunId> {
        let request = Request::new(v1::ListRunsRequest::default());
        let listed = self.submitter.list_runs(request).await.expect("listed").into_inner();
        listed.runs.iter().map(|run| run.run_id.parse().expect("a run id")).collect()
    }

    /// Puts a run into the store that no submitter would have accepted.
    pub(crate) async fn create(&self, id: RunId, pipeline: &'static [u8], steps: u32) {
        let submission = Submission {
            id,
            namespace: "default".into(),
            pipeline: "p".into(),
            labels: BTreeMap::default(),
            arguments_json: "{}".into(),
            digest: [0; 32],
            rerun_of: None,
            no_cache: false,
            priority: 0,
            steps,
        };
        let mut record = RunRecord::default();
        record.counts[StepState::Waiting as usize] = steps;
        let run = NewRun { submission, pipeline: pipeline.into(), record };
        self.store.create(run).await.expect("created");
    }

    /// Waits until a run has ended, and tells how.
    pub(crate) async fn end_of(&self, run: RunId) -> RunRecord {
        eventually("the run ends", async || {
            let (_, record) =
                self.store.read_record(run).await.expect("read").expect("it is there");
            record.state.is_final().then_some(record)
        })
        .await
    }

    /// How many partitions each scheduler holds, the fewest first.
    pub(crate) async fn shares(&self) -> Vec<usize> {
        self.shares_of("scheduler").await
    }

    /// How much each member of a group holds, the least first.
    pub(crate) async fn shares_of(&self, group: &str) -> Vec<usize> {
        let request = ShareRequest {
            group: group.into(),
            member: "nobody".into(),
            leaving: true,
            ttl: Duration::from_secs(1),
            acquire: Vec::new(),
            release: Vec::new(),
        };
        let shares = self.store.share(&request).await.expect("shared");
        let held = |member| shares.leases.values().filter(|holder| *holder == member).count();
        let mut counts: Vec<_> = shares.members.iter().map(held).collect();
        counts.sort_unstable();
        counts
    }

    pub(crate) async fn shares_become(&self, expected: &[usize]) {
        eventually("shares are fair", async || (self.shares().await == expected).then_some(()))
            .await;
    }
}

impl Service {
    /// Each service has threads of its own, so that it can die as a process does: with all it has started.
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        service: impl FnOnce(CancellationToken) -> F,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads are to be had");
        let stop = CancellationToken::new();
        let task = runtime.spawn(service(stop.clone()));
        Self { stop, task, runtime: Some(runtime) }
    }

    /// Ends it in order.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.expect("it ends well");
    }

    /// Ends it wherever it is.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A runtime whose attempts are on one host, and what it was told to remove.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    name: &'static str,
    simulated: SimulatedRuntime,
    found: Vec<AttemptKey>,
    removed: Arc<Mutex<Vec<RunId>>>,
}

impl Host {
    /// How often an attempt was created here.
    pub(crate) fn starts(&self, key: AttemptKey) -> u32 {
        self.simulated.starts(key)
    }

    /// The runs that were removed here, in order.
    pub(crate) fn removed(&self) -> Vec<RunId> {
        self.removed.lock().expect("nobody panics with it").clone()
    }
}

#[async_trait]
impl Runtime for Host {
    async fn start(&self, attempts: Vec<AttemptSpec>, wanted_at: Instant) -> Vec<AttemptKey> {
        self.simulated.start(attempts, wanted_at).await
    }

    async fn stop(&self, key: AttemptKey) {
        self.simulated.stop(key).await;
    }

    async fn probe(&self, key: AttemptKey) -> bool {
        self.simulated.probe(key).await
    }

    async fn remove(&self, run: RunId) {
        self.simulated.remove(run).await;
        self.removed.lock().expect("nobody panics with it").push(run);
    }

    fn holder(&self) -> Option<&str> {
        Some(self.name)
    }

    async fn known(&self) -> Vec<AttemptKey> {
        self.found.clone()
    }
}

/// Waits for what is to happen.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    waiting::eventually(PATIENCE, what, look).await
}

/// A scheduler's share that is renewed so seldom that only what it says itself moves it.
pub(crate) fn leased(member: &str, lease_time: Duration) -> Ownership {
    Ownership::Leased { member: member.to_owned(), lease_time }
}

/// Attempts that take some time and succeed.
pub(crate) fn taking(duration: Duration) -> Plan {
    Arc::new(move |_| SimulatedAttempt { duration, end: SimulatedEnd::Succeed(None) })
}

/// A first step, many beside each other, and a last one.
pub(crate) fn diamond(width: u32) -> v1::Pipeline {
    let name = |index| format!("s{index}");
    let mut steps = vec![step(&name(0), &[])];
    steps.extend((1..=width).map(|index| step(&name(index), &[name(0)])));
    let all: Vec<String> = (1..=width).map(name).collect();
    steps.push(step(&name(width + 1), &all));
    v1::Pipeline { name: "diamond".into(), steps, ..Default::default() }
}

pub(crate) fn step(name: &str, depends_on: &[String]) -> v1::Step {
    let task = v1::Task { command: vec!["true".into()], ..Default::default() };
    v1::Step {
        name: name.to_owned(),
        depends_on: depends_on.to_vec(),
        work: Some(Work::Task(Box::new(task))),
        ..Default::default()
    }
}

/// Asserts that each of the steps was started once, by one of the runtimes.
pub(crate) fn assert_started_once(runtimes: &[&SimulatedRuntime], run: RunId, steps: u32) {
    for step in 0..steps {
        let starts = |attempt| -> u32 {
            let key = AttemptKey { run, step, attempt };
            runtimes.iter().map(|runtime| runtime.starts(key)).sum()
        };
        assert_eq!((starts(1), starts(2)), (1, 0), "starts of the attempts of step {step}");
    }
}

/// Attempts that run until they are stopped.
pub(crate) fn hanging() -> Plan {
    Arc::new(|_| SimulatedAttempt { duration: Duration::ZERO, end: SimulatedEnd::Hang })
}
