//! The contract, over gRPC, against all services in one process: what clients may rely on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::support::{World, ids, limited, pipeline, reason, run_id, script, sleeping, step};
use tokio_stream::StreamExt as _;
use tonic::Code;
use windlass_proto::v1::{self, RunState, StepState, submit_large_run_request::Part};

#[tokio::test]
async fn a_request_id_makes_one_run_and_is_refused_with_other_content() {
    let world = World::simulated().await;
    let mut runs = world.runs();
    let request = |name: &str| v1::SubmitRunRequest {
        request_id: "nightly-7".into(),
        pipeline: Some(pipeline(name, vec![step("a", &[])])),
        labels: BTreeMap::from([("team".into(), "vision".into())]),
        ..Default::default()
    };
    let first = runs.submit_run(request("p")).await.unwrap().into_inner().run.unwrap();
    let again = runs.submit_run(request("p")).await.unwrap().into_inner().run.unwrap();
    assert_eq!(first.run_id, again.run_id);
    let refused = runs.submit_run(request("q")).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::AlreadyExists, "REQUEST_ID_REUSED")
    );

    // Once deleted, the request id never makes another run.
    world.until_ended(&first.run_id).await;
    let run_id = first.run_id.clone();
    runs.delete_run(v1::DeleteRunRequest { run_id }).await.unwrap();
    let refused = runs.submit_run(request("p")).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "RUN_REMOVED")
    );
}

#[tokio::test]
async fn a_watcher_gets_the_present_state_first_and_then_every_change_to_the_end() {
    let world = World::simulated().await;
    let steps: Vec<_> = (0..200)
        .map(|n| {
            step(&format!("s{n}"), &if n < 20 { vec![] } else { vec![format!("s{}", n - 20)] })
        })
        .collect();
    let run = world.submit(pipeline("watched", steps)).await;
    let request = v1::WatchRunRequest { run_id: run.clone(), run_only: false };
    let mut stream = world.runs().watch_run(request).await.unwrap().into_inner();
    let mut states = BTreeMap::new();
    let mut last = None;
    let mut snapshot_is_whole = false;
    while let Some(message) = limited(stream.next()).await {
        use v1::watch_run_response::Event;
        let (run, steps) = match message.unwrap().event.unwrap() {
            Event::Snapshot(snapshot) => {
                snapshot_is_whole |= snapshot.last;
                (snapshot.run, snapshot.steps)
            }
            Event::Delta(delta) => {
                assert!(snapshot_is_whole, "a change came before the whole state");
                (delta.run, delta.steps)
            }
        };
        states.extend(steps.into_iter().map(|step| (step.index, step.state())));
        last = run;
    }
    assert_eq!(last.unwrap().state(), RunState::Succeeded);
    assert_eq!(states.len(), 200);
    assert!(states.values().all(|state| *state == StepState::Succeeded), "{states:?}");
}

#[tokio::test]
async fn a_cancel_stops_what_runs_and_skips_the_rest_and_an_ended_run_cannot_be_cancelled() {
    let world = World::processes().await;
    let run = world
        .submit(pipeline("long", vec![sleeping("first"), step("second", &["first".into()])]))
        .await;
    world.until_step(&run, "first", StepState::Running).await;
    let cancelled =
        world.runs().cancel_run(v1::CancelRunRequest { run_id: run.clone() }).await.unwrap();
    assert!(matches!(
        cancelled.into_inner().run.unwrap().state(),
        RunState::Stopping | RunState::Cancelled
    ));
    assert_eq!(world.until_ended(&run).await.state(), RunState::Cancelled);
    let steps = world.steps(&run).await;
    assert_eq!(steps["first"].state(), StepState::Cancelled);
    assert_eq!(steps["second"].state(), StepState::Skipped);
    assert_eq!(steps["second"].reason(), v1::Reason::RunCancelled);
    let refused = world.runs().cancel_run(v1::CancelRunRequest { run_id: run }).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "RUN_ENDED")
    );
}

#[tokio::test]
async fn a_paused_run_starts_nothing_until_it_is_resumed() {
    let world = World::processes().await;
    let gate = world.file("gate");
    let wait = script("first", &format!("until [ -e {} ]; do sleep 0.02; done", gate.display()));
    let run = world.submit(pipeline("paused", vec![wait, step("second", &["first".into()])])).await;
    world.until_step(&run, "first", StepState::Running).await;
    let paused = world.runs().pause_run(v1::PauseRunRequest { run_id: run.clone() }).await.unwrap();
    assert_eq!(paused.into_inner().run.unwrap().state(), RunState::Paused);
    std::fs::write(&gate, "").unwrap();
    world.until_step(&run, "first", StepState::Succeeded).await;
    assert_eq!(world.steps(&run).await["second"].state(), StepState::Ready);
    let resumed =
        world.runs().resume_run(v1::ResumeRunRequest { run_id: run.clone() }).await.unwrap();
    assert_ne!(resumed.into_inner().run.unwrap().state(), RunState::Paused);
    assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    let refused = world.runs().resume_run(v1::ResumeRunRequest { run_id: run }).await.unwrap_err();
    assert_eq!(reason(&refused), "RUN_NOT_PAUSED");
}

