//! Named limits among runs of several partitions and schedulers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use windlass_engine::{
    limits::LimitConfig,
    record::{RunState, StepIndex, StepRecord},
    time::Timestamp,
};
use windlass_proto::{
    id::RunId,
    v1::{self, step::Work},
};
use windlass_scheduler::Ownership;
use windlass_store::{Holder, LimitAsk, LimitRequest};

use crate::support::{Cluster, PARTITIONS, assert_started_once, eventually, leased, step, taking};

/// So often that what is lost is found again within a test.
const SWEEP: Duration = Duration::from_millis(200);

/// Steps beside each other, all with these limits.
fn limited(width: u32, limits: &[&str]) -> v1::Pipeline {
    let mut steps: Vec<_> = (0..width).map(|index| step(&format!("s{index}"), &[])).collect();
    for step in &mut steps {
        let Some(Work::Task(task)) = &mut step.work else { continue };
        task.limits = limits.iter().map(|limit| (*limit).to_owned()).collect();
    }
    v1::Pipeline { name: "limited".into(), steps, ..Default::default() }
}

/// The most of these steps that ran at once.
fn most_at_once<'a>(steps: impl Iterator<Item = &'a StepRecord>) -> i32 {
    let mut changes: BTreeMap<Timestamp, i32> = BTreeMap::new();
    for step in steps {
        // What began as another one ended did not run beside it.
        *changes.entry(step.started_at).or_default() += 1;
        *changes.entry(step.until).or_default() -= 1;
    }
    let running = changes.values().scan(0, |running, change| {
        *running += change;
        Some(*running)
    });
    running.max().unwrap_or(0)
}

async fn steps(cluster: &Cluster, run: RunId, count: u32) -> Vec<StepRecord> {
    let read = cluster.store.read_step_range(run, 0..count).await.expect("read");
    read.expect("it is there").1
}

async fn until_nothing_is_held(cluster: &Cluster) {
    eventually("all limits are given back", async || {
        let limits = cluster.store.read_limits("default").await.expect("read");
        limits.iter().all(|limit| limit.held == 0 && limit.waiting == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_all_partitions_keep_to_limits_also_while_schedulers_die() {
    let cluster = Cluster::new();
    let size = |size: u32| Some(LimitConfig { size: size.try_into().ok(), rate: None });
    cluster.store.set_limit("default", "two", size(2)).await.expect("set");
    let lease_time = Duration::from_millis(600);
    let scheduler = |name| cluster.sweeping_scheduler(leased(name, lease_time), SWEEP, None);
    let (first, second) = (scheduler("first"), scheduler("second"));
    cluster.shares_become(&[4, 4]).await;
    let (_launcher, runtime) = cluster.launcher(taking(Duration::from_millis(10)));
    let lists: [&[&str]; 3] = [&["one"], &["two"], &["one", "two"]];
    let mut runs = Vec::new();
    for at in 0..9 {
        runs.push((cluster.submit(limited(6, lists[at % 3])).await, lists[at % 3]));
    }
    first.kill();
    let mut by_limit: BTreeMap<&str, Vec<StepRecord>> = BTreeMap::new();
    for (run, limits) in &runs {
        assert_eq!(cluster.end_of(*run).await.state, RunState::Succeeded);
        assert_started_once(&[&runtime], *run, 6);
        for limit in *limits {
            by_limit.entry(limit).or_default().extend(steps(&cluster, *run, 6).await);
        }
    }
    assert_eq!(most_at_once(by_limit["one"].iter()), 1);
    assert_eq!(most_at_once(by_limit["two"].iter()), 2);
    until_nothing_is_held(&cluster).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_that_both_believe_they_own_everything_keep_to_limits() {
    let cluster = Cluster::new();
    let schedulers = [Ownership::All, Ownership::All]
        .map(|ownership| cluster.sweeping_scheduler(ownership, SWEEP, None));
    let (_launcher, runtime) = cluster.launcher(taking(Duration::from_millis(5)));
    let mut all = Vec::new();
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(cluster.submit(limited(8, &["one"])).await);
    }
    for run in runs {
        assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
        assert_started_once(&[&runtime], run, 8);
        all.extend(steps(&cluster, run, 8).await);
    }
    assert_eq!(most_at_once(all.iter()), 1);
    until_nothing_is_held(&cluster).await;
    for scheduler in schedulers {
        scheduler.stop().await;
    }
}

/// What a scheduler leaves behind that dies between the commit of an end and giving back.
#[tokio::test(flavor = "multi_thread")]
async fn what_ended_and_vanished_runs_hold_is_given_back() {
    let cluster = Cluster::new();
    let scheduler = cluster.sweeping_scheduler(Ownership::All, SWEEP, None);
    let (_launcher, _runtime) = cluster.launcher(taking(Duration::from_millis(1)));
    let ended = cluster.submit(limited(1, &[])).await;
    cluster.end_of(ended).await;
    let vanished: RunId = "run_0123456789abcdefghijklmnop".parse().expect("a run id");
    let limits: Arc<[Arc<str>]> = ["gpu".into()].into();
    let ask = |run| {
        let holder = Holder { run, step: StepIndex(0), attempt: 1 };
        LimitAsk { holder, limits: limits.clone() }
    };
    let holds = vec![ask(ended), ask(vanished)];
    let request = LimitRequest { holds, ..LimitRequest::default() };
    cluster.store.take_limits("default", &request).await.expect("held");
    let run = cluster.submit(limited(3, &["gpu"])).await;
    assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
    until_nothing_is_held(&cluster).await;
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_nobody_was_told_of_is_found_by_the_next_look() {
    let cluster = Cluster::new();
    let scheduler = cluster.sweeping_scheduler(Ownership::All, SWEEP, None);
    let (_launcher, _runtime) = cluster.launcher(taking(Duration::from_millis(1)));
    let limits: Arc<[Arc<str>]> = ["gpu".into()].into();
    // An attempt of a run that is there and has not ended, as far as anybody knows.
    let hanging = cluster
        .submit(v1::Pipeline { name: "h".into(), steps: vec![approval()], ..Default::default() })
        .await;
    let holder = Holder { run: hanging, step: StepIndex(0), attempt: 9 };
    let holds = vec![LimitAsk { holder, limits }];
    let request = LimitRequest { holds, ..LimitRequest::default() };
    cluster.store.take_limits("default", &request).await.expect("held");
    let run = cluster.submit(limited(1, &["gpu"])).await;
    eventually("it stands in line", async || {
        let limits = cluster.store.read_limits("default").await.expect("read");
        limits.iter().any(|limit| limit.waiting == 1).then_some(())
    })
    .await;
    // Somebody gives back, and dies before he tells who was granted what.
    let request = LimitRequest { releases: vec![holder], ..LimitRequest::default() };
    let answer = cluster.store.take_limits("default", &request).await.expect("given back");
    assert_eq!(answer.granted.len(), 1);
    assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
    assert_eq!(run.partition(PARTITIONS), answer.granted[0].run.partition(PARTITIONS));
    scheduler.stop().await;
}

fn approval() -> v1::Step {
    let work = Some(Work::Approval(v1::Approval::default()));
    v1::Step { name: "word".into(), work, ..Default::default() }
}
