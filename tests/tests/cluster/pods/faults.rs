//! Launchers that die, and an API server that answers badly, late, or not at all.

use std::time::Duration;

use windlass_engine::record::RunState;
use windlass_servers::{Fault, Rule, Verb};

use super::support::{Ground, pipeline, step, wide};
use crate::support::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_that_dies_at_any_time_is_replaced_and_nothing_runs_twice() {
    let Some(ground) = Ground::shared().await else { return };
    let run = ground.cluster.submit(wide(60, &[("run-for", "300ms")])).await;
    for started in [1, 20, 45] {
        let launcher = ground.launcher();
        eventually("some have started", async || (ground.started(run) >= started).then_some(()))
            .await;
        launcher.kill();
    }
    let _launcher = ground.launcher();
    ground.succeeds(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn launchers_share_the_work_and_one_that_ends_hands_over_its_part() {
    let Some(ground) = Ground::shared().await else { return };
    let first = ground.launcher();
    let _second = ground.launcher();
    let run = ground.cluster.submit(wide(40, &[("run-for", "1s")])).await;
    eventually("half have started", async || (ground.started(run) >= 20).then_some(())).await;
    first.stop().await;
    ground.succeeds(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_launchers_that_both_hold_all_shards_create_nothing_twice() {
    let Some(ground) = Ground::shared().await else { return };
    // Each knows itself alone, as where leases have failed.
    let _first = ground.launcher_with(|config| config.cluster = "default".into());
    let _second = ground.launcher_with(|config| config.cluster = "default-too".into());
    let run = ground.cluster.submit(wide(40, &[("run-for", "200ms")])).await;
    ground.succeeds(run).await;
}

/// Has a chain and a wide run succeed while the API server does so.
async fn survive(ground: &Ground<'_>) {
    let chain = pipeline((0..4).map(|number| {
        let before = format!("s{}", number - 1);
        let waits: &[&str] = if number == 0 { &[] } else { &[&before] };
        step(&format!("s{number}"), waits, &[])
    }));
    let chain = ground.cluster.submit(chain).await;
    let wide = ground.cluster.submit(wide(30, &[("run-for", "100ms")])).await;
    ground.succeeds(chain).await;
    ground.succeeds(wide).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_for_too_much_work_and_errors_are_outlasted() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let gate = &ground.gate;
    gate.add(Rule::new(Fault::TooManyRequests { retry_after: 1 }).verb(Verb::Create).percent(20));
    gate.add(Rule::new(Fault::Code(500)).percent(20));
    gate.add(Rule::new(Fault::Code(503)).verb(Verb::Watch).percent(50));
    survive(&ground).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_that_were_followed_and_not_answered_are_not_done_twice() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let gate = &ground.gate;
    gate.add(Rule::new(Fault::LostReply).verb(Verb::Create).percent(40));
    gate.add(Rule::new(Fault::LostRequest).verb(Verb::Create).percent(20));
    gate.add(Rule::new(Fault::LostReply).verb(Verb::Delete).percent(40));
    survive(&ground).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_takes_two_seconds_for_each_answer_slows_runs_down_and_no_more() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    ground.gate.delay(Duration::from_secs(2));
    survive(&ground).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn watches_that_are_cut_miss_nothing() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(wide(40, &[("run-for", "500ms")])).await;
    for started in [1, 10, 20, 30, 40] {
        eventually("some have started", async || (ground.started(run) >= started).then_some(()))
            .await;
        ground.gate.cut();
    }
    ground.succeeds(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_nobody_ever_answers_are_given_up_and_sent_again() {
    let Some(ground) = Ground::shared().await else { return };
    ground.gate.add(Rule::new(Fault::Silence).verb(Verb::Create).times(5));
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(wide(20, &[])).await;
    ground.succeeds(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_falls_silent_is_begun_anew() {
    let Some(ground) = Ground::shared().await else { return };
    ground.gate.add(Rule::new(Fault::Silence).verb(Verb::Watch).times(1));
    let _launcher = ground.launcher();
    let run = ground.cluster.submit(wide(5, &[])).await;
    ground.succeeds(run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_reaches_pods_whose_creates_nobody_answered() {
    let Some(ground) = Ground::shared().await else { return };
    let _launcher = ground.launcher();
    ground.gate.add(Rule::new(Fault::LostReply).verb(Verb::Create));
    let run = ground.cluster.submit(wide(5, &[("run", "forever")])).await;
    ground.until_pods(5, "Running").await;
    ground.cluster.cancel(run).await.expect("taken");
    assert_eq!(ground.cluster.end_of(run).await.state, RunState::Cancelled);
    ground.until_no_pods().await;
}