#[tokio::test]
async fn a_retry_does_again_what_failed_and_what_hangs_on_it_and_nothing_else() {
    let world = World::processes().await;
    let (marker, ran) = (world.file("marker"), world.file("ran"));
    let note = |name: &str| format!("echo {name} >> {}", ran.display());
    let fails = format!("{}; test -e {}", note("fails"), marker.display());
    let steps = vec![
        script("good", &note("good")),
        script("fails", &fails),
        v1::Step { depends_on: vec!["fails".into()], ..script("after", &note("after")) },
    ];
    let run = world.submit(pipeline("retried", steps)).await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    let steps = world.steps(&run).await;
    assert_eq!(
        (steps["fails"].reason(), steps["after"].reason()),
        (v1::Reason::ExitCode, v1::Reason::UpstreamFailed)
    );
    assert_eq!(steps["after"].cause, "fails");

    std::fs::write(&marker, "").unwrap();
    let retried = world
        .runs()
        .retry_run(v1::RetryRunRequest { run_id: run.clone(), ..Default::default() })
        .await
        .unwrap();
    assert_eq!(retried.into_inner().run.unwrap().retries, 1);
    assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    let mut lines: Vec<_> =
        std::fs::read_to_string(&ran).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["after", "fails", "fails", "good"]);
    let request =
        v1::ListAttemptsRequest { run_id: run.clone(), step: "fails".into(), ..Default::default() };
    let attempts = world.runs().list_attempts(request).await.unwrap().into_inner().attempts;
    let told: Vec<_> = attempts.iter().map(|a| (a.number, a.state(), a.exit_code)).collect();
    assert_eq!(
        told,
        [(1, v1::AttemptState::Failed, Some(1)), (2, v1::AttemptState::Succeeded, None)]
    );
    let refused = world
        .runs()
        .retry_run(v1::RetryRunRequest { run_id: run, ..Default::default() })
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "RUN_SUCCEEDED");
}

#[tokio::test]
async fn a_rerun_is_a_new_run_of_the_same_pipeline_and_arguments() {
    let world = World::simulated().await;
    let pipeline = v1::Pipeline { priority: -7, ..pipeline("again", vec![step("a", &[])]) };
    let run = world.submit(pipeline).await;
    assert_eq!(world.until_ended(&run).await.priority, -7);
    let request = v1::RerunRunRequest { run_id: run.clone(), request_id: "second".into() };
    let rerun = world.runs().rerun_run(request).await.unwrap().into_inner().run.unwrap();
    assert_ne!(rerun.run_id, run);
    assert_eq!((rerun.rerun_of.as_str(), rerun.pipeline.as_str()), (run.as_str(), "again"));
    assert_eq!(rerun.priority, -7);
    assert_eq!(world.until_ended(&rerun.run_id).await.state(), RunState::Succeeded);
}

#[tokio::test]
async fn lists_have_pages_and_filters() {
    let world = World::simulated().await;
    let mut submitted = Vec::new();
    for n in 0..7 {
        let request = v1::SubmitRunRequest {
            pipeline: Some(pipeline(if n % 2 == 0 { "even" } else { "odd" }, vec![step("a", &[])])),
            labels: BTreeMap::from([("n".into(), n.to_string())]),
            ..Default::default()
        };
        let run = world.runs().submit_run(request).await.unwrap().into_inner().run.unwrap();
        world.until_ended(&run.run_id).await;
        submitted.push(run.run_id);
    }
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListRunsRequest { page_size: 3, page_token, ..Default::default() };
        let page = world.runs().list_runs(request).await.unwrap().into_inner();
        assert!(page.runs.len() <= 3);
        listed.extend(ids(&page.runs));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(BTreeSet::from_iter(&listed), BTreeSet::from_iter(&submitted));
    assert_eq!(listed.len(), 7);
    let only = |filter| v1::ListRunsRequest { filter: Some(filter), ..Default::default() };
    let odd = only(v1::RunFilter { pipeline: "odd".into(), ..Default::default() });
    assert_eq!(world.runs().list_runs(odd).await.unwrap().into_inner().runs.len(), 3);
    let labels = BTreeMap::from([("n".into(), "4".into())]);
    let fourth = only(v1::RunFilter { labels, ..Default::default() });
    assert_eq!(
        ids(&world.runs().list_runs(fourth).await.unwrap().into_inner().runs),
        [submitted[4].clone()]
    );
    let failed =
        only(v1::RunFilter { states: vec![RunState::Failed.into()], ..Default::default() });
    assert!(world.runs().list_runs(failed).await.unwrap().into_inner().runs.is_empty());
}

