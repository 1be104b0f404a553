//! Steps of several clusters, each with launchers of its own.

use std::{sync::Arc, time::Duration};

use windlass_bus::{Limits, MemoryBus};
use windlass_engine::record::{RunState, StepState};
use windlass_launcher::runtime::AttemptKey;
use windlass_proto::{
    id::RunId,
    v1::{self, step::Work},
};
use windlass_scheduler::Ownership;

use crate::support::{Cluster, Host, eventually, hanging, step, taking};

/// Steps beside each other, so many of each of two clusters: `a0`, `b0`, `a1`, `b1`, and so on.
fn beside(width: u32, [one, other]: [&str; 2]) -> v1::Pipeline {
    let mut steps = Vec::new();
    for index in 0..width {
        for (letter, cluster) in [("a", one), ("b", other)] {
            steps.push(of(cluster, &format!("{letter}{index}"), &[]));
        }
    }
    v1::Pipeline { name: "beside".into(), steps, ..Default::default() }
}

fn of(cluster: &str, name: &str, depends_on: &[String]) -> v1::Step {
    let mut step = step(name, depends_on);
    if let Some(Work::Task(task)) = &mut step.work {
        cluster.clone_into(&mut task.cluster);
    }
    step
}

/// How many of the steps at every second place, from the first or the second on, are in a state.
async fn count(cluster: &Cluster, run: RunId, first: usize, state: StepState) -> usize {
    let (view, _) = cluster.store.read_steps(run, &[]).await.expect("read").expect("it is there");
    let read = cluster.store.read_step_range(run, 0..view.step_count).await.expect("read");
    let steps = read.expect("it is there").1;
    steps.iter().skip(first).step_by(2).filter(|step| step.state == state).count()
}

fn starts(host: &Host, run: RunId, steps: impl Iterator<Item = u32>) -> u32 {
    steps.map(|step| host.starts(AttemptKey { run, step, attempt: 1 })).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_go_to_the_launchers_of_their_cluster_and_wait_for_nobody_elses() {
    let cluster = Cluster::new();
    let _scheduler = cluster.scheduler(Ownership::All);
    let (_launcher, cpu) = cluster.launcher_of("north", taking(Duration::ZERO));
    let run = cluster.submit(beside(100, ["", "gpu"])).await;
    eventually("the steps of the default cluster have ended", async || {
        (count(&cluster, run, 0, StepState::Succeeded).await == 100).then_some(())
    })
    .await;
    assert_eq!(count(&cluster, run, 1, StepState::Succeeded).await, 0);
    let explained = cluster.explain(run).await;
    let waits = explained.get("b0").expect("it waits").as_str();
    assert!(
        waits.starts_with("it waits for a launcher of cluster `gpu`, and none has been heard of"),
        "{waits}"
    );
    // One that is not ordered yet waits for the same.
    assert!(explained.values().all(|told| told == waits), "{explained:?}");
    let (_launcher, gpu) = cluster.launcher_in("gpu", "south", taking(Duration::ZERO));
    assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
    let of_cluster = |first| (first..200).step_by(2);
    assert_eq!((starts(&cpu, run, of_cluster(0)), starts(&cpu, run, of_cluster(1))), (100, 0));
    assert_eq!((starts(&gpu, run, of_cluster(0)), starts(&gpu, run, of_cluster(1))), (0, 100));
}

/// Also where other runs of the same partition wait for it, whatever their priority.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_one_cluster_is_not_held_up_by_what_waits_for_another_one() {
    let cluster = Cluster::new();
    let _scheduler = cluster.scheduler(Ownership::All);
    let (_launcher, _) = cluster.launcher_of("north", taking(Duration::ZERO));
    for _ in 0..20 {
        let mut away = beside(50, ["gpu", "gpu"]);
        away.priority = 1000;
        cluster.submit(away).await;
    }
    for _ in 0..4 {
        let run = cluster.submit(beside(50, ["default", ""])).await;
        assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_a_cluster_has_no_room_for_on_the_bus_wait_and_hold_up_nobody() {
    let limits = Limits { queue: 4, ..Limits::default() };
    let cluster = Cluster::on(Arc::new(MemoryBus::with_limits(limits)));
    let _scheduler = cluster.scheduler(Ownership::All);
    let mut waiting = Vec::new();
    for _ in 0..40 {
        waiting.push(cluster.submit(beside(1, ["gpu", "gpu"])).await);
    }
    let (_launcher, _) = cluster.launcher_of("north", taking(Duration::ZERO));
    let run = cluster.submit(beside(50, ["", ""])).await;
    assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
    let (_launcher, gpu) = cluster.launcher_in("gpu", "south", taking(Duration::ZERO));
    for run in waiting {
        assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
        assert_eq!(starts(&gpu, run, 0..2), 2);
    }
}

/// Stops are for whoever holds the attempt, and any launcher passes them on.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_reaches_the_launcher_of_another_cluster() {
    let cluster = Cluster::new();
    let _scheduler = cluster.scheduler(Ownership::All);
    let (_launcher, _) = cluster.launcher_of("north", hanging());
    let (_launcher, _) = cluster.launcher_in("gpu", "south", hanging());
    let run = cluster.submit(beside(5, ["", "gpu"])).await;
    eventually("all run", async || {
        let running = [0, 1].map(|first| count(&cluster, run, first, StepState::Running));
        let [one, other] = running;
        (one.await + other.await == 10).then_some(())
    })
    .await;
    cluster.cancel(run).await.expect("cancelled");
    assert_eq!(cluster.end_of(run).await.state, RunState::Cancelled);
}
