//! Steps that wait for somebody's word: from the file to the command, over time-outs, refusals and `kill -9`.

use std::{
    fs,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;
use tonic::{Code, Status};
use windlass_proto::v1::{self, Reason, RunState, StepState};

use crate::{
    recovery::{Server, submit},
    support::{Runs, World, limited, parsed, reason, run_id, until_ended},
};

const RELEASE: &str = r#"
name: release
steps:
  build:
    run: |
      printf '{"version": "1.4"}' > "$WINDLASS_OUTPUT"
    outputs: version
  sign-off: {depends_on: build, approval: {}}
  publish:
    when: steps["sign-off"].outputs.comment != "not yet"
    env:
      VERSION: ${{ steps.build.outputs.version }}
      BY: ${{ steps.sign-off.outputs.approved_by }}
      WHY: ${{ steps.sign-off.outputs.comment }}
    run: echo "$VERSION by $BY because $WHY"
  mourn: {depends_on: sign-off, trigger_rule: any_failed, run: "echo no release"}
"#;

fn word(run_id: &str, step: &str, approved: bool) -> v1::DecideApprovalRequest {
    let (run_id, step) = (run_id.to_owned(), step.to_owned());
    let (by, comment) = ("Ann".to_owned(), "it is \"good\"\nenough".to_owned());
    v1::DecideApprovalRequest { run_id, step, approved, by, comment }
}

async fn decide(runs: &mut Runs, run: &str, step: &str, approved: bool) -> v1::Run {
    let answer = runs.decide_approval(word(run, step, approved)).await;
    answer.unwrap().into_inner().run.unwrap()
}

async fn refused(world: &World, request: v1::DecideApprovalRequest) -> Status {
    world.runs().decide_approval(request).await.expect_err("it is refused")
}

/// Waits until a step is in a state, and in no other: that of an approval is beyond those that follow it.
async fn until_state(world: &World, run: &str, step: &str, state: StepState) {
    limited(async {
        while world.steps(run).await[step].state() != state {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn text(value: &prost_types::Value) -> &str {
    match &value.kind {
        Some(prost_types::value::Kind::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_run_waits_for_approval_and_hands_on_who_has_given_it_and_what_was_said() {
    let world = World::processes().await;
    let run = world.submit_file(RELEASE).await;
    world.until_step(&run, "sign-off", StepState::Suspended).await;
    let step = &world.steps(&run).await["sign-off"];
    assert_eq!(step.message, format!("waits for approval: windlass approve {run} sign-off"));
    assert!(step.start_time.is_some() && step.queue_time.is_none() && step.end_time.is_none());
    let request = v1::GetRunRequest { run_id: run.clone() };
    let shown = world.runs().get_run(request).await.unwrap().into_inner().run.unwrap();
    assert_eq!((shown.state(), shown.step_counts.unwrap().waiting), (RunState::Running, 3));
    assert_eq!(shown.message, "a step waits for approval");

    decide(&mut world.runs(), &run, "sign-off", true).await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    let steps = world.steps(&run).await;
    let outputs = &steps["sign-off"].outputs;
    assert_eq!(text(&outputs["approved_by"]), "Ann");
    assert_eq!(text(&outputs["comment"]), "it is \"good\"\nenough");
    assert_eq!(steps["mourn"].reason(), Reason::TriggerRuleNotMet);
    let lines = world.lines(&run).await;
    assert_eq!(lines["publish"], "1.4 by Ann because it is \"good\"\nenough");
    assert!(!lines.contains_key("sign-off"), "it writes nothing");
    let request = v1::ListAttemptsRequest {
        run_id: run.clone(),
        step: "sign-off".into(),
        ..Default::default()
    };
    let attempts = world.runs().list_attempts(request).await.unwrap().into_inner().attempts;
    let [attempt] = &attempts[..] else { panic!("{attempts:?}") };
    assert_eq!((attempt.number, attempt.state()), (1, v1::AttemptState::Succeeded));
}

#[tokio::test]
async fn a_rejected_approval_fails_its_step_and_a_retry_of_the_run_asks_again() {
    let world = World::processes().await;
    let run = world.submit_file(RELEASE).await;
    world.until_step(&run, "sign-off", StepState::Suspended).await;
    decide(&mut world.runs(), &run, "sign-off", false).await;
    let ended = world.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Failed);
    assert_eq!(ended.message, "step `sign-off` failed");
    let steps = world.steps(&run).await;
    let step = &steps["sign-off"];
    assert_eq!((step.state(), step.reason()), (StepState::Failed, Reason::Rejected));
    assert_eq!(step.message, "rejected by Ann: it is \"good\"\nenough");
    assert_eq!(steps["publish"].reason(), Reason::UpstreamFailed);
    assert_eq!(world.lines(&run).await["mourn"], "no release");

    let retry = v1::RetryRunRequest { run_id: run.clone(), ..Default::default() };
    world.runs().retry_run(retry).await.unwrap();
    world.until_step(&run, "sign-off", StepState::Suspended).await;
    decide(&mut world.runs(), &run, "sign-off", true).await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    assert_eq!(world.steps(&run).await["build"].attempt, 1, "it was not done again");
}

#[tokio::test]
async fn an_approval_that_nobody_gives_fails_after_its_time_out() {
    let world = World::processes().await;
    let text = "name: late\nsteps:\n  ask: {approval: {}, timeout: 50ms}\nexit_steps:\n  sure: {approval: {}, for_each: 2}\n";
    let run = world.submit_file(text).await;
    world.until_step(&run, "sure", StepState::Running).await;
    world.until_step(&run, "sure.1", StepState::Suspended).await;
    let step = &world.steps(&run).await["ask"];
    assert_eq!((step.state(), step.reason()), (StepState::Failed, Reason::Timeout));
    assert_eq!(step.message, "nobody approved or rejected it within its time-out");
    for item in ["sure.0", "sure.1"] {
        decide(&mut world.runs(), &run, item, true).await;
    }
    let ended = world.until_ended(&run).await;
    assert_eq!((ended.state(), ended.message.as_str()), (RunState::Failed, "step `ask` failed"));
}

#[tokio::test]
async fn a_word_that_cannot_be_given_is_refused_with_what_to_do() {
    let world = World::processes().await;
    let text = "name: p\nsteps:\n  a: {run: exec sleep 1000}\n  b: {approval: {}, depends_on: a}\n  c: {approval: {}}\n  d: {approval: {}, for_each: 1}\n";
    let run = world.submit_file(text).await;
    world.until_step(&run, "d", StepState::Running).await;
    world.until_step(&run, "d.0", StepState::Suspended).await;
    world.until_step(&run, "c", StepState::Suspended).await;
    let nobody = v1::DecideApprovalRequest { by: " ".into(), ..word(&run, "c", true) };
    let long = "x".repeat(4097);
    for (request, expected, words) in [
        (word(&run_id(), "c", true), "RUN_NOT_FOUND", "there is no run"),
        (word(&run, "e", true), "STEP_NOT_FOUND", "has no step `e`"),
        (word(&run, "d.1", true), "STEP_NOT_FOUND", "has no step `d.1`"),
        (word(&run, "a", true), "NOT_AN_APPROVAL", "runs a program"),
        (word(&run, "d", true), "NOT_AN_APPROVAL", "holds other steps"),
        (word(&run, "b", true), "APPROVAL_NOT_WAITING", "it has not begun"),
        (nobody, "INVALID_REQUEST", "say who decides"),
        (
            v1::DecideApprovalRequest { comment: long, ..word(&run, "c", true) },
            "INVALID_REQUEST",
            "4096 are the most",
        ),
    ] {
        let status = refused(&world, request).await;
        assert_eq!(reason(&status), expected, "{status}");
        assert!(status.message().contains(words), "{status}");
    }
    let mut runs = world.runs();
    decide(&mut runs, &run, "c", true).await;
    until_state(&world, &run, "c", StepState::Succeeded).await;
    for approved in [true, false] {
        let status = refused(&world, word(&run, "c", approved)).await;
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().ends_with("it was approved"), "{status}");
    }
    decide(&mut runs, &run, "d.0", false).await;
    until_state(&world, &run, "d.0", StepState::Failed).await;
    let status = refused(&world, word(&run, "d.0", true)).await;
    assert!(status.message().ends_with("it was rejected"), "{status}");
    runs.cancel_run(v1::CancelRunRequest { run_id: run.clone() }).await.unwrap();
    world.until_ended(&run).await;
    assert_eq!(reason(&refused(&world, word(&run, "b", true)).await), "RUN_ENDED");
}

fn windlass(world: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
    command.args(arguments).env("WINDLASS_SERVER", world).env("NO_COLOR", "1");
    command.env("USER", "bo").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn said(mut command: Command) -> (Option<i32>, String) {
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let Output { status, stdout, stderr } = output;
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code(), text)
}

#[tokio::test]
async fn the_command_tells_what_waits_and_gives_the_word() {
    let world = World::processes().await;
    let url = world.serve().await;
    let run = world.submit_file(RELEASE).await;
    world.until_step(&run, "sign-off", StepState::Suspended).await;
    let waits = format!("waits for approval: windlass approve {run} sign-off");
    let watch = windlass(&url, &["watch", &run]).spawn().unwrap();
    let (code, text) = said(windlass(&url, &["get", &run])).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("suspended") && text.contains(&waits), "{text}");

    let (code, text) = said(windlass(&url, &["approve", &run, "publish"])).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("is no approval"), "{text}");
    let mut nameless = windlass(&url, &["approve", &run, "sign-off"]);
    nameless.env_remove("USER").env_remove("LOGNAME");
    let (code, text) = said(nameless).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--by NAME"), "{text}");

    let (code, text) =
        said(windlass(&url, &["approve", &run, "sign-off", "--comment", "fine"])).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("sign-off is approved by bo; "), "{text}");
    let output = tokio::task::spawn_blocking(|| watch.wait_with_output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&format!("sign-off {waits}")), "{text}");
    assert_eq!(world.lines(&run).await["publish"], "1.4 by bo because fine");

    let (code, text) = said(windlass(&url, &["retry", &run])).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--from STEP"), "{text}");
    let (code, text) = said(windlass(&url, &["retry", &run, "--from", "sign-off"])).await;
    assert_eq!(code, Some(0), "{text}");
    world.until_step(&run, "sign-off", StepState::Suspended).await;
    let reject = ["approve", &run, "sign-off", "--reject", "--by", "Cy", "--output", "json"];
    let (code, text) = said(windlass(&url, &reject)).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains(&run), "{text}");
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    assert_eq!(world.steps(&run).await["sign-off"].message, "rejected by Cy");
}

#[tokio::test]
async fn a_run_that_nobody_could_reach_to_approve_is_refused_before_it_begins() {
    let dir = TempDir::new().unwrap();
    let (file, begun) = (dir.path().join("pipeline.yaml"), dir.path().join("begun"));
    let text = format!(
        "name: p\nsteps:\n  a: {{run: touch {}}}\nexit_steps:\n  g:\n    steps: {{ask: {{approval: {{}}}}}}\n",
        begun.display()
    );
    fs::write(&file, text).unwrap();
    let (code, text) = said(windlass("http://127.0.0.1:1", &["run", file.to_str().unwrap()])).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("step `ask` waits for somebody's approval"), "{text}");
    assert!(text.contains("windlass dev") && !begun.exists(), "{text}");
}

