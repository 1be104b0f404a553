//! Steps in pods: several launchers of one cluster, and what becomes of runs when a launcher, a scheduler or a server is killed
//! while pods are there. The control plane is real, its nodes are played, and they count what they start.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use futures::{StreamExt as _, future::join_all};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::json;
use windlass_pipeline::file;
use windlass_proto::v1::{self, AttemptState, RunState, step::Work, wait::Cause};
use windlass_servers::{FakeNodes, Kubernetes};

use crate::deployment::{Deployment, Kind, Program, eventually, submit, until_ended};

/// How many steps of a run are beside each other.
const WIDTH: u32 = 8;

/// How many runs there are.
const RUNS: usize = 3;

/// How many attempts have been started when it happens: some of each run, and not half of all.
const STARTED: usize = 10;

/// How often a place is passed before the launcher is killed there.
const PASSES: u32 = 2;

/// An installation whose launchers make pods, in a namespace of its own.
pub(crate) struct Stand {
    pub(crate) deployment: Deployment,
    pub(crate) namespace: String,
    nodes: &'static FakeNodes,
    pub(crate) submitter: Program,
    scheduler: Program,
}

impl Stand {
    /// None where there are no programs of Kubernetes.
    pub(crate) async fn start() -> Option<Self> {
        if Kubernetes::is_missing() {
            return None;
        }
        let namespace = Kubernetes::shared().await.namespace().await;
        Some(Self::in_namespace(namespace).await)
    }

    /// The same installation made anew: on servers that have nothing, and where this one has its pods.
    pub(crate) async fn anew(&self) -> Self {
        Self::in_namespace(self.namespace.clone()).await
    }

    async fn in_namespace(namespace: String) -> Self {
        let kubernetes = Kubernetes::shared().await;
        let (deployment, nodes) = tokio::join!(Deployment::start(), kubernetes.fake_nodes());
        let (submitter, scheduler) = tokio::join!(
            deployment.program(Kind::Submitter),
            deployment.program_with(Kind::Scheduler, &["scheduler.lease_time=1s"], &[]),
        );
        let stand = Self { deployment, namespace, nodes, submitter, scheduler };
        stand.come_with(&kubernetes.kubeconfig());
        stand
    }

    /// Has launchers that are started from now on come to the API server with this configuration.
    pub(crate) fn come_with(&self, kubeconfig: &Path) {
        let text = clusters(kubeconfig, &self.namespace);
        fs::write(self.clusters_file(), text).expect("the file is written");
    }

    /// Has launchers that run find this in the section of their cluster, too.
    async fn add_to_clusters(&self, keys: &str) {
        let kubeconfig = Kubernetes::shared().await.kubeconfig();
        let text = clusters(&kubeconfig, &self.namespace) + keys;
        fs::write(self.clusters_file(), text).expect("the file is written");
    }

    pub(crate) fn clusters_file(&self) -> PathBuf {
        self.deployment.file("clusters.toml")
    }

    /// A launcher, ready, with further variables.
    async fn launcher_with(&self, environment: &[(&str, &str)]) -> Program {
        let file = format!("launcher.clusters_file={}", self.clusters_file().display());
        let settings = ["launcher.runtime=kubernetes", &file];
        self.deployment.program_with(Kind::Launcher, &settings, environment).await
    }

    pub(crate) async fn launchers(&self, count: usize) -> Vec<Program> {
        join_all((0..count).map(|_| self.launcher_with(&[]))).await
    }