#[tokio::test]
async fn a_pipeline_larger_than_one_message_comes_in_parts() {
    let world = World::simulated().await;
    let head = v1::SubmitRunRequest {
        pipeline: Some(pipeline("large", Vec::new())),
        ..Default::default()
    };
    let mut parts = vec![v1::SubmitLargeRunRequest { part: Some(Part::Request(head)) }];
    for chunk in 0..20 {
        let steps = (0..1000).map(|n| step(&format!("s{}", chunk * 1000 + n), &[])).collect();
        parts.push(v1::SubmitLargeRunRequest { part: Some(Part::Steps(v1::StepChunk { steps })) });
    }
    let run = world.runs().submit_large_run(tokio_stream::iter(parts)).await.unwrap();
    let run = world.until_ended(&run.into_inner().run.unwrap().run_id).await;
    assert_eq!((run.state(), run.step_counts.unwrap().succeeded), (RunState::Succeeded, 20_000));
}

#[tokio::test]
async fn uploads_that_stand_still_do_not_pile_up() {
    let world = World::simulated().await;
    let head = || {
        let pipeline = Some(pipeline("large", vec![step("a", &[])]));
        let request = v1::SubmitRunRequest { pipeline, ..Default::default() };
        v1::SubmitLargeRunRequest { part: Some(Part::Request(request)) }
    };
    let mut stalled = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut runs = world.runs();
        let parts = tokio_stream::once(head()).chain(tokio_stream::pending());
        stalled.spawn(async move { runs.submit_large_run(parts).await });
    }
    let refused = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let parts = tokio_stream::once(head());
            if let Err(refused) = world.runs().submit_large_run(parts).await {
                return refused;
            }
        }
    })
    .await
    .expect("the four have come");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unavailable, "UNAVAILABLE"));
    stalled.shutdown().await;
    let gone =
        async || while world.runs().submit_large_run(tokio_stream::once(head())).await.is_err() {};
    tokio::time::timeout(Duration::from_secs(20), gone()).await.expect("there is room again");
}

#[tokio::test]
async fn logs_are_the_same_lines_while_a_step_runs_and_afterwards() {
    let world = World::processes().await;
    let gate = world.file("gate");
    let talk = format!(
        "echo one; echo two >&2; until [ -e {} ]; do sleep 0.02; done; printf three",
        gate.display()
    );
    let run = world
        .submit(pipeline("talks", vec![script("talk", &talk), script("other", "echo aside")]))
        .await;
    let request = |step: &str, follow| v1::StreamLogsRequest {
        run_id: run.clone(),
        step: step.into(),
        follow,
        ..Default::default()
    };
    let mut live = world.logs().stream_logs(request("talk", true)).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(limited(live.next()).await.unwrap().unwrap().lines);
    }
    std::fs::write(&gate, "").unwrap();
    while let Some(batch) = limited(live.next()).await {
        seen.extend(batch.unwrap().lines);
    }
    let mut texts: Vec<_> =
        seen.iter().map(|line| (line.stream(), line.content.as_ref())).collect();
    texts.sort();
    let expected: [(v1::LogStream, &[u8]); 3] = [
        (v1::LogStream::Stdout, b"one"),
        (v1::LogStream::Stdout, b"three"),
        (v1::LogStream::Stderr, b"two"),
    ];
    assert_eq!(texts, expected);
    world.until_ended(&run).await;
    let mut old = Vec::new();
    let mut stream = world.logs().stream_logs(request("talk", false)).await.unwrap().into_inner();
    while let Some(batch) = limited(stream.next()).await {
        old.extend(batch.unwrap().lines);
    }
    assert_eq!(old, seen);

    let last = v1::StreamLogsRequest { tail: Some(1), ..request("talk", false) };
    let mut stream = world.logs().stream_logs(last).await.unwrap().into_inner();
    let lines = limited(stream.next()).await.unwrap().unwrap().lines;
    assert_eq!(lines.iter().map(|line| line.content.as_ref()).collect::<Vec<_>>(), [b"three"]);
    let mut stream = world.logs().stream_logs(request("", true)).await.unwrap().into_inner();
    let mut steps = BTreeSet::new();
    while let Some(batch) = limited(stream.next()).await {
        steps.extend(batch.unwrap().lines.into_iter().map(|line| line.step));
    }
    assert_eq!(steps, BTreeSet::from(["talk".to_owned(), "other".to_owned()]));
    let download = v1::DownloadLogsRequest { run_id: run, step: "other".into() };
    let mut stream = world.logs().download_logs(download).await.unwrap().into_inner();
    let data = limited(stream.next()).await.unwrap().unwrap().data;
    assert!(data.ends_with(b" other/1 aside\n"), "{data:?}");
}

