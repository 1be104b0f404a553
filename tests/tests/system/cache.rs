//! Results that are kept, and taken the next time.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use windlass_proto::{
    json,
    v1::{self, Reason, RunState, StepState},
};

use crate::support::{World, parsed, reason};

/// A step with a cache, of which each start leaves a line in a file, and one that is told what it came to.
const COUNTED: &str = r#"
name: counted
parameters: {letters: abc}
steps:
  count:
    cache: true
    env: {LETTERS: "${{ params.letters }}", LEDGER: "LEDGER-FILE"}
    run: |
      echo "counting $LETTERS" | tee -a "$LEDGER"
      echo "{\"count\": ${#LETTERS}}" > "$WINDLASS_OUTPUT"
    outputs: count
  tell:
    command: [echo, "${{ steps.count.outputs.count }} letters"]
"#;

/// Processes, and the file in which they leave their lines.
struct Ledger {
    world: World,
    file: PathBuf,
}

impl Ledger {
    async fn new() -> Self {
        let world = World::processes().await;
        let file = world.file("ledger");
        Self { world, file }
    }

    fn pipeline(&self, text: &str) -> v1::Pipeline {
        parsed(&text.replace("LEDGER-FILE", self.file.to_str().unwrap()))
    }

    /// How many steps have begun.
    fn starts(&self) -> usize {
        fs::read_to_string(&self.file).unwrap_or_default().lines().count()
    }

    async fn submit(&self, request: v1::SubmitRunRequest) -> Ended {
        let run = self.world.runs().submit_run(request).await.unwrap().into_inner().run.unwrap();
        self.end_of(run.run_id).await
    }

    async fn end_of(&self, run_id: String) -> Ended {
        let run = self.world.until_ended(&run_id).await;
        Ended { run, steps: self.world.steps(&run_id).await }
    }

    async fn run(&self, text: &str) -> Ended {
        self.submit(request(self.pipeline(text))).await
    }

    async fn clear(&self, request: v1::ClearCacheRequest) -> u64 {
        self.world.runs().clear_cache(request).await.unwrap().into_inner().forgotten
    }
}

struct Ended {
    run: v1::Run,
    steps: BTreeMap<String, v1::StepStatus>,
}

impl Ended {
    /// Whether a step has succeeded by a result that was taken; it must have succeeded.
    #[track_caller]
    fn took(&self, step: &str) -> bool {
        let step = &self.steps[step];
        assert_eq!(step.state(), StepState::Succeeded, "{step:?}");
        step.reason() == Reason::Cached
    }
}

fn request(pipeline: v1::Pipeline) -> v1::SubmitRunRequest {
    v1::SubmitRunRequest { pipeline: Some(pipeline), ..Default::default() }
}

#[tokio::test]
async fn a_result_is_taken_instead_of_running_the_step_again_and_that_is_told() {
    let ledger = Ledger::new().await;
    let first = ledger.run(COUNTED).await;
    assert!(!first.took("count"));
    let second = ledger.run(COUNTED).await;
    assert!(second.took("count") && !second.took("tell"));
    assert_eq!((second.run.state(), ledger.starts()), (RunState::Succeeded, 1));

    let count = &second.steps["count"];
    assert_eq!(count.outputs, first.steps["count"].outputs);
    assert_eq!(json::from_value(&count.outputs["count"]), 3);
    assert_eq!((count.attempt, count.start_time, count.failures), (1, None, 0));
    let origin = first.steps["count"].end_time.unwrap();
    let expected = format!("taken from {}, step `count`, of {origin}", first.run.run_id);
    assert_eq!(count.message, expected);

    let listing = v1::ListAttemptsRequest {
        run_id: second.run.run_id.clone(),
        step: "count".into(),
        ..Default::default()
    };
    let attempts = ledger.world.runs().list_attempts(listing).await.unwrap().into_inner().attempts;
    let [attempt] = &attempts[..] else { panic!("{attempts:?}") };
    assert_eq!((attempt.number, attempt.state()), (1, v1::AttemptState::Succeeded));
    assert_eq!((attempt.reason(), &attempt.message), (Reason::Cached, &expected));
    let source = v1::CacheSource {
        run_id: first.run.run_id.clone(),
        step: "count".into(),
        time: Some(origin),
    };
    assert_eq!(attempt.cached_from, Some(source));

    let lines = ledger.world.lines(&second.run.run_id).await;
    let run = &first.run.run_id;
    assert_eq!(
        lines["count"],
        format!("nothing was run: the result is that of step `count` of {run}, of {origin}")
    );
    assert_eq!(lines["tell"], "3 letters");
}