    pub(crate) async fn submit(&self) -> Vec<String> {
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            runs.push(submit(&self.submitter, &diamond()).await);
        }
        runs
    }

    /// How often each attempt of these runs was started.
    fn starts(&self, runs: &[String]) -> BTreeMap<[String; 3], u32> {
        let all = self.nodes.attempt_starts().into_iter();
        all.filter(|(it, _)| runs.contains(&it.run))
            .map(|(it, count)| ([it.run, it.step, it.attempt], count))
            .collect()
    }

    async fn until_started(&self, runs: &[String], count: usize) {
        eventually(&format!("{count} attempts are started"), async || {
            (self.starts(runs).len() >= count).then_some(())
        })
        .await;
    }

    /// Asserts that runs end as where nothing goes wrong: each step is done by its first attempt, which was started once.
    pub(crate) async fn are_undisturbed(&self, runs: &[String]) {
        for run_id in runs {
            let run = until_ended(&self.submitter, run_id).await;
            assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
        }
        for run_id in runs {
            assert_eq!(self.failures(run_id).await, Vec::<String>::new());
        }
        let once = |run: &String| {
            let run = run.clone();
            (0..WIDTH + 2).map(move |step| ([run.clone(), format!("s{step}"), "1".to_owned()], 1))
        };
        assert_eq!(self.starts(runs), runs.iter().flat_map(once).collect());
    }

    /// What went wrong with attempts of a run whose steps have succeeded.
    async fn failures(&self, run_id: &str) -> Vec<String> {
        let mut failures = Vec::new();
        for step in 0..WIDTH + 2 {
            let step = format!("s{step}");
            let request =
                v1::ListAttemptsRequest { run_id: run_id.to_owned(), step, ..Default::default() };
            let attempts = self.submitter.runs().list_attempts(request).await.expect("listed");
            let failed = attempts.into_inner().attempts.into_iter();
            let failed = failed.filter(|it| it.state() != AttemptState::Succeeded);
            failures.extend(failed.map(|it| format!("{:?}: {}", it.reason(), it.message)));
        }
        failures
    }

    /// Has runs do their work on three launchers, lets something happen in their midst, and asserts that no run is disturbed
    /// by it and no launcher has ended.
    async fn is_undisturbed_by(&self, fault: impl AsyncFnOnce()) {
        let launchers = self.launchers(3).await;
        let runs = self.submit().await;
        self.until_started(&runs, STARTED).await;
        fault().await;
        self.are_undisturbed(&runs).await;
        for launcher in &launchers {
            assert!(!launcher.has_ended(), "a launcher has ended");
            launcher.until_ready().await;
        }
    }
}

/// A clusters file with one cluster.
pub(crate) fn clusters(kubeconfig: &Path, namespace: &str) -> String {
    format!(
        "[clusters.default]\nkubeconfig = \"{}\"\nnamespace = \"{namespace}\"\n",
        kubeconfig.display()
    )
}

/// A first step, many beside each other, and a last one, each of which takes a moment.
fn diamond() -> v1::Pipeline {
    let name = |index| format!("s{index}");
    let mut steps = vec![step(&name(0), Vec::new())];
    steps.extend((1..=WIDTH).map(|index| step(&name(index), vec![name(0)])));
    steps.push(step(&name(WIDTH + 1), (1..=WIDTH).map(name).collect()));
    v1::Pipeline { name: "diamond".into(), steps, ..Default::default() }
}

/// A step that takes a moment.
fn step(name: &str, depends_on: Vec<String>) -> v1::Step {
    step_that(("fake/run-for", "500ms"), name, depends_on)
}

