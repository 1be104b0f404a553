//! Every example, run as the README says.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use windlass_pipeline::file::{self, FileOptions};
use windlass_proto::{
    json,
    v1::{StepState, step::Work},
};

use crate::support::World;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn run(example: &str, parameters: &[&str]) -> Output {
    let file = examples().join(example).join("pipeline.yaml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
    command.arg("run").arg(file);
    for parameter in parameters {
        command.args(["-p", parameter]);
    }
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn hello_says_hello_to_whom_it_is_told() {
    let output = run("hello", &["name=Ada"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("Hello, Ada!"), "{}", text(&output));
}

#[test]
fn failing_fails_names_what_failed_and_cleans_up() {
    let output = run("failing", &[]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for expected in [
        "attempt 3: connected",
        "row 3 has 2 columns instead of 4",
        "import",
        "publish",
        "disconnected",
    ] {
        assert!(text.contains(expected), "{expected} is not in:\n{text}");
    }
}

#[test]
fn penguins_finds_the_best_model_and_writes_its_report() {
    let out = tempfile::tempdir().unwrap();
    let output = run("penguins", &[&format!("out={}", out.path().display())]);
    assert!(output.status.success(), "{}", text(&output));
    let report = fs::read_to_string(out.path().join("report.md")).unwrap();
    insta::assert_snapshot!(report);
}

#[test]
fn loop_counts_the_letters_of_each_word_and_adds_them_up() {
    let output = run("loop", &[]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("35 letters in all"), "{}", text(&output));
    let output = run("loop", &["text="]);
    assert!(text(&output).contains("0 letters in all"), "{}", text(&output));
}

#[test]
fn large_loop_adds_up_the_items_of_a_list_that_is_too_large_for_an_output() {
    let output = run("large-loop", &[]);
    assert!(output.status.success(), "{}", text(&output));
    for expected in ["the list has 104667 bytes", "customer 2: 147000", "1746000 in all"] {
        assert!(text(&output).contains(expected), "{expected} is not in:\n{}", text(&output));
    }
}

#[test]
fn group_finds_the_warmest_of_the_stations() {
    let output = run("group", &[]);
    assert!(output.status.success(), "{}", text(&output));
    for expected in ["measuring in degrees", "hill: 16 degrees", "the warmest is harbour with 19"] {
        assert!(text(&output).contains(expected), "{}", text(&output));
    }
}

#[test]
fn branches_takes_the_branch_that_the_score_asks_for() {
    for (score, verdict) in
        [("9", "published"), ("6", "published after a question"), ("2", "dropped")]
    {
        let output = run("branches", &[&format!("score={score}"), "notify=true"]);
        assert!(output.status.success(), "{}", text(&output));
        let said = text(&output);
        assert!(said.contains(&format!("It was {verdict}.")), "{said}");
        assert_eq!(said.contains("Come and see."), verdict != "dropped", "{said}");
    }
}

#[test]
fn exit_steps_tidy_up_and_say_how_the_run_has_ended() {
    let output = run("exit-steps", &[]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("Done: all of it."), "{}", text(&output));
    let output = run("exit-steps", &["outcome=bad"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    for expected in ["tidied up", "The run failed; its work failed."] {
        assert!(text(&output).contains(expected), "{}", text(&output));
    }
}

#[tokio::test]
async fn limits_prints_one_letter_at_a_time() {
    let output = run("limits", &[]);
    assert!(output.status.success(), "{}", text(&output));
    for letter in ["invitation", "reminder", "thanks"] {
        let line = format!("printing: Dear all, this is the {letter}.");
        assert!(text(&output).contains(&line), "{}", text(&output));
    }

    let world = World::processes().await;
    let pipeline = fs::read(examples().join("limits/pipeline.yaml")).unwrap();
    let pipeline = file::parse(&pipeline, &FileOptions::default()).unwrap();
    let run = world.submit(pipeline).await;
    world.until_ended(&run).await;
    let steps = world.steps(&run).await;
    let pages = (0..3).map(|item| &steps[&format!("print.{item}")]);
    let nanos = |time: Option<prost_types::Timestamp>| {
        let time = time.unwrap();
        i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
    };
    let mut times: Vec<_> =
        pages.map(|page| (nanos(page.start_time), nanos(page.end_time))).collect();
    times.sort_unstable();
    assert!(times.is_sorted_by(|one, next| one.1 <= next.0), "{times:?}");
}

#[test]
fn cache_counts_again_only_where_the_text_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["pipeline.yaml", "words.txt"] {
        fs::copy(examples().join("cache").join(file), dir.path().join(file)).unwrap();
    }
    let run = || {
        let output = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
            .args(["run", "pipeline.yaml", "--state-dir", "state"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    let [first, second] = [run(), run()];
    assert!(first.contains("counting words of up to 5 letters"), "{first}");
    assert!(second.contains("count cached: taken from run_"), "{second}");
    assert!(first.contains("10 short words") && second.contains("10 short words"), "{second}");
    fs::write(dir.path().join("words.txt"), "one two three\n").unwrap();
    let third = run();
    assert!(third.contains("3 short words") && !third.contains("cached"), "{third}");
}

#[tokio::test]
async fn approval_publishes_what_somebody_has_approved_and_withdraws_what_was_rejected() {
    let world = World::processes().await;
    let url = world.serve().await;
    let windlass = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
        command.args(arguments).env("WINDLASS_SERVER", &url);
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let file = examples().join("approval/pipeline.yaml");
    for (word, step, expected) in [
        ("--comment=it flies", "publish", "published 1.4, approved by Ada: it flies"),
        ("--reject", "withdraw", "withdrew 1.4"),
    ] {
        let submitted = windlass(&["submit", file.to_str().unwrap()]).await;
        let is_id = |word: &&str| word.starts_with("run_");
        let run = submitted.split_whitespace().find(is_id).expect("it tells the run's id");
        world.until_step(run, "sign-off", StepState::Suspended).await;
        windlass(&["approve", run, "sign-off", "--by", "Ada", word]).await;
        world.until_ended(run).await;
        assert_eq!(world.lines(run).await[step], expected);
    }
}

#[test]
fn kubernetes_is_valid() {
    let read = |name: &str| fs::read(examples().join("kubernetes").join(name)).unwrap();
    for name in ["pipeline.yaml", "volume.yaml"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
        let file = examples().join("kubernetes").join(name);
        let output = command.arg("validate").arg(file).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
    let parse = |name: &str| file::parse(&read(name), &FileOptions::default()).unwrap();
    for step in parse("pipeline.yaml").steps {
        let Some(Work::Task(task)) = step.work else { panic!("{step:?}") };
        let needed = task.env.iter().filter_map(|it| it.secret.as_ref()).find(|it| !it.optional);
        assert_eq!(needed, None, "a fresh cluster has no secrets");
        let pod = task.pod.unwrap();
        assert_eq!((pod.volumes, pod.env_from), (None, None), "and nothing else to lean on");
    }
    let claim = String::from_utf8(read("claim.yaml")).unwrap();
    let steps = parse("volume.yaml").steps;
    assert!(!steps.is_empty());
    for step in steps {
        let Some(Work::Task(task)) = step.work else { panic!("{step:?}") };
        let volumes = task.pod.unwrap().volumes.unwrap().values;
        let volume = json::from_value(&volumes[0]);
        let name = volume["persistentVolumeClaim"]["claimName"].as_str().unwrap();
        assert!(claim.contains(&format!("\n  name: {name}\n")), "{claim}");
    }
}

/// An example that no test names is not an example.
#[test]
fn every_example_is_run_by_a_test() {
    let mut names: Vec<_> = fs::read_dir(examples())
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().join("pipeline.yaml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "approval",
            "branches",
            "cache",
            "exit-steps",
            "failing",
            "group",
            "hello",
            "kubernetes",
            "large-loop",
            "limits",
            "loop",
            "penguins"
        ]
    );
}