#[tokio::test]
async fn what_the_result_depends_on_decides_and_nothing_else() {
    let ledger = Ledger::new().await;
    ledger.run(COUNTED).await;
    let changed = [
        ("letters: abc", "letters: abcd"),
        ("echo \"counting $LETTERS\"", "echo \"Counting $LETTERS\""),
        ("env: {", "env: {MORE: x, "),
        ("    outputs: count\n", "    outputs: count\n    args: [x]\n"),
        ("    outputs: count\n", "    outputs: count\n    working_dir: /\n"),
        ("cache: true", "cache: {salt: v2}"),
        ("cache: true", "cache: {key: \"${{ params.letters }}\"}"),
        ("cache: true", "cache: {key: \"${{ params.letters }}\", salt: v2}"),
        ("steps:\n", "defaults: {env: {OTHER: y}}\nsteps:\n"),
    ];
    for (starts, (from, to)) in (2..).zip(changed) {
        let text = COUNTED.replacen(from, to, 1);
        assert!(!ledger.run(&text).await.took("count"), "{to}");
        assert_eq!(ledger.starts(), starts, "{to}");
        assert!(ledger.run(&text).await.took("count"), "the second time: {to}");
    }
    let starts = ledger.starts();
    for (from, to) in [
        ("name: counted", "name: renamed"),
        ("    outputs: count\n", "    outputs: [count]\n    retry: 3\n    timeout: 1h\n"),
        ("    outputs: count\n", "    outputs: count\n    resources: {memory: 1Gi}\n"),
        ("    outputs: count\n", "    outputs: count\n    description: Counts.\n"),
        ("cache: true", "cache: {max_age: 1h}"),
    ] {
        assert!(ledger.run(&COUNTED.replacen(from, to, 1)).await.took("count"), "{to}");
    }
    let renamed = COUNTED.replace("  count:\n", "  sum:\n").replace("steps.count", "steps.sum");
    assert!(ledger.run(&renamed).await.took("sum"));
    assert_eq!(ledger.starts(), starts);
}

#[tokio::test]
async fn a_result_that_is_too_old_is_not_taken() {
    let ledger = Ledger::new().await;
    let first = ledger.run(COUNTED).await;
    let end = SystemTime::try_from(first.steps["count"].end_time.unwrap()).unwrap();
    let max_age = Duration::from_millis(1);
    while SystemTime::now() <= end + 10 * max_age {
        tokio::task::yield_now().await;
    }
    let impatient = COUNTED.replace("cache: true", "cache: {max_age: 1ms}");
    assert!(!ledger.run(&impatient).await.took("count"));
    assert_eq!(ledger.starts(), 2);
    // How old it may be is no part of the key: the newer result has taken the place of the older one.
    let third = ledger.run(COUNTED).await;
    assert!(third.took("count"));
    assert!(!third.steps["count"].message.contains(&first.run.run_id));
}

