//! Servers that have no room left.

use windlass_proto::v1::RunState;

use crate::{
    crew::Crew,
    deployment::{Deployment, Kind, eventually, repeat, request, submit, until_ended},
    refusals::{assert_passing, refusal},
    work::Ledger,
};

/// Fills LAUNCH while there is no launcher, with commands of so many attempts, then starts launchers.
async fn commands_find_no_room(command_size: u32, runs: usize, width: u32) {
    let deployment = Deployment::start().await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let command_size = format!("scheduler.command_size={command_size}");
    let small = [
        "bus.streams.event.max_bytes=4Ki",
        "bus.streams.launch.max_bytes=4Ki",
        "bus.publish_timeout=1s",
        &command_size,
    ];
    let submitter = deployment.program_with(Kind::Submitter, &small, &[]).await;
    let scheduler = deployment.program_with(Kind::Scheduler, &small, &[]).await;
    let mut ids = Vec::new();
    for _ in 0..runs {
        ids.push(submit(&submitter, &ledger.wide(width)).await);
    }
    eventually("there is no room for commands", async || {
        scheduler.log().contains("maximum bytes exceeded").then_some(())
    })
    .await;
    let launch = async |host| {
        let host = format!("launcher.host={host}");
        let settings = [&small[..], &[&host, "launcher.slots=2"]].concat();
        deployment.program_with(Kind::Launcher, &settings, &[]).await
    };
    let _launchers = (launch("north").await, launch("south").await);
    for run_id in &ids {
        let run = until_ended(&submitter, run_id).await;
        assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
        let expected = (0..width).map(|index| ((format!("s{index}"), 1), 1)).collect();
        assert_eq!(ledger.starts(run_id), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_wait_for_room_on_nats() {
    commands_find_no_room(1, 1, 60).await;
}

/// A launcher that has not room for all of a command puts the rest where there is none.
#[tokio::test(flavor = "multi_thread")]
async fn commands_of_many_attempts_wait_for_room_on_nats() {
    commands_find_no_room(16, 24, 16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_wait_and_new_ones_are_refused_while_redis_is_full() {
    let deployment = Deployment::start().await;
    let crew = Crew::start(&deployment).await;
    let other = Ledger::new(deployment.file("other"));
    let request = request(&other.diamond(2));
    crew.is_undisturbed_by(&deployment, async || {
        deployment.redis.command("CONFIG SET maxmemory 1").await;
        assert_passing(&refusal(&crew.submitter, &request).await);
        eventually("the scheduler finds no room", async || {
            crew.scheduler.log().contains("raise maxmemory").then_some(())
        })
        .await;
        deployment.redis.command("CONFIG SET maxmemory 0").await;
    })
    .await;
    let run_id = repeat(&crew.submitter, &request).await;
    let run = until_ended(&crew.submitter, &run_id).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    other.assert_undisturbed(&run_id, 2);
}
