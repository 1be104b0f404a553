//! Who serves what, and that it does not matter for what comes out.

use std::time::Duration;

use windlass_engine::record::RunState;
use windlass_scheduler::Ownership;

use crate::support::{Cluster, assert_started_once, diamond, leased, taking};

/// So long that nothing in a test can be due to its end.
const FOR_EVER: Duration = Duration::from_hours(1);

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_that_both_believe_they_own_everything_start_every_attempt_once() {
    let cluster = Cluster::new();
    let schedulers = [cluster.scheduler(Ownership::All), cluster.scheduler(Ownership::All)];
    let (_launcher, runtime) = cluster.launcher(taking(Duration::from_millis(3)));
    let mut runs = Vec::new();
    for _ in 0..10 {
        runs.push(cluster.submit(diamond(30)).await);
    }
    for run in runs {
        assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
        assert_started_once(&[&runtime], run, 32);
    }
    for scheduler in schedulers {
        scheduler.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_comes_or_goes_in_order_moves_partitions_at_once() {
    let cluster = Cluster::new();
    let first = cluster.scheduler(leased("first", FOR_EVER));
    cluster.shares_become(&[8]).await;
    let second = cluster.scheduler(leased("second", FOR_EVER));
    cluster.shares_become(&[4, 4]).await;
    let third = cluster.scheduler(leased("third", FOR_EVER));
    cluster.shares_become(&[2, 3, 3]).await;
    first.stop().await;
    cluster.shares_become(&[4, 4]).await;
    third.stop().await;
    cluster.shares_become(&[8]).await;
    second.stop().await;
    cluster.shares_become(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_scheduler_served_goes_on_with_another_one_after_its_lease() {
    let cluster = Cluster::new();
    let lease_time = Duration::from_millis(600);
    let first = cluster.scheduler(leased("first", lease_time));
    let second = cluster.scheduler(leased("second", lease_time));
    cluster.shares_become(&[4, 4]).await;
    let (_launcher, runtime) = cluster.launcher(taking(Duration::from_millis(50)));
    let mut runs = Vec::new();
    for _ in 0..8 {
        runs.push(cluster.submit(diamond(20)).await);
    }
    first.kill();
    for run in runs {
        assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
        assert_started_once(&[&runtime], run, 22);
    }
    cluster.shares_become(&[8]).await;
    second.stop().await;
}
