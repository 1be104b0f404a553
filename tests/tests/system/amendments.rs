//! Runs that are taken up again with other values of parameters, and with other limits.

use std::{collections::BTreeMap, fs};

use prost_types::Value;
use serde_json::json;
use tempfile::TempDir;
use tonic::Status;
use windlass_proto::{
    json as proto_json,
    v1::{self, RunState},
};

use crate::{
    recovery::{self, Server},
    support::{Runs, World, limited, parsed, reason, until_ended},
};

fn values(values: &serde_json::Value) -> BTreeMap<String, Value> {
    let values = values.as_object().unwrap().iter();
    values.map(|(name, value)| (name.clone(), proto_json::to_value(value))).collect()
}

fn seconds(seconds: i64) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos: 0 }
}

/// Retries a run with these changes.
async fn retry(
    runs: &mut Runs,
    run: &str,
    changes: v1::RetryRunRequest,
) -> Result<v1::Run, Status> {
    let request = v1::RetryRunRequest { run_id: run.to_owned(), ..changes };
    Ok(runs.retry_run(request).await?.into_inner().run.unwrap())
}

/// New values, and nothing else.
fn with(arguments: &serde_json::Value) -> v1::RetryRunRequest {
    v1::RetryRunRequest { arguments: values(arguments), ..Default::default() }
}

async fn get(runs: &mut Runs, run: &str) -> v1::Run {
    let request = v1::GetRunRequest { run_id: run.to_owned() };
    runs.get_run(request).await.unwrap().into_inner().run.unwrap()
}

/// Loads by region, trains by rate: fails at the rate that it has by default.
const TRAINING: &str = r#"
name: training
parameters:
  region: {type: string, default: north}
  rate: {type: number, default: 0.5}
steps:
  load:
    command: [echo, "${{ params.region }}"]
  train:
    depends_on: load
    env: {RATE: "${{ params.rate }}"}
    run: |
      echo "$RATE"
      [ "$RATE" != 0.5 ]
  tell:
    when: params.region == "south"
    depends_on: load
    run: echo told
"#;

#[tokio::test]
async fn steps_that_are_done_again_see_the_new_value_and_the_others_keep_their_results() {
    let world = World::processes().await;
    let run = world.submit_file(TRAINING).await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    retry(&mut world.runs(), &run, with(&json!({"rate": 0.25}))).await.unwrap();
    let ended = world.until_ended(&run).await;
    assert_eq!((ended.state(), ended.retries), (RunState::Succeeded, 1));
    assert_eq!(ended.arguments, values(&json!({"region": "north", "rate": 0.25})));
    let lines = world.lines(&run).await;
    assert_eq!((lines["load"].as_str(), lines["train"].as_str()), ("north", "0.5\n0.25"));
    assert_eq!(world.steps(&run).await["load"].attempt, 1);

    let request = v1::RerunRunRequest { run_id: run.clone(), ..Default::default() };
    let again = world.runs().rerun_run(request).await.unwrap().into_inner().run.unwrap();
    assert_eq!(again.arguments, ended.arguments, "a run that repeats it has the values in force");
    assert_eq!(world.until_ended(&again.run_id).await.state(), RunState::Succeeded);
}

#[tokio::test]
async fn a_value_that_kept_steps_have_come_from_is_refused_until_they_are_done_again() {
    let world = World::processes().await;
    let run = world.submit_file(TRAINING).await;
    let failed = world.until_ended(&run).await;
    assert_eq!(failed.state(), RunState::Failed);
    let south = with(&json!({"region": "south", "rate": 0.25}));
    let refused = retry(&mut world.runs(), &run, south.clone()).await.unwrap_err();
    assert_eq!(
        (reason(&refused).as_str(), refused.code()),
        ("PARAMETER_IN_USE", tonic::Code::FailedPrecondition)
    );
    for part in ["`region`: `load`, `tell`;", "`--from STEP`", "submit a new run"] {
        assert!(refused.message().contains(part), "{}", refused.message());
    }
    assert_eq!(get(&mut world.runs(), &run).await, failed, "nothing has changed");

    // What was skipped depends on the step that is done again, and its condition is asked again.
    let from = v1::RetryRunRequest { from_step: "load".into(), ..south };
    retry(&mut world.runs(), &run, from).await.unwrap();
    assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    let lines = world.lines(&run).await;
    let of = |step: &str| lines[step].as_str();
    assert_eq!((of("load"), of("train"), of("tell")), ("north\nsouth", "0.5\n0.25", "told"));
}