#[tokio::test]
async fn a_run_or_a_pipeline_without_the_cache_takes_nothing_and_leaves_nothing() {
    let ledger = Ledger::new().await;
    let pipeline = ledger.pipeline(COUNTED);
    let without = v1::SubmitRunRequest { no_cache: true, ..request(pipeline.clone()) };
    assert!(!ledger.submit(without.clone()).await.took("count"));
    assert!(!ledger.run(COUNTED).await.took("count"), "nothing was left");
    let again = ledger.submit(without).await;
    assert!(!again.took("count"), "there is a result by now");
    let rerun = v1::RerunRunRequest { run_id: again.run.run_id, ..Default::default() };
    let rerun = ledger.world.runs().rerun_run(rerun).await.unwrap().into_inner().run.unwrap();
    assert!(!ledger.end_of(rerun.run_id).await.took("count"), "a rerun does without as well");
    let off = COUNTED.replacen("name: counted", "name: counted\ncache: false", 1);
    assert!(!ledger.run(&off).await.took("count"));
    let by_default = COUNTED
        .replacen("name: counted", "name: counted\ndefaults: {cache: true}", 1)
        .replacen("cache: true\n    env", "cache: false\n    env", 1);
    let ended = ledger.run(&by_default).await;
    assert!(!ended.took("count") && !ended.took("tell"));
    assert_eq!(ledger.starts(), 6);
    assert!(ledger.run(COUNTED).await.took("count"));
    assert!(ledger.run(&by_default).await.took("tell"));
}

#[tokio::test]
async fn namespaces_do_not_share_results_and_a_run_that_is_deleted_leaves_its_own() {
    let ledger = Ledger::new().await;
    let of = |namespace: &str| v1::SubmitRunRequest {
        namespace: namespace.to_owned(),
        ..request(ledger.pipeline(COUNTED))
    };
    let first = ledger.submit(of("north")).await;
    assert!(!ledger.submit(of("south")).await.took("count"));
    assert!(!ledger.submit(of("")).await.took("count"));
    let run_id = first.run.run_id;
    ledger.world.runs().delete_run(v1::DeleteRunRequest { run_id: run_id.clone() }).await.unwrap();
    let again = ledger.submit(of("north")).await;
    assert!(again.took("count") && again.steps["count"].message.contains(&run_id));
    assert_eq!(ledger.starts(), 3);
}

#[tokio::test]
async fn a_step_that_failed_runs_again() {
    let ledger = Ledger::new().await;
    let mark = ledger.world.file("mark");
    let failing = COUNTED.replace(
        "      echo \"{",
        &format!("      [ -e {} ] || exit 3\n      echo \"{{", mark.display()),
    );
    assert_eq!(ledger.run(&failing).await.run.state(), RunState::Failed);
    let ignored = failing.replace(
        "cache: true",
        "cache: true\n    retry: {rules: [{exit_codes: [3], action: ignore}]}",
    );
    let ended = ledger
        .run(&ignored.replace("${{ steps.count.outputs.count }}", "${{ steps.count.state }}"))
        .await;
    assert_eq!(ended.steps["count"].reason(), Reason::ExitCode, "nothing to take");
    assert_eq!(ended.steps["count"].state(), StepState::Succeeded);
    fs::write(&mark, "").unwrap();
    assert!(!ledger.run(&failing).await.took("count"));
    assert!(ledger.run(&failing).await.took("count"));
    assert_eq!(ledger.starts(), 3);
}

#[tokio::test]
async fn each_item_of_a_loop_has_a_result_of_its_own() {
    let ledger = Ledger::new().await;
    let squares = r#"
name: squares
steps:
  square:
    for_each: [2, 3, 4]
    cache: true
    env: {N: "${{ item }}", LEDGER: "LEDGER-FILE"}
    run: |
      echo "$N" >> "$LEDGER"
      echo "{\"square\": $((N * N))}" > "$WINDLASS_OUTPUT"
    outputs: square
  all:
    command: [echo, "${{ steps.square.outputs.square }}"]
"#;
    ledger.run(squares).await;
    assert_eq!(ledger.starts(), 3);
    let ended = ledger.run(&squares.replace("[2, 3, 4]", "[4, 5, 2]")).await;
    let took = ["square.0", "square.1", "square.2"].map(|step| ended.took(step));
    assert_eq!((took, ledger.starts()), ([true, false, true], 4));
    assert!(ended.steps["square.0"].message.contains("step `square.2`"));
    assert_eq!(ledger.world.lines(&ended.run.run_id).await["all"], "[16,25,4]");
}

