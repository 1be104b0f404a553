//! Why steps do not run, from the engine's own state to what people read.

use std::fs;

use serde_json::Value as Json;
use tempfile::TempDir;
use windlass_proto::v1::{self, ObstacleKind, StepState};

use crate::{
    bad_input::windlass,
    support::{World, limited, reason, run_id},
};

/// Steps that sleep do so until they are stopped.
const SLEEP: &str = "exec sleep 1000";

impl World {
    async fn explain(&self, run: &str, step: &str) -> v1::ExplainRunResponse {
        let request = v1::ExplainRunRequest { run_id: run.to_owned(), step: step.to_owned() };
        self.runs().explain_run(request).await.unwrap().into_inner()
    }

    /// What is said of a step that keeps it, as pairs of a kind and a sentence.
    async fn why(&self, run: &str, step: &str) -> Vec<(ObstacleKind, String)> {
        let explained = self.explain(run, step).await;
        assert_eq!(explained.steps[0].step.as_ref().unwrap().name, step);
        sentences(&explained.steps[0].obstacles)
    }

    /// Waits until a step is kept by exactly this.
    async fn until_kept(&self, run: &str, step: &str, by: &[ObstacleKind]) -> Vec<String> {
        let kept = async {
            loop {
                let (kinds, said): (Vec<_>, Vec<_>) = self.why(run, step).await.into_iter().unzip();
                if kinds == by {
                    return said;
                }
                tokio::task::yield_now().await;
            }
        };
        limited(kept).await
    }
}

fn sentences(obstacles: &[v1::Obstacle]) -> Vec<(ObstacleKind, String)> {
    obstacles.iter().map(|it| (it.kind(), it.message.clone())).collect()
}

fn names(explained: &v1::ExplainRunResponse) -> Vec<&str> {
    explained.steps.iter().map(|it| it.step.as_ref().unwrap().name.as_str()).collect()
}

#[tokio::test]
async fn a_step_waits_for_two_others_and_what_lies_in_a_group_for_the_group() {
    let world = World::processes().await;
    let run = world
        .submit_file(&format!(
            "
name: waits
steps:
  a: {{run: {SLEEP}}}
  b: {{run: {SLEEP}}}
  c: {{depends_on: [a, b], run: ':'}}
  g: {{depends_on: a, steps: {{h: {{run: ':'}}}}}}
exit_steps:
  bye: {{run: ':'}}
"
        ))
        .await;
    world.until_step(&run, "a", StepState::Running).await;
    let c = world.explain(&run, "c").await;
    assert_eq!(
        sentences(&c.steps[0].obstacles),
        [(ObstacleKind::Dependencies, "it waits for the end of steps `a` and `b`".to_owned())]
    );
    assert_eq!(c.steps[0].obstacles[0].steps, ["a", "b"]);
    assert_eq!((c.steps.len(), c.more, c.obstacles.len()), (1, 0, 0));
    let h = world.explain(&run, "g.h").await;
    assert_eq!(names(&h), ["g.h", "g"], "what it lies in is explained, too");
    assert_eq!(
        sentences(&h.steps[0].obstacles),
        [(ObstacleKind::HolderNotOpen, "`g`, which it lies in, has not begun".to_owned())]
    );
    assert_eq!(h.steps[1].obstacles[0].message, "it waits for the end of `a`");
    let bye = "it is an exit step, and 4 steps of the pipeline have not ended".to_owned();
    assert_eq!(world.why(&run, "bye").await, [(ObstacleKind::StepsNotEnded, bye)]);
    assert_eq!(world.why(&run, "a").await, []);
    world.until_step(&run, "b", StepState::Running).await;
    let all = world.explain(&run, "").await;
    assert_eq!((names(&all), all.more), (vec!["c", "g", "bye", "g.h"], 0));
    world.leave(&run).await;
}

#[tokio::test]
async fn a_paused_run_says_how_it_goes_on() {
    let world = World::processes().await;
    let text =
        format!("name: paused\nsteps:\n  a: {{run: {SLEEP}}}\n  b: {{depends_on: a, run: ':'}}\n");
    let run = world.submit_file(&text).await;
    world.until_step(&run, "a", StepState::Running).await;
    world.runs().pause_run(v1::PauseRunRequest { run_id: run.clone() }).await.unwrap();
    let kinds = [ObstacleKind::Dependencies, ObstacleKind::Paused];
    let said = world.until_kept(&run, "b", &kinds).await;
    assert_eq!(said[1], format!("the run is paused; `windlass resume {run}` lets it go on"));
    let b = world.explain(&run, "b").await;
    assert!(b.steps[0].obstacles[1].since.is_some());
    assert_eq!(b.run.unwrap().state(), v1::RunState::Paused);
    world.leave(&run).await;
}