#[tokio::test]
async fn a_value_that_is_given_as_it_was_changes_nothing_and_is_not_refused() {
    let world = World::processes().await;
    let run = world.submit_file(TRAINING).await;
    world.until_ended(&run).await;
    retry(&mut world.runs(), &run, with(&json!({"region": "north"}))).await.unwrap();
    let ended = world.until_ended(&run).await;
    assert_eq!((ended.state(), ended.retries), (RunState::Failed, 1));
}

#[tokio::test]
async fn the_limit_of_attempts_in_flight_is_changed_and_lifted() {
    let world = World::processes().await;
    let (dir, lock) = (world.file("here"), world.file("lock"));
    fs::create_dir(&dir).unwrap();
    // The first attempts fail. The second ones need each other, and the third ones must be alone.
    let script = format!(
        r"
      case $WINDLASS_ATTEMPT in
        1) exit 1 ;;
        2) touch {dir}/$ME; until [ $(ls {dir} | wc -l) = 2 ]; do sleep 0.02; done; exit 1 ;;
        3) mkdir {lock} || exit 1; sleep 0.1; rmdir {lock} ;;
      esac
",
        dir = dir.display(),
        lock = lock.display()
    );
    let text = format!(
        "name: many\nmax_parallelism: 1\nsteps:\n  a:\n    env: {{ME: a}}\n    run: |{script}  b:\n    env: {{ME: b}}\n    run: |{script}"
    );
    let run = world.submit_file(&text).await;
    assert_eq!(world.until_ended(&run).await.state(), RunState::Failed);
    let limits = |max_parallelism, timeout| v1::RetryRunRequest {
        max_parallelism,
        timeout,
        ..Default::default()
    };
    retry(&mut world.runs(), &run, limits(Some(0), None)).await.unwrap();
    let failed = world.until_ended(&run).await;
    let lifted = v1::ChangedLimits { max_parallelism: Some(0), timeout: None };
    assert_eq!((failed.state(), failed.changed_limits), (RunState::Failed, Some(lifted)));
    assert_eq!(world.steps(&run).await["a"].attempt, 2);

    retry(&mut world.runs(), &run, limits(Some(1), Some(seconds(600)))).await.unwrap();
    let ended = world.until_ended(&run).await;
    let changed = v1::ChangedLimits { max_parallelism: Some(1), timeout: Some(seconds(600)) };
    assert_eq!((ended.state(), ended.changed_limits), (RunState::Succeeded, Some(changed)));
}

#[tokio::test]
async fn a_run_that_ran_into_its_time_out_goes_on_with_another_one() {
    let world = World::processes().await;
    // The second attempt takes twice the time that the run had before.
    let text = r#"
name: slow
timeout: 300ms
steps:
  slow:
    termination_grace: 0s
    run: |
      [ "$WINDLASS_ATTEMPT" = 2 ] || exec sleep 1000
      sleep 0.6
"#;
    let run = world.submit_file(text).await;
    let ended = world.until_ended(&run).await;
    assert_eq!((ended.state(), ended.reason()), (RunState::Failed, v1::Reason::RunTimedOut));
    let lifted = v1::RetryRunRequest { timeout: Some(seconds(0)), ..Default::default() };
    retry(&mut world.runs(), &run, lifted).await.unwrap();
    let ended = world.until_ended(&run).await;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", ended.message);
}

#[tokio::test]
async fn what_was_changed_survives_a_kill_of_the_server() {
    let dir = TempDir::new().unwrap();
    let (state, seen, gate) =
        (dir.path().join("state"), dir.path().join("seen"), dir.path().join("gate"));
    let text = format!(
        r#"
name: killed
parameters: {{rate: 0.5}}
steps:
  train:
    retry: {{limit: 1}}
    env: {{RATE: "${{{{ params.rate }}}}"}}
    run: |
      echo "$WINDLASS_ATTEMPT $RATE" >> {seen}
      case $WINDLASS_ATTEMPT in
        3) until [ -e {gate} ]; do sleep 0.02; done; exit 1 ;;
        4) exit 0 ;;
      esac
      exit 1
