//! Servers that are started again, away for a while, emptied, or set back.

use std::time::Duration;

use tokio::time::sleep;

use crate::{crew::Crew, deployment::Deployment};

/// How long a server is away: long enough that everything under way meanwhile has failed at least once.
const AWAY: Duration = Duration::from_secs(3);

/// So long that connections, requests and leases have all run out.
const LONG_AWAY: Duration = Duration::from_secs(30);

async fn nats_is_away_for(time: Duration) {
    let deployment = Deployment::start().await;
    let crew = Crew::start(&deployment).await;
    crew.is_undisturbed_by(&deployment, async || {
        deployment.nats.kill();
        sleep(time).await;
        deployment.nats.start_again().await;
    })
    .await;
}

async fn redis_is_away_for(time: Duration) {
    let deployment = Deployment::start().await;
    let crew = Crew::start(&deployment).await;
    crew.is_undisturbed_by(&deployment, async || {
        deployment.redis.kill();
        sleep(time).await;
        deployment.redis.start_again().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_is_killed_and_started_again_at_once() {
    nats_is_away_for(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_is_away_for_a_while() {
    nats_is_away_for(AWAY).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: run by ./check soak"]
async fn nats_is_away_for_long() {
    nats_is_away_for(LONG_AWAY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_loses_all_it_has() {
    let deployment = Deployment::start().await;
    let crew = Crew::start(&deployment).await;
    crew.is_undisturbed_by(&deployment, async || deployment.nats.wipe().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_started_again_at_once() {
    redis_is_away_for(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_away_for_a_while() {
    redis_is_away_for(AWAY).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: run by ./check soak"]
async fn redis_is_away_for_long() {
    redis_is_away_for(LONG_AWAY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_loses_its_latest_second() {
    let deployment = Deployment::start().await;
    let crew = Crew::start(&deployment).await;
    crew.is_undisturbed_by(&deployment, async || {
        let saved = deployment.redis.save_state();
        sleep(Duration::from_secs(1)).await;
        deployment.redis.set_back(&saved).await;
    })
    .await;
}