#[tokio::test]
async fn who_watches_or_follows_when_the_server_ends_is_told_to_connect_again() {
    let world = World::processes().await;
    let wait = "echo waiting; exec sleep 1000";
    let run = world.submit(pipeline("open", vec![script("wait", wait)])).await;
    let watch = v1::WatchRunRequest { run_id: run.clone(), run_only: true };
    let mut watch = world.runs().watch_run(watch).await.unwrap().into_inner();
    let follow = v1::StreamLogsRequest { run_id: run.clone(), follow: true, ..Default::default() };
    let mut follow = world.logs().stream_logs(follow).await.unwrap().into_inner();
    assert!(limited(follow.next()).await.unwrap().is_ok());
    let _files = world.leave(&run).await;
    let told = |status: tonic::Status| (status.code(), reason(&status));
    let unavailable = (Code::Unavailable, "UNAVAILABLE".to_owned());
    let end = async {
        loop {
            if let Err(status) = follow.next().await.unwrap() {
                return told(status);
            }
        }
    };
    assert_eq!(limited(end).await, unavailable);
    let end = async {
        loop {
            if let Err(status) = watch.next().await.unwrap() {
                return told(status);
            }
        }
    };
    assert_eq!(limited(end).await, unavailable);
}

#[tokio::test]
async fn what_is_not_there_or_makes_no_sense_is_refused_with_a_reason() {
    let world = World::simulated().await;
    let unknown = run_id();
    let mut runs = world.runs();
    let get = |run_id: &str| v1::GetRunRequest { run_id: run_id.to_owned() };
    let refused = runs.get_run(get(&unknown)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "RUN_NOT_FOUND"));
    let refused = runs.get_run(get("nonsense")).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::InvalidArgument, "INVALID_REQUEST")
    );
    let watch = v1::WatchRunRequest { run_id: unknown.clone(), run_only: false };
    assert_eq!(runs.watch_run(watch).await.unwrap_err().code(), Code::NotFound);
    let logs = v1::StreamLogsRequest { run_id: unknown, ..Default::default() };
    assert_eq!(world.logs().stream_logs(logs).await.unwrap_err().code(), Code::NotFound);
    let cycle = pipeline("p", vec![step("a", &["b".into()]), step("b", &["a".into()])]);
    let request = v1::SubmitRunRequest { pipeline: Some(cycle), ..Default::default() };
    let refused = runs.submit_run(request).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_PIPELINE");
    assert!(refused.message().contains("a -> b -> a"), "{}", refused.message());

    let run = world.submit(pipeline("p", vec![step("a", &[])])).await;
    world.until_ended(&run).await;
    let attempts =
        v1::ListAttemptsRequest { run_id: run.clone(), step: "b".into(), ..Default::default() };
    assert_eq!(reason(&runs.list_attempts(attempts).await.unwrap_err()), "STEP_NOT_FOUND");
    let steps =
        v1::ListStepsRequest { run_id: run, page_token: "forged".into(), ..Default::default() };
    assert_eq!(reason(&runs.list_steps(steps).await.unwrap_err()), "INVALID_REQUEST");
}

#[tokio::test]
async fn health_and_reflection_are_served() {
    use tonic_health::pb::{
        HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
    };
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let world = World::simulated().await;
    for service in ["", "windlass.v1.RunService", "windlass.v1.LogService"] {
        let request = HealthCheckRequest { service: service.into() };
        let answer = HealthClient::new(world.channel()).check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let list = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut answers = ServerReflectionClient::new(world.channel())
        .server_reflection_info(tokio_stream::iter([list]))
        .await
        .unwrap()
        .into_inner();
    let answer = limited(answers.next()).await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(services) = answer else { panic!("{answer:?}") };
    let names: BTreeSet<_> = services.service.into_iter().map(|service| service.name).collect();
    assert!(
        names.contains("windlass.v1.RunService") && names.contains("windlass.v1.LogService"),
        "{names:?}"
    );
}
