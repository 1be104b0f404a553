//! Which runs start first where there is no room for all.

use std::time::Duration;

use windlass_engine::{
    limits::LimitConfig,
    record::{RunState, StepState},
    time::Timestamp,
};
use windlass_proto::{
    id::RunId,
    v1::{self, step::Work},
};
use windlass_scheduler::Ownership;

use crate::support::{Cluster, PARTITIONS, eventually, step, taking};

/// How many steps each run has.
const WIDTH: u32 = 60;

fn wide(priority: i32, limits: &[&str]) -> v1::Pipeline {
    let mut steps: Vec<_> = (0..WIDTH).map(|index| step(&format!("s{index}"), &[])).collect();
    for step in &mut steps {
        if let Some(Work::Task(task)) = &mut step.work {
            task.limits = limits.iter().map(|limit| (*limit).to_owned()).collect();
        }
    }
    v1::Pipeline { name: "wide".into(), steps, priority, ..Default::default() }
}

/// When the attempts of a run were ordered.
async fn orders(cluster: &Cluster, run: RunId) -> Vec<Timestamp> {
    let read = cluster.store.read_step_range(run, 0..WIDTH).await.expect("read");
    let (_, steps) = read.expect("it is there");
    let mut orders: Vec<_> =
        steps.iter().map(|step| step.queued_at).filter(|at| at.0 > 0).collect();
    orders.sort_unstable();
    orders
}

/// Of two runs, the one that came later has the higher priority, and lies in the same partition or not. While no launcher is
/// there, few of their steps are ordered.
async fn the_higher_priority_comes_first(in_one_partition: bool, limits: &[&str]) {
    let cluster = Cluster::new();
    let roomy = LimitConfig { size: 1_000_000.try_into().ok(), rate: None };
    cluster.store.set_limit("default", "roomy", Some(roomy)).await.expect("set");
    let scheduler = cluster.scheduler(Ownership::All);
    let low = cluster.submit(wide(0, limits)).await;
    let ordered_before = eventually("as many are ordered as launchers may leave", async || {
        let orders = orders(&cluster, low).await;
        (!orders.is_empty()).then_some(orders.len())
    })
    .await;
    assert!(ordered_before < WIDTH as usize / 2, "{ordered_before} are waited for by nobody");
    let high = loop {
        let high = cluster.submit(wide(500, &[])).await;
        let is_same = high.partition(PARTITIONS) == low.partition(PARTITIONS);
        if is_same == in_one_partition {
            break high;
        }
        cluster.cancel(high).await.expect("cancelled");
    };
    eventually("the scheduler knows of it", async || {
        let (_, record) = cluster.store.read_record(high).await.expect("read")?;
        (record.state == RunState::Running && record.count(StepState::Waiting) == 0).then_some(())
    })
    .await;
    let (_launcher, _runtime) = cluster.launcher(taking(Duration::from_millis(2)));
    for run in [low, high] {
        assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
    }
    let (low, high) = (orders(&cluster, low).await, orders(&cluster, high).await);
    let (first, last) = (low[ordered_before], high[high.len() - 1]);
    assert!(first >= last, "{first:?} was not to be before {last:?}");
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_higher_priority_overtakes_another_one_of_its_partition() {
    the_higher_priority_comes_first(true, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_higher_priority_overtakes_those_of_other_partitions() {
    the_higher_priority_comes_first(false, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_whose_limits_are_free_wait_for_room_like_others() {
    the_higher_priority_comes_first(true, &["roomy"]).await;
}
