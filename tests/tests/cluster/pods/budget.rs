//! What may be asked of a cluster changes while launchers serve it.

use std::{
    fs,
    os::unix,
    path::{Path, PathBuf},
    sync::Arc,
};

use kube::ResourceExt as _;
use windlass_cluster::{Clusters, DEFAULT_CLUSTER};
use windlass_engine::record::{RunState, StepState};
use windlass_launcher::{
    clusters_file::{ClustersFile, News},
    runtime::kubernetes::{Budget, KubernetesRuntime},
};
use windlass_pod::label;

use super::support::{BUDGET, Ground, phase_of, wide};
use crate::support::{PARTITIONS, Service, eventually};

/// Two launchers of one cluster.
struct Pair {
    budget: Budget,
    runtimes: [Arc<KubernetesRuntime>; 2],
    _services: [Service; 2],
}

impl Pair {
    async fn within(ground: &Ground<'_>, budget: Budget) -> Self {
        let (first, one) = ground.launcher_and_runtime(budget).await;
        let (second, other) = ground.launcher_and_runtime(budget).await;
        // A pod that is removed while it passes from one to the other is told by a sweep alone, and there is none here.
        let half = PARTITIONS as usize / 2;
        eventually("each looks after half of the pods", async || {
            (ground.cluster.shares_of("pods.default").await == [half; 2]).then_some(())
        })
        .await;
        Self { budget, runtimes: [one, other], _services: [first, second] }
    }

    fn change(&mut self, change: impl FnOnce(&mut Budget)) {
        change(&mut self.budget);
        for runtime in &self.runtimes {
            runtime.set_budget(self.budget);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn launching_is_switched_off_and_on_in_the_middle_of_runs() {
    let Some(ground) = Ground::shared().await else { return };
    let mut launchers = Pair::within(&ground, Budget { live_pods: 12, ..BUDGET }).await;
    let lasting = ground.cluster.submit(wide(2, &[("run-for", "10s")])).await;
    let endless = ground.cluster.submit(wide(2, &[("run", "forever")])).await;
    ground.until_pods(4, "Running").await;
    let many = ground.cluster.submit(wide(60, &[("run-for", "200ms")])).await;
    eventually("some have started", async || (ground.started(many) >= 15).then_some(())).await;
    launchers.change(|budget| budget.launching = false);

    // What lives is stopped, watched and judged as before.
    ground.cluster.cancel(endless).await.expect("taken");
    assert_eq!(ground.cluster.end_of(endless).await.state, RunState::Cancelled);
    let sent = eventually("what was begun has ended", async || {
        let sent = ground.creates();
        let succeeded = ground.count(many, StepState::Succeeded).await;
        (sent == u64::from(succeeded) + 4).then_some(sent)
    })
    .await;
    ground.succeeds(lasting).await;
    assert_eq!(ground.creates(), sent, "a pod was created where none may be");
    assert!(sent < 64, "all was over before");

    launchers.change(|budget| budget.launching = true);
    ground.succeeds(many).await;
    assert_eq!((ground.started(many), ground.creates()), (60, 64));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_live_pods_is_raised_and_lowered_while_pods_live() {
    let Some(ground) = Ground::shared().await else { return };
    let mut launchers = Pair::within(&ground, Budget { live_pods: 5, ..BUDGET }).await;
    let endless = ground.cluster.submit(wide(12, &[("run", "forever")])).await;
    ground.until_pods(5, "Running").await;
    launchers.change(|budget| budget.live_pods = 12);
    ground.until_pods(12, "Running").await;

    launchers.change(|budget| budget.live_pods = 3);
    let short = ground.cluster.submit(wide(9, &[("run-for", "200ms")])).await;
    eventually("its steps wait", async || {
        (ground.count(short, StepState::Queued).await > 0).then_some(())
    })
    .await;
    assert_eq!((ground.until_pods(12, "Running").await.len(), ground.started(short)), (12, 0));
    ground.cluster.cancel(endless).await.expect("taken");
    let mut most = 0;
    eventually("the run ends", async || {
        let pods = ground.pods().await;
        let id = short.to_string();
        let living = pods.iter().filter(|pod| {
            pod.labels().get(label::RUN) == Some(&id)
                && matches!(phase_of(pod), "Pending" | "Running")
        });
        most = most.max(living.count());
        (ground.count(short, StepState::Succeeded).await == 9).then_some(())
    })
    .await;
    assert!((1..=3).contains(&most), "{most} pods lived at once");
    ground.succeeds(short).await;
    assert_eq!(ground.cluster.end_of(endless).await.state, RunState::Cancelled);
    ground.assert_started_at_most_once(endless);
}

/// A directory like that of a mounted `ConfigMap`: the file is a link through a link that is exchanged.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn with(text: &str) -> Self {
        let mounted = Self(tempfile::tempdir().expect("a directory"));
        mounted.exchange("first", text);
        unix::fs::symlink("data/clusters.toml", mounted.file()).expect("linked");
        mounted
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("clusters.toml")
    }

    fn exchange(&self, version: &str, text: &str) {
        let dir = self.0.path();
        fs::create_dir(dir.join(version)).expect("made");
        fs::write(dir.join(version).join("clusters.toml"), text).expect("written");
        unix::fs::symlink(Path::new(version), dir.join("next")).expect("linked");
        fs::rename(dir.join("next"), dir.join("data")).expect("exchanged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_will_not_do_changes_nothing_and_the_next_one_that_will_counts() {
    let Some(ground) = Ground::shared().await else { return };
    let mounted = Mounted::with("[clusters.default]\nlive_pods = 2\n");
    let clusters = Clusters::read(Some(&mounted.file())).expect("it will do");
    let begun = clusters.get(DEFAULT_CLUSTER).expect("it is there").clone();
    let mut launchers = Pair::within(&ground, Budget::from(&begun)).await;
    let mut file = ClustersFile::new(mounted.file(), begun);
    let run = ground.cluster.submit(wide(6, &[("run", "forever")])).await;
    ground.until_pods(2, "Running").await;

    mounted.exchange("broken", "[clusters.default]\nlive_pods = 0\nlaunch = false\n");
    let News::Trouble(problems) = file.next().await else { panic!("it will do") };
    for key in ["clusters.default.live_pods", "clusters.default.launch"] {
        assert!(problems.contains(&format!("`{key}`")), "{problems}");
    }
    mounted.exchange("whole", "[clusters.default]\nlive_pods = 6\nnamespace = \"other\"\n");
    let News::Budget { changes, budget } = file.next().await else { panic!("nothing changed") };
    assert_eq!(
        changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["live_pods from 2 to 6"]
    );
    let News::Restart(changes) = file.next().await else { panic!("it is not told") };
    assert_eq!(
        changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["namespace from none to \"other\""]
    );
    assert_eq!(ground.creates(), 2);

    launchers.change(|it| *it = budget);
    ground.until_pods(6, "Running").await;
    ground.cluster.cancel(run).await.expect("taken");
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Cancelled);
    ground.assert_started_at_most_once(run);
}