#[tokio::test]
async fn a_word_that_was_given_counts_though_the_server_is_killed_before_it_is_followed() {
    let dir = TempDir::new().unwrap();
    // Killed when the order is in the store and before anybody is told.
    let server =
        Server::start_with(dir.path(), &[("WINDLASS_FAIL_POINT", "submitter.ordered")]).await;
    let text =
        "name: p\nsteps:\n  ask: {approval: {}}\n  after: {depends_on: ask, run: \"true\"}\n";
    let run = submit(&server, parsed(text)).await;
    let mut runs = server.runs().await;
    until_suspended(&mut runs, &run).await;
    assert!(runs.decide_approval(word(&run, "ask", true)).await.is_err(), "it was killed");
    limited(server.ended()).await;

    let server = Server::start(dir.path()).await;
    let mut runs = server.runs().await;
    assert_eq!(until_ended(&mut runs, &run).await.state(), RunState::Succeeded);
    let steps = list(&mut runs, &run).await;
    assert_eq!(text_of(&steps[0], "approved_by"), "Ann");
    server.kill();
}

#[tokio::test]
async fn an_approval_waits_on_though_the_server_is_killed() {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path()).await;
    let run = submit(&server, parsed("name: p\nsteps:\n  ask: {approval: {}}\n")).await;
    until_suspended(&mut server.runs().await, &run).await;
    server.kill();
    let server = Server::start(dir.path()).await;
    let mut runs = server.runs().await;
    assert_eq!(list(&mut runs, &run).await[0].state(), StepState::Suspended);
    decide(&mut runs, &run, "ask", true).await;
    assert_eq!(until_ended(&mut runs, &run).await.state(), RunState::Succeeded);
    server.kill();
}

async fn list(runs: &mut Runs, run: &str) -> Vec<v1::StepStatus> {
    let request = v1::ListStepsRequest { run_id: run.to_owned(), ..Default::default() };
    runs.list_steps(request).await.unwrap().into_inner().steps
}

fn text_of<'a>(step: &'a v1::StepStatus, output: &str) -> &'a str {
    text(&step.outputs[output])
}

async fn until_suspended(runs: &mut Runs, run: &str) {
    limited(async {
        while list(runs, run).await[0].state() != StepState::Suspended {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
