//! The command: signals, exit codes, output for programs.

use std::{
    fs,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_mins(1);

/// `windlass run` on a pipeline of one step, which has begun.
struct Running {
    child: Child,
    dir: TempDir,
}

impl Running {
    fn start(script: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let pipeline = format!(
            "name: p\ndefaults: {{termination_grace: 1s}}\nsteps:\n  a:\n    run: |\n      {script}\n"
        );
        fs::write(dir.path().join("pipeline.yaml"), pipeline).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
            .args(["run", "pipeline.yaml"])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(fs::File::create(dir.path().join("stderr")).unwrap()))
            .spawn()
            .unwrap();
        let running = Self { child, dir };
        until(|| running.dir.path().join("begun").exists());
        running
    }

    fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap()
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

/// Waits until a condition holds.
fn until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LIMIT, "it did not come to pass within the limit");
        std::thread::yield_now();
    }
}

fn is_alive(pid_file: &Path) -> bool {
    let pid = fs::read_to_string(pid_file).unwrap();
    kill(Pid::from_raw(pid.trim().parse().unwrap()), None).is_ok()
}

#[test]
fn one_interrupt_cancels_the_run_and_waits_for_its_end() {
    let mut run = Running::start("echo $$ > begun.new; mv begun.new begun; exec sleep 1000");
    run.interrupt();
    assert_eq!(run.ended().code(), Some(3), "{}", run.said());
    assert!(!is_alive(&run.dir.path().join("begun")), "the step is left behind");
}

#[test]
fn a_second_interrupt_leaves_at_once_and_the_step_is_killed_after_its_grace() {
    let mut run =
        Running::start("trap '' TERM; echo $$ > begun.new; mv begun.new begun; sleep 1000");
    run.interrupt();
    until(|| run.said().contains("cancelling"));
    run.interrupt();
    assert_eq!(run.ended().code(), Some(130), "{}", run.said());
    until(|| !is_alive(&run.dir.path().join("begun")));
}

#[test]
fn output_for_programs_is_json_alone() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/failing/pipeline.yaml");
    let output = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
        .args(["run", "--output", "json"])
        .arg(file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let events: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = events.last().unwrap();
    assert_eq!(last["run"]["state"], "failed", "{last}");
    let mut texts = events.iter().map(|event| &event["line"]["text"]);
    assert!(texts.any(|text| text == "attempt 3: connected"), "{events:?}");
}

#[test]
fn a_step_that_is_tried_again_at_once_is_told_of_with_the_cause() {
    let dir = TempDir::new().unwrap();
    let script =
        "[ $WINDLASS_ATTEMPT = 1 ] || exit 0; until [ -e go ]; do sleep 0.02; done; exit 7";
    let pipeline = format!("name: p\nsteps:\n  a: {{run: '{script}', retry: 1}}\n");
    fs::write(dir.path().join("pipeline.yaml"), pipeline).unwrap();
    let stdout = dir.path().join("stdout");
    let mut child = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
        .args(["run", "pipeline.yaml"])
        .current_dir(dir.path())
        .stdout(Stdio::from(fs::File::create(&stdout).unwrap()))
        .spawn()
        .unwrap();
    let told = || fs::read_to_string(&stdout).unwrap();
    until(|| told().contains("a started"));
    fs::write(dir.path().join("go"), "").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let cause = "a failed in attempt 1: the program ended with exit code 7; its log may say why; it is tried again";
    assert!(told().contains(cause), "{}", told());
}

#[test]
fn a_log_that_goes_to_no_terminal_has_no_colors() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), "name: p\nsteps:\n  a: {run: ':'}\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
        .args(["run", "pipeline.yaml"])
        .current_dir(dir.path())
        .env("WINDLASS_LOG", "debug")
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains(" DEBUG ") && !log.contains('\u{1b}'), "{log}");
}

#[test]
fn a_wrong_command_line_is_told_without_what_variables_say() {
    let output = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
        .arg("get")
        .env("WINDLASS_SERVER", "http://127.0.0.1:1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("\nUsage: windlass get [OPTIONS] <RUN>\n"), "{said}");
}

/// The first step fails, many depend on it, and many more on each other.
#[test]
fn many_steps_that_are_skipped_are_summed_up() {
    use std::fmt::Write as _;
    let dir = TempDir::new().unwrap();
    let mut pipeline = "name: p\nsteps:\n  a: {run: exit 3}\n".to_owned();
    for number in 1..=500 {
        writeln!(pipeline, "  s{number}: {{run: ':', depends_on: [a]}}").unwrap();
    }
    let mut before = "s500".to_owned();
    for number in 1..=200 {
        writeln!(pipeline, "  c{number}: {{run: ':', depends_on: [{before}]}}").unwrap();
        before = format!("c{number}");
    }
    fs::write(dir.path().join("pipeline.yaml"), pipeline).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"))
        .args(["run", "pipeline.yaml"])
        .current_dir(dir.path())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stdout).unwrap();
    let (_, summary) = told.split_once("701 steps: 1 failed, 700 skipped\n").expect(&told);
    let skipped: Vec<_> = summary.lines().filter(|line| line.contains("skipped")).collect();
    assert_eq!(
        skipped,
        [
            "skipped: 500 steps, because step `a` failed: s1, s2, s3 and 497 more",
            "skipped: 200 steps, because a step that each depends on was skipped: c1, c2, c3 and 197 more"
        ]
    );
    assert!(told.lines().count() < 20, "{told}");
}
