//! The control plane itself ends, stays away, and forgets. Each test has one of its own.

use std::time::Duration;

use super::support::{Ground, own_control_plane, wide};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_killed_stays_away_and_comes_back_costs_time_alone() {
    let Some(kubernetes) = own_control_plane().await else { return };
    let ground = Ground::on(&kubernetes).await;
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(wide(40, &[("run-for", "1s")])).await;
    eventually("some have started", async || (ground.started(run) >= 10).then_some(())).await;
    kubernetes.stop_apiserver();
    // Longer than a command may wait for its creates: it is handed back and taken again meanwhile.
    tokio::time::sleep(Duration::from_secs(30)).await;
    kubernetes.start_apiserver().await;
    ground.succeeds(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_are_compacted_away_are_listed_anew() {
    let Some(kubernetes) = own_control_plane().await else { return };
    let ground = Ground::on(&kubernetes).await;
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(wide(20, &[("run-for", "3s")])).await;
    eventually("all have started", async || (ground.started(run) == 20).then_some(())).await;
    kubernetes.stop_apiserver();
    kubernetes.compact().await;
    kubernetes.start_apiserver().await;
    ground.succeeds(run).await;
}