#[tokio::test]
async fn a_retry_of_a_run_takes_results_that_came_meanwhile() {
    let ledger = Ledger::new().await;
    let mark = ledger.world.file("mark");
    let failing = COUNTED.replace(
        "      echo \"{",
        &format!("      [ -e {} ] || exit 3\n      echo \"{{", mark.display()),
    );
    let failed = ledger.run(&failing).await;
    fs::write(&mark, "").unwrap();
    let other = ledger.run(&failing).await;
    let run_id = failed.run.run_id;
    let retry = v1::RetryRunRequest { run_id: run_id.clone(), ..Default::default() };
    ledger.world.runs().retry_run(retry).await.unwrap();
    let retried = ledger.end_of(run_id).await;
    assert!(retried.took("count") && retried.steps["count"].message.contains(&other.run.run_id));
    assert_eq!((retried.steps["count"].attempt, ledger.starts()), (2, 2));
}

#[tokio::test]
async fn results_are_forgotten_on_request_and_what_is_meant_must_be_clear() {
    let ledger = Ledger::new().await;
    ledger.run(COUNTED).await;
    let of = |pipeline: &str, step: &str| v1::ClearCacheRequest {
        namespace: String::new(),
        pipeline: pipeline.to_owned(),
        step: step.to_owned(),
    };
    assert_eq!(ledger.clear(of("counted", "tell")).await, 0);
    assert_eq!(ledger.clear(of("others", "")).await, 0);
    let elsewhere = v1::ClearCacheRequest { namespace: "north".into(), ..Default::default() };
    assert_eq!(ledger.clear(elsewhere).await, 0);
    assert!(ledger.run(COUNTED).await.took("count"));
    assert_eq!(ledger.clear(of("counted", "count")).await, 1);
    assert!(!ledger.run(COUNTED).await.took("count"));

    let address = ledger.world.serve().await;
    let command = |arguments: &'static [&'static str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
        command.args(["cache", "clear", "--server", &address]).args(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let output = command(&["--pipeline", "counted"]).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 result is forgotten\n", "{output:?}");
    let output = command(&["--output", "json"]).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"forgotten\":0}\n", "{output:?}");
    let output = command(&["--step", "count"]).await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!ledger.run(COUNTED).await.took("count"));

    let refused = ledger.world.runs().clear_cache(of("", "count")).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_REQUEST");
    let endless = ledger.pipeline(&COUNTED.replace("cache: true", "cache: {max_age: 1h}"));
    let mut endless = request(endless);
    let Some(v1::step::Work::Task(task)) = &mut endless.pipeline.as_mut().unwrap().steps[0].work
    else {
        panic!("a task")
    };
    task.cache.as_mut().unwrap().max_age = Some(prost_types::Duration::default());
    let refused = ledger.world.runs().submit_run(endless).await.unwrap_err();
    assert_eq!(reason(&refused), "INVALID_PIPELINE");
    assert!(refused.message().contains("max_age"), "{}", refused.message());
}

/// What `windlass run` shows of a pipeline in this directory, with its state beside it.
fn shown(dir: &Path, options: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
        .args(["run", "--state-dir", "state"])
        .args(options)
        .arg("pipeline.yaml")
        .current_dir(dir)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn the_command_says_what_was_taken_and_may_be_told_to_take_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let text = COUNTED.replace("LEDGER-FILE", dir.path().join("ledger").to_str().unwrap());
    fs::write(dir.path().join("pipeline.yaml"), text).unwrap();
    assert!(!shown(dir.path(), &[]).contains("count cached"));
    let second = shown(dir.path(), &[]);
    assert!(second.contains("count cached: taken from run_"), "{second}");
    assert!(second.contains("nothing was run: the result is that of step `count`"), "{second}");
    assert!(!shown(dir.path(), &["--no-cache"]).contains("count cached"));
    assert!(!shown(dir.path(), &["-p", "letters=z"]).contains("count cached"));
    let events = shown(dir.path(), &["--output", "json"]);
    let steps =
        events.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut steps = steps.filter(|event| event["step"]["name"] == "count");
    let is_cached = |event: &serde_json::Value| {
        event["step"]["state"] == "succeeded" && event["step"]["reason"] == "cached"
    };
    assert!(steps.any(|event| is_cached(&event)), "{events}");
    assert_eq!(fs::read_to_string(dir.path().join("ledger")).unwrap().lines().count(), 3);
}
