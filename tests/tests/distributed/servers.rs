//! Servers that are started again, away for a while, emptied, or set back.

use std::time::Duration;

use tokio::time::sleep;
use windlass_proto::v1::{self, Reason, RunState};

use crate::{
    crew::Crew,
    deployment::{Deployment, Kind, Program, eventually, submit, until_ended},
    work::Ledger,
};

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

/// An empty store in the place of the one that had the runs does not know them either, and they were not removed.
#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_has_no_launcher_remove_what_runs_wrote() {
    let deployment = Deployment::start().await;
    let submitter = deployment.program(Kind::Submitter).await;
    let _scheduler = deployment.program(Kind::Scheduler).await;
    let launcher = deployment.launcher("north", 2).await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let run_id = submit(&submitter, &ledger.diamond(2)).await;
    let run = until_ended(&submitter, &run_id).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    let kept = deployment.file("attempts").join("north").join(&run_id);
    assert!(kept.is_dir(), "{}", kept.display());
    deployment.redis.wipe().await;
    let seen = async |launcher: &Program| {
        eventually("the launcher sees that it is another store", async || {
            launcher.log().contains("of another store").then_some(())
        })
        .await;
    };
    // A launcher that may have missed something looks for runs that are gone, and so does one that is started.
    deployment.nats.restart().await;
    seen(&launcher).await;
    assert_eq!(launcher.end().await, Some(0));
    let launcher = deployment.launcher("north", 2).await;
    seen(&launcher).await;
    let other = submit(&submitter, &ledger.diamond(2)).await;
    let run = until_ended(&submitter, &other).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    assert!(kept.is_dir(), "{}", kept.display());
}

/// Whatever of a run's keys is lost or of another type: the others of its partition go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_keys_are_damaged_holds_up_no_other() {
    let deployment = Deployment::start().await;
    let settings = ["installation.partitions=1", "launcher.host=north", "launcher.slots=8"];
    let submitter = deployment.program_with(Kind::Submitter, &settings, &[]).await;
    let _scheduler = deployment.program_with(Kind::Scheduler, &settings, &[]).await;
    let _launcher = deployment.program_with(Kind::Launcher, &settings, &[]).await;
    let held = Ledger::new(deployment.file("held"));
    for (count, damage) in ["DEL windlass:{0}:t:", "DEL windlass:{0}:d:", "DEL windlass:{0}:h:"]
        .into_iter()
        .enumerate()
    {
        let damaged = submit(&submitter, &held.held()).await;
        held.until_started(count + 1).await;
        let id = damaged.trim_start_matches("run_");
        deployment.redis.command(&format!("{damage}{id}")).await;
    }
    let broken = submit(&submitter, &held.held()).await;
    held.until_started(4).await;
    let steps = format!("windlass:{{0}}:t:{}", broken.trim_start_matches("run_"));
    deployment.redis.command(&format!("DEL {steps}")).await;
    deployment.redis.command(&format!("SADD {steps} x")).await;
    let fails = format!("until {}; do sleep 0.05; done; exit 1", held.is_let_go());
    let steps = vec![held.step("s0", &[], &fails)];
    let nameless = v1::Pipeline { name: "nameless".into(), steps, ..Default::default() };
    let nameless = submit(&submitter, &nameless).await;
    held.until_started(5).await;
    let pipeline = format!("windlass:{{0}}:s:{}", nameless.trim_start_matches("run_"));
    deployment.redis.command(&format!("SETRANGE {pipeline} 150 {}", "~".repeat(1000))).await;
    held.let_go();
    let ledger = Ledger::new(deployment.file("ledger"));
    for _ in 0..3 {
        let run_id = submit(&submitter, &ledger.diamond(2)).await;
        let run = until_ended(&submitter, &run_id).await;
        assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    }
    let run = until_ended(&submitter, &broken).await;
    assert_eq!((run.state(), run.reason()), (RunState::Failed, Reason::RunDefect), "{run:?}");
    let run = until_ended(&submitter, &nameless).await;
    assert_eq!((run.state(), run.reason()), (RunState::Failed, Reason::StepFailed), "{run:?}");
    assert_eq!(run.message, "the step of index 0 failed");
    let listed = submitter.runs().list_runs(v1::ListRunsRequest::default()).await.expect("listed");
    let listed = listed.into_inner().runs;
    assert_eq!(listed.iter().filter(|run| run.pipeline == "diamond").count(), 3, "{listed:#?}");
    assert!(listed.iter().any(|run| run.run_id == nameless), "{listed:#?}");
}