#[tokio::test]
async fn the_limits_of_runs_and_loops_are_told_with_who_uses_them_up() {
    let world = World::processes().await;
    let limited_run = format!(
        "name: limited\nmax_parallelism: 2\nsteps:\n  a: {{run: {SLEEP}}}\n  b: {{run: {SLEEP}}}\n  c: {{run: ':'}}\n"
    );
    let run = world.submit_file(&limited_run).await;
    let said = world.until_kept(&run, "c", &[ObstacleKind::MaxParallelism]).await;
    let limit = "the run may have 2 attempts in flight (max_parallelism), and has 2: `a` and `b`";
    assert_eq!(said, [limit]);
    assert_eq!(world.explain(&run, "c").await.steps[0].obstacles[0].steps, ["a", "b"]);

    let looped = format!(
        "name: looped\nsteps:\n  l: {{for_each: {{count: 30, max_parallelism: 2}}, run: {SLEEP}}}\n"
    );
    let looped = world.submit_file(&looped).await;
    let kinds = [ObstacleKind::ItemNotBegun, ObstacleKind::LoopParallelism];
    world.until_step(&looped, "l", StepState::Running).await;
    let said = world.until_kept(&looped, "l.4", &kinds).await;
    assert_eq!(
        said,
        [
            "item 4 of `l` has not begun; 2 items begin before it",
            "`l` may have 2 items under way (max_parallelism), and has 2: 0 and 1"
        ]
    );
    let said = world.why(&looped, "l").await;
    let holds =
        "2 steps that it holds have not ended, and 28 of its items have not begun".to_owned();
    assert_eq!(said, [(ObstacleKind::Holds, holds)]);
    world.until_step(&looped, "l.0", StepState::Running).await;
    world.until_step(&looped, "l.1", StepState::Running).await;
    let all = world.explain(&looped, "").await;
    assert_eq!((all.steps.len(), all.more), (20, 8));
    assert_eq!(names(&all)[..2], ["l.2", "l.3"]);
    world.runs().cancel_run(v1::CancelRunRequest { run_id: looped }).await.unwrap();
    world.leave(&run).await;
}

#[tokio::test]
async fn a_retry_tells_until_when_it_waits_and_why() {
    let world = World::processes().await;
    let text = "name: retried\nsteps:\n  a: {run: exit 3, retry: {limit: 1, delay: 1h}}\n";
    let run = world.submit_file(text).await;
    world.until_kept(&run, "a", &[ObstacleKind::Retry]).await;
    let explained = world.explain(&run, "a").await;
    let [obstacle] = explained.steps[0].obstacles.as_slice() else { panic!("{explained:?}") };
    let said = "its latest attempt failed, and the next one waits for its delay: the program ended with exit code 3";
    assert!(obstacle.message.starts_with(said), "{obstacle:?}");
    let status = explained.steps[0].step.as_ref().unwrap();
    assert_eq!((obstacle.until, status.state()), (status.retry_time, StepState::Delayed));
    assert!(obstacle.until.is_some());
    world.leave(&run).await;
}