/// A step whose pod does as its annotation says.
pub(crate) fn step_that(
    (key, value): (&str, &str),
    name: &str,
    depends_on: Vec<String>,
) -> v1::Step {
    let pod = v1::Pod {
        annotations: [(key.to_owned(), value.to_owned())].into(),
        node_selector: [("type".to_owned(), "fake".to_owned())].into(),
        ..Default::default()
    };
    let task = v1::Task {
        command: vec!["true".into()],
        image: "example.com/work:1".into(),
        pod: Some(Box::new(pod)),
        ..Default::default()
    };
    v1::Step {
        name: name.to_owned(),
        depends_on,
        work: Some(Work::Task(Box::new(task))),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn launchers_of_one_cluster_do_the_work_together() {
    let Some(stand) = Stand::start().await else { return };
    stand.is_undisturbed_by(async || {}).await;
}

/// Has a launcher that is alone be killed where it passes a place, and two others take over.
async fn survives(place: &str) {
    let Some(stand) = Stand::start().await else { return };
    let fail_point = format!("{place}:{PASSES}");
    let doomed = stand.launcher_with(&[("WINDLASS_FAIL_POINT", &fail_point)]).await;
    let runs = stand.submit().await;
    let killed = async || doomed.has_ended().then_some(());
    eventually(&format!("the launcher is killed at {place}"), killed).await;
    let _heirs = stand.launchers(2).await;
    stand.are_undisturbed(&runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_may_be_killed_between_a_command_and_its_pods() {
    let places = ["fetched", "claimed", "created"];
    join_all(places.map(async |it| survives(&format!("launcher.{it}")).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_may_be_killed_between_pods_and_what_is_told_of_them() {
    let places = ["started", "acked", "reporting", "reported"];
    join_all(places.map(async |it| survives(&format!("launcher.{it}")).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_launchers_is_killed_while_pods_run() {
    let Some(stand) = Stand::start().await else { return };
    let doomed = stand.launcher_with(&[]).await;
    stand.is_undisturbed_by(async || doomed.kill()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_is_killed_while_pods_run() {
    let Some(stand) = Stand::start().await else { return };
    let mut heir = None;
    stand
        .is_undisturbed_by(async || {
            stand.scheduler.kill();
            let settings = ["scheduler.lease_time=1s"];
            heir = Some(stand.deployment.program_with(Kind::Scheduler, &settings, &[]).await);
        })
        .await;
    assert!(heir.is_some_and(|heir| !heir.has_ended()));
}

/// Waits until all of these have told of something, and asserts that each has told it once.
async fn until_told(launchers: &[Program], words: &str) {
    for launcher in launchers {
        let told = async || {
            let count = launcher.log().matches(words).count();
            (count > 0).then_some(count)
        };
        assert_eq!(eventually(&format!("it tells of {words}"), told).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn launching_is_switched_off_and_on_in_the_clusters_file_while_launchers_run() {
    let Some(stand) = Stand::start().await else { return };
    // So few that there is much left to do when the file is read again.
    stand.add_to_clusters("live_pods = 4\n").await;
    let launchers = stand.launchers(2).await;
    let runs = [stand.submit().await, stand.submit().await, stand.submit().await].concat();
    stand.until_started(&runs, 4).await;
    stand.add_to_clusters("live_pods = 4\nlaunching = false\n").await;
    until_told(&launchers, "launching from true to false").await;
    stand.add_to_clusters("live_pods = 4\nlaunching = \"yes\"\n").await;
    until_told(&launchers, "will not do").await;
    let pods: Api<Pod> = Api::namespaced(Kubernetes::shared().await.client(), &stand.namespace);
    eventually("no pod lives", async || {
        let pods = pods.list(&ListParams::default()).await.ok()?.items.into_iter();
        let phases = pods.filter_map(|pod| pod.status?.phase);
        phases.into_iter().all(|phase| phase == "Succeeded").then_some(())
    })
    .await;
    let started = stand.starts(&runs);
    fs::remove_file(stand.clusters_file()).expect("removed");
    until_told(&launchers, "cannot be read").await;
    for launcher in &launchers {
        launcher.until_ready().await;
    }
    assert_eq!(stand.starts(&runs), started, "a pod was created where none may be");
    assert!(started.len() < runs.len() * (WIDTH as usize + 2), "all was over before");
    stand.add_to_clusters("live_pods = 40\n").await;
    until_told(&launchers, "launching from false to true, live_pods from 4 to 40").await;
    stand.are_undisturbed(&runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_is_killed_and_loses_all_it_has_while_pods_run() {
    let Some(stand) = Stand::start().await else { return };
    let nats = &stand.deployment.nats;
    stand
        .is_undisturbed_by(async || {
            nats.restart().await;
            nats.wipe().await;
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn valkey_is_killed_while_pods_run() {
    let Some(stand) = Stand::start().await else { return };
    let redis = &stand.deployment.redis;
    stand
        .is_undisturbed_by(async || {
            redis.kill();
            redis.start_again().await;
        })
        .await;
}

/// As many live pods as there are shards of them.
const LIVE_PODS: u32 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn two_launchers_tell_what_attempts_wait_for_and_one_that_is_left_tells_it_alone() {
    let Some(stand) = Stand::start().await else { return };
    let text = fs::read_to_string(stand.clusters_file()).expect("it is read");
    let text = format!("{text}live_pods = {LIVE_PODS}\n");
    fs::write(stand.clusters_file(), text).expect("the file is written");
    let launchers = stand.launchers(2).await;
    let steps = (0..=LIVE_PODS).map(|index| {
        let mut homeless = step(&format!("s{index}"), Vec::new());
        let Some(Work::Task(task)) = &mut homeless.work else { panic!("it is a task") };
        let pod = task.pod.get_or_insert_default();
        pod.node_selector.insert("type".to_owned(), "unheard-of".to_owned());
        homeless
    });
    let pipeline = v1::Pipeline { name: "p".into(), steps: steps.collect(), ..Default::default() };
    let run = submit(&stand.submitter, &pipeline).await;
    stand.until_all_is_told(&run).await;
    assert_eq!(launchers[0].end().await, Some(0));
    stand.until_all_is_told(&run).await;
}

impl Stand {
    /// Waits until it is told of each step of a run whose pod exists that it finds no node, and of the others that as many pods live as may.
    async fn until_all_is_told(&self, run: &str) {
        let full = v1::LivePodsWait {
            limit: LIVE_PODS,
            share: LIVE_PODS,
            live: LIVE_PODS,
            ..Default::default()
        };
        eventually("all is told", async || {
            let request = v1::ExplainRunRequest { run_id: run.to_owned(), ..Default::default() };
            let explained = self.submitter.runs().explain_run(request).await.ok()?.into_inner();
            let obstacles = explained.steps.into_iter().flat_map(|it| it.obstacles);
            let causes: Vec<_> = obstacles.filter_map(|it| it.wait?.cause).collect();
            let is_unplaced =
                |it: &&Cause| matches!(it, Cause::Pod(pod) if pod.reason == "Unschedulable");
            let unplaced = causes.iter().filter(is_unplaced).count() as u32;
            let waiting = causes.iter().filter(|it| **it == Cause::LivePods(full.clone())).count();
            ((unplaced, waiting) == (LIVE_PODS, 1)).then_some(())
        })
        .await;
    }
}

/// What a program has that nobody else may have.
const SECRET: &str = "correct-horse-battery-staple";

/// What everybody may see, and is found where the other one is looked for.
const PLAIN: &str = "ordinary-donkey-charger-clip";

/// A pipeline whose only step has both.
fn with_a_secret() -> v1::Pipeline {
    let text = format!(
        "name: p\nsteps:\n  a:\n    image: example.com/work:1\n    env: {{TOKEN: \"{{{{ vault.token }}}}\", PLAIN: {PLAIN}}}\n    \
         pod: {{node_selector: {{type: fake}}}}\n"
    );
    file::parse(text.as_bytes(), &file::FileOptions::default()).expect("it is lawful")
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_secret_has_is_neither_on_the_bus_nor_in_the_store() {
    let Some(stand) = Stand::start().await else { return };
    let secret = json!({"metadata": {"name": "vault"}, "stringData": {"token": SECRET}});
    let secret: Secret = serde_json::from_value(secret).expect("a secret");
    let secrets = Api::namespaced(Kubernetes::shared().await.client(), &stand.namespace);
    secrets.create(&PostParams::default(), &secret).await.expect("made");
    let listener = async_nats::connect(stand.deployment.nats.url()).await.expect("connected");
    let mut all = listener.subscribe(">").await.expect("subscribed");
    listener.flush().await.expect("NATS has heard of it");
    let launcher = stand.launcher_with(&[]).await;
    let run = submit(&stand.submitter, &with_a_secret()).await;
    let ended = until_ended(&stand.submitter, &run).await;
    assert_eq!(ended.state(), RunState::Succeeded, "{ended:?}");
    // All that was sent before has come when they have ended.
    for program in [&launcher, &stand.scheduler, &stand.submitter] {
        assert_eq!(program.end().await, Some(0));
        assert!(!has(program.log().as_bytes(), SECRET), "the {:?} tells it", program.kind);
    }
    listener.drain().await.expect("drained");
    let mut sent = Vec::new();
    while let Some(message) = all.next().await {
        sent.extend_from_slice(&message.payload);
        sent.push(0);
    }
    let stored = files_below(stand.deployment.redis.directory());
    assert!(has(&sent, &run), "what is sent was looked at");
    assert!(has(&stored, PLAIN), "what is stored was looked at");
    assert!(!has(&sent, SECRET), "it is on the bus");
    assert!(!has(&stored, SECRET), "it is in the store");
}

/// All that is in the files below a directory.
fn files_below(directory: &Path) -> Vec<u8> {
    let entries = fs::read_dir(directory).expect("it is read").map(|it| it.expect("it is read"));
    let contents = entries.map(|entry| match entry.path() {
        path if path.is_dir() => files_below(&path),
        path => fs::read(path).expect("it is read"),
    });
    contents.flatten().collect()
}