"#,
        seen = seen.display(),
        gate = gate.display()
    );
    let server = Server::start(&state).await;
    let run = recovery::submit(&server, parsed(&text)).await;
    let mut runs = server.runs().await;
    assert_eq!(until_ended(&mut runs, &run).await.state(), RunState::Failed);
    retry(&mut runs, &run, with(&json!({"rate": 0.25}))).await.unwrap();
    limited(async {
        while fs::read_to_string(&seen).unwrap().lines().count() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.kill();
    let server = Server::start(&state).await;
    let mut runs = server.runs().await;
    assert_eq!(get(&mut runs, &run).await.arguments, values(&json!({"rate": 0.25})));
    fs::write(&gate, "").unwrap();
    assert_eq!(until_ended(&mut runs, &run).await.state(), RunState::Succeeded);
    let seen = fs::read_to_string(&seen).unwrap();
    assert_eq!(seen, "1 0.5\n2 0.5\n3 0.25\n4 0.25\n");
    server.kill();
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let world = World::processes().await;
    let run = world.submit_file(TRAINING).await;
    let failed = world.until_ended(&run).await;
    let large = "x".repeat(30 << 10);
    let negative = v1::RetryRunRequest { timeout: Some(seconds(-1)), ..Default::default() };
    let too_long =
        v1::RetryRunRequest { timeout: Some(seconds(31 * 86_400)), ..Default::default() };
    let nowhere = v1::RetryRunRequest { from_step: "laod".into(), ..with(&json!({"rate": 1})) };
    for (request, expected, word) in [
        (with(&json!({"rat": 1})), "INVALID_PIPELINE", "did you mean `rate`?"),
        (with(&json!({"rate": "fast"})), "INVALID_PIPELINE", "must be a finite number"),
        (with(&json!({"rate": null})), "INVALID_PIPELINE", "must be a finite number"),
        (negative, "INVALID_REQUEST", "is negative"),
        (too_long, "INVALID_REQUEST", "30 days"),
        (nowhere, "STEP_NOT_FOUND", "laod"),
        (
            v1::RetryRunRequest { from_step: "load".into(), ..with(&json!({"region": large})) },
            "TOO_LARGE",
            "20 KiB",
        ),
    ] {
        let refused = retry(&mut world.runs(), &run, request).await.unwrap_err();
        assert_eq!(reason(&refused), expected, "{}", refused.message());
        assert!(refused.message().contains(word), "{}", refused.message());
    }
    assert_eq!(get(&mut world.runs(), &run).await, failed);

    let sleeping =
        world.submit(crate::support::pipeline("p", vec![crate::support::sleeping("a")])).await;
    let most = v1::RetryRunRequest { max_parallelism: Some(1), ..Default::default() };
    let refused = retry(&mut world.runs(), &sleeping, most.clone()).await.unwrap_err();
    assert_eq!(reason(&refused), "RUN_NOT_ENDED");
    let quick = world.submit_file("name: quick\nsteps: {a: {run: ':'}}\n").await;
    assert_eq!(world.until_ended(&quick).await.state(), RunState::Succeeded);
    let refused = retry(&mut world.runs(), &quick, most).await.unwrap_err();
    assert_eq!(reason(&refused), "RUN_SUCCEEDED");
    drop(world.leave(&sleeping).await);
}

#[tokio::test]
async fn the_command_gives_values_by_their_parameters_types_and_shows_what_is_in_force() {
    let world = World::processes().await;
    let run = world.submit_file(TRAINING).await;
    world.until_ended(&run).await;
    let server = world.serve().await;
    let windlass = async |args: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
        command.args(args).args(["--server", &server]).env("NO_COLOR", "1");
        let output = limited(command.output()).await.unwrap();
        let (out, err) = (output.stdout, output.stderr);
        (output.status.code(), String::from_utf8([out, err].concat()).unwrap())
    };
    let (code, said) = windlass(&["retry", &run, "--param", "rate=fast"]).await;
    assert!(code == Some(2) && said.contains("`fast` is not a finite number"), "{code:?} {said}");
    let (code, said) = windlass(&["retry", &run, "-p", "region=south"]).await;
    assert!(code == Some(2) && said.contains("`--from STEP`"), "{code:?} {said}");
    let (code, said) = windlass(&["retry", &run, "--timeout", "0s"]).await;
    assert!(code == Some(2) && said.contains("or `none`"), "{code:?} {said}");

    let changes = ["--param", "rate=0.25", "--max-parallelism", "3", "--timeout", "none"];
    let (code, said) = windlass(&[&["retry", &run], &changes[..]].concat()).await;
    assert!(code == Some(0) && said.contains("will be retried"), "{code:?} {said}");
    assert_eq!(world.until_ended(&run).await.state(), RunState::Succeeded);
    let (_, shown) = windlass(&["get", &run]).await;
    for part in ["rate=0.25", "max_parallelism=3, timeout=none"] {
        assert!(shown.contains(part), "{shown}");
    }
    let (_, shown) = windlass(&["get", &run, "--output", "json"]).await;
    let document: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let limits = json!({"max_parallelism": 3, "timeout_seconds": null});
    assert_eq!(document["run"]["changed_limits"], limits, "{shown}");
}