#[tokio::test]
async fn what_has_ended_says_how_and_what_is_not_there_is_refused() {
    let world = World::processes().await;
    let run = world
        .submit_file(
            "
name: ended
steps:
  a: {run: exit 3}
  b: {depends_on: a, run: ':'}
  c: {run: ':'}
",
        )
        .await;
    world.until_ended(&run).await;
    let all = world.explain(&run, "").await;
    let failed =
        format!("the run has failed: step `a` failed; `windlass retry {run}` takes it up again");
    assert_eq!(sentences(&all.obstacles), [(ObstacleKind::Ended, failed)]);
    assert_eq!((all.steps.len(), all.more), (0, 0));
    let ended = |sentence: &str| vec![(ObstacleKind::Ended, sentence.to_owned())];
    assert_eq!(world.why(&run, "b").await, ended("it was skipped because step `a` failed"));
    assert_eq!(world.why(&run, "c").await, ended("it has succeeded"));
    assert!(
        world.why(&run, "a").await[0]
            .1
            .starts_with("it has failed: the program ended with exit code 3")
    );

    let refused = async |run: &str, step: &str| {
        let request = v1::ExplainRunRequest { run_id: run.to_owned(), step: step.to_owned() };
        world.runs().explain_run(request).await.unwrap_err()
    };
    let status = refused(&run, "d").await;
    assert_eq!(reason(&status), "STEP_NOT_FOUND");
    assert!(status.message().contains("has no step `d`; `windlass get"), "{status}");
    assert_eq!(reason(&refused(&run_id(), "a").await), "RUN_NOT_FOUND");
    assert_eq!(reason(&refused("run", "a").await), "INVALID_REQUEST");

    let text = format!(
        "name: later\nsteps:\n  a: {{run: {SLEEP}}}\n  l: {{depends_on: a, for_each: 2, run: ':'}}\n"
    );
    let later = world.submit_file(&text).await;
    let status = refused(&later, "l.0").await;
    assert_eq!(reason(&status), "STEP_NOT_FOUND");
    let said = format!("since `l` has not got its items; `windlass explain {later} l` tells why");
    assert!(status.message().contains(&said), "{status}");
    world.leave(&later).await;
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_people_in_sentences_and_programs_in_words() {
    let world = World::processes().await;
    let server = world.serve().await;
    let text_of =
        format!("name: shown\nsteps:\n  a: {{run: {SLEEP}}}\n  b: {{depends_on: a, run: ':'}}\n");
    let run = world.submit_file(&text_of).await;
    world.until_step(&run, "a", StepState::Running).await;
    let dir = TempDir::new().unwrap();
    let shown = windlass(dir.path(), &["explain", &run, "--server", &server]);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let shown = text(&shown.stdout);
    let (heading, rest) = shown.split_once('\n').unwrap();
    assert!(heading.starts_with(&format!("{run} shown running for ")), "{heading}");
    assert_eq!(rest, "\nb waiting\n  it waits for the end of `a`\n");
    let args = ["explain", &run[..12], "b", "--server", &server, "--output", "json"];
    let document: Json = serde_json::from_slice(&windlass(dir.path(), &args).stdout).unwrap();
    assert_eq!(document["steps"][0]["step"]["name"], "b");
    let obstacle = &document["steps"][0]["obstacles"][0];
    assert_eq!((&obstacle["kind"], &obstacle["steps"][0]), (&"dependencies".into(), &"a".into()));
    world.leave(&run).await;
}

const DRY: &str = r#"
name: dry
parameters: {day: {type: string}, n: 2}
steps:
  load:
    run: "touch started"
    env: {DAY: "${{ params.day }}"}
  fit: {for_each: 3, command: [fit, "${{ params.n }}"]}
"#;

#[test]
fn a_dry_run_prints_the_plan_and_starts_nothing() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("p.yaml"), DRY).unwrap();
    let dry = |args: &[&str]| windlass(dir.path(), &[args, &["--dry-run", "p.yaml"]].concat());
    let shown = dry(&["run", "-p", "day=monday"]);
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let shown = text(&shown.stdout);
    for part in [
        "1 load\n",
        "env        DAY=monday",
        "1 fit\n  for        each of 3 items",
        "1 fit.*, 3 times",
    ] {
        assert!(shown.contains(part), "{part} is not in: {shown}");
    }
    // Nobody listens there.
    let submitted =
        dry(&["submit", "-p", "day=monday", "--server", "http://127.0.0.1:1", "--output", "json"]);
    assert!(submitted.status.success(), "{}", text(&submitted.stderr));
    let plan: Json = serde_json::from_slice(&submitted.stdout).unwrap();
    assert_eq!(plan["plan"]["steps"][0]["task"]["env"]["DAY"], "monday");
    assert_eq!(plan["plan"]["steps"][0]["task"]["working_dir"], Json::Null);
    assert!(!dir.path().join("started").exists());
}

#[test]
fn a_dry_run_refuses_what_a_run_would_in_the_same_words() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("p.yaml"), DRY).unwrap();
    fs::write(dir.path().join("wrong.yaml"), DRY.replace("steps:", "stpes:")).unwrap();
    let run = |args: &[&str]| {
        let output = windlass(dir.path(), &[&["run"], args].concat());
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    for (args, said) in [
        (&["p.yaml"][..], "parameter `day` has no value"),
        (&["p.yaml", "-p", "day=monday", "-p", "n=two"], "the value of parameter `n`"),
        (&["p.yaml", "-p", "day=monday", "-p", "m=1"], "has no parameter `m`"),
        (&["wrong.yaml", "-p", "day=monday"], "stpes"),
        (&["p.yaml", "-p", "day=monday", "--priority", "1001"], "the priority is 1001"),
        (&["p.yaml", "-p", "day=monday", "--limit", "GPU=1"], "no lawful name of a limit"),
        (&["p.yaml", "-p", "day=monday", "--limit", "gpu=0"], "of size 0 would ever start"),
    ] {
        let dry = run(&[args, &["--dry-run"]].concat());
        assert_eq!(dry, run(args));
        assert!(dry.0 == Some(2) && dry.2.contains(said), "{dry:?}");
    }
}
