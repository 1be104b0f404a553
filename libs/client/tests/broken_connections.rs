//! What a client makes of a server that goes away and comes back, and of answers in parts.

mod server;

use prost_types::Timestamp;
use server::{Asked, Script};
use tonic::Status;
use windlass_client::{
    Client, LogEvent, Patience, WatchEvent,
    v1::{self, watch_run_response::Event},
};

fn run(state: v1::RunState) -> v1::Run {
    v1::Run { run_id: "r".to_owned(), state: state.into(), ..v1::Run::default() }
}

fn step(index: u32, state: v1::StepState) -> v1::StepStatus {
    v1::StepStatus { index, state: state.into(), ..v1::StepStatus::default() }
}

fn snapshot(state: v1::RunState, steps: Vec<v1::StepStatus>) -> v1::WatchRunResponse {
    let snapshot = v1::RunSnapshot { run: Some(run(state)), steps, last: true };
    v1::WatchRunResponse { event: Some(Event::Snapshot(snapshot)) }
}

fn delta(state: v1::RunState, steps: Vec<v1::StepStatus>) -> v1::WatchRunResponse {
    let delta = v1::RunDelta { run: Some(run(state)), steps };
    v1::WatchRunResponse { event: Some(Event::Delta(delta)) }
}

#[tokio::test]
async fn a_watch_goes_on_where_it_broke_off_and_ends_with_the_run() {
    use v1::{RunState, StepState};
    let script = Script::default();
    let running = [step(0, StepState::Running), step(1, StepState::Waiting)];
    // Breaks, then ends too early, then tells the rest.
    script.watches.push(vec![
        Ok(snapshot(RunState::Running, running.to_vec())),
        Err(Status::unavailable("restarting")),
    ]);
    script.watches.push(vec![]);
    script.watches.push(vec![
        Ok(snapshot(
            RunState::Running,
            vec![step(0, StepState::Succeeded), step(1, StepState::Waiting)],
        )),
        Ok(delta(RunState::Succeeded, vec![step(1, StepState::Succeeded)])),
    ]);

    let mut watch = script.client().await.watch("r");
    let mut told = Vec::new();
    while let Some(event) = watch.next().await.unwrap() {
        told.push(match event {
            WatchEvent::Changed(change) => Ok(change.steps),
            WatchEvent::Interrupted { error, .. } => Err(error.code()),
        });
    }
    let away = Err(windlass_client::Code::Unavailable);
    assert_eq!(told, [Ok(vec![0, 1]), away.clone(), away, Ok(vec![0]), Ok(vec![1])]);
    assert!(watch.has_ended());
    assert_eq!(watch.steps(), [step(0, StepState::Succeeded), step(1, StepState::Succeeded)]);
    assert!(watch.next().await.unwrap().is_none());
}

#[tokio::test]
async fn a_watch_that_is_refused_ends_with_the_refusal() {
    let script = Script::default();
    script.watches.push(vec![Err(Status::not_found("no such run"))]);
    let mut watch = script.client().await.watch("r");
    assert_eq!(watch.next().await.unwrap_err().code(), windlass_client::Code::NotFound);
    assert!(watch.next().await.unwrap().is_none());
}

#[tokio::test]
async fn lines_that_are_followed_come_once_each_across_a_broken_connection() {
    let line = |sequence| v1::LogLine {
        step: "load".to_owned(),
        attempt: 1,
        sequence,
        time: Some(Timestamp { seconds: 1000, nanos: 0 }),
        ..v1::LogLine::default()
    };
    let lines = |sequences: std::ops::Range<u64>| {
        Ok(v1::StreamLogsResponse { lines: sequences.map(line).collect() })
    };
    let script = Script::default();
    script.logs.push(vec![lines(0..3), Err(Status::unavailable("restarting"))]);
    script.logs.push(vec![lines(0..2), lines(2..5)]);

    let request =
        v1::StreamLogsRequest { run_id: "r".to_owned(), tail: Some(9), ..Default::default() };
    let mut logs = script.client().await.logs(request);
    let mut sequences = Vec::new();
    while let Some(event) = logs.next().await.unwrap() {
        if let LogEvent::Lines(lines) = event {
            sequences.extend(lines.into_iter().map(|line| line.sequence));
        }
    }
    assert_eq!(sequences, [0, 1, 2, 3, 4]);
    let asked: Vec<_> = std::iter::from_fn(|| script.asked.pop()).collect();
    let [Asked::Logs(first), Asked::Logs(second)] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((first.tail, first.since), (Some(9), None));
    assert_eq!((second.tail, second.since.map(|since| since.seconds)), (None, Some(940)));
}

async fn submit(client: &Client, steps: Vec<v1::Step>) -> v1::Run {
    let pipeline = v1::Pipeline { name: "p".to_owned(), steps, ..v1::Pipeline::default() };
    let request = v1::SubmitRunRequest { pipeline: Some(pipeline), ..Default::default() };
    client.submit(request).await.expect("the script lets it through in the end")
}

#[tokio::test]
async fn a_submission_is_repeated_under_the_same_request_id() {
    let script = Script::default();
    script.submissions.push(Err(Status::unavailable("restarting")));
    assert_eq!(submit(&script.client().await, vec![v1::Step::default()]).await.run_id, "r");
    let asked: Vec<_> = std::iter::from_fn(|| script.asked.pop()).collect();
    let [Asked::Submit(first), Asked::Submit(second)] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(first, second);
    assert!(!first.request_id.is_empty());
}

#[tokio::test]
async fn a_submission_that_is_larger_than_a_message_arrives_whole() {
    let script = Script::default();
    let steps: Vec<_> = (0..20)
        .map(|number| v1::Step {
            name: format!("s{number}"),
            description: "x".repeat(1 << 20),
            ..v1::Step::default()
        })
        .collect();
    submit(&script.client().await, steps.clone()).await;
    let Some(Asked::SubmitLarge(whole, messages)) = script.asked.pop() else {
        panic!("the submission fits into no message");
    };
    assert_eq!(whole.pipeline.unwrap().steps, steps);
    assert_eq!(messages, 8, "the request, and three steps in each further message");
}

#[tokio::test]
async fn pages_are_read_to_the_end_or_to_a_limit() {
    let client =
        Script::default().client().await.with_patience(Patience(std::time::Duration::ZERO));
    let pages = || client.list_steps(v1::ListStepsRequest::default());
    let indices =
        |steps: Vec<v1::StepStatus>| steps.iter().map(|step| step.index).collect::<Vec<_>>();
    assert_eq!(indices(pages().all().await.unwrap()), [0, 1, 2]);
    let (two, more) = pages().take(2).await.unwrap();
    assert_eq!((indices(two), more), (vec![0, 1], true));
    let (three, more) = pages().take(3).await.unwrap();
    assert_eq!((indices(three), more), (vec![0, 1, 2], false));
    let refused = client.get("r").await.unwrap_err();
    assert_eq!(refused.code(), windlass_client::Code::Unimplemented);
}
