//! A launcher that has no file descriptor left. In a program of its own, since the limit is the whole process's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    time::{Duration, Instant},
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use windlass_engine::event::AttemptPhase;
use windlass_launcher::runtime::{
    AttemptKey, AttemptSpec, Report, Runtime as _,
    process::{ProcessConfig, ProcessRuntime, Supervisor},
};

/// Longer than anything takes, however busy the machine.
const LIMIT: Duration = Duration::from_mins(1);

/// Where log lines go.
#[derive(Clone)]
struct Log(Sender<String>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log() -> Receiver<String> {
    let (lines, log) = channel();
    let writer = Log(lines);
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    log
}

/// An attempt of a step, running a shell script.
fn script(step: u32, script: &str) -> AttemptSpec {
    let run = "run_0123456789abcdefghijklmnop".parse().unwrap();
    AttemptSpec {
        key: AttemptKey { run, step, attempt: 1 },
        namespace: "default".to_owned(),
        pipeline: "p".to_owned(),
        image: None,
        args: Vec::new(),
        secrets: BTreeMap::new(),
        pod: None,
        step: format!("step-{step}"),
        command: ["sh", "-c", script].map(str::to_owned).into(),
        env: BTreeMap::new(),
        working_dir: None,
        termination_grace: Duration::from_secs(1),
        memory_bytes: None,
        outputs: Vec::new(),
        cache: None,
        cached: None,
    }
}

/// What is reported next of a step.
async fn next(reports: &mut UnboundedReceiver<Report>, step: u32) -> AttemptPhase {
    let next = async {
        loop {
            let Report { report, .. } = reports.recv().await.unwrap();
            if report.step.0 == step {
                return report.phase;
            }
        }
    };
    tokio::time::timeout(LIMIT, next).await.expect("a report comes")
}

fn wait_for(file: &Path) {
    let until = Instant::now() + LIMIT;
    // Asks for no descriptor.
    while !file.exists() {
        assert!(Instant::now() < until, "there is no {}", file.display());
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn attempts_begin_and_end_late_without_descriptors_and_none_is_lost_or_fails() {
    let log = log();
    let dir = tempfile::tempdir().unwrap();
    let supervisor =
        Supervisor { program: env!("CARGO_BIN_EXE_windlass-supervise").into(), args: Vec::new() };
    let (sender, mut reports) = unbounded_channel();
    let config = ProcessConfig::new(dir.path().to_path_buf(), supervisor);
    let slots = config.slots.saturating_add(2);
    let runtime = ProcessRuntime::open(ProcessConfig { slots, ..config }, sender).unwrap();
    let run_dir = dir.path().join("run_0123456789abcdefghijklmnop");
    let ends = "while [ ! -s \"$WINDLASS_RUN_DIR/go\" ]; do sleep 0.01; done";
    runtime.start(vec![script(0, ends)], Instant::now()).await;
    while next(&mut reports, 0).await != AttemptPhase::Running {}
    let mut go = fs::File::create(run_dir.join("shared/go")).unwrap();
    let (given, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();

    setrlimit(Resource::RLIMIT_NOFILE, 0, most).unwrap();
    go.write_all(b"go").unwrap();
    runtime.start(vec![script(1, "true")], Instant::now()).await;
    wait_for(&run_dir.join("0/1/outcome.json"));
    let told = log.recv_timeout(LIMIT);
    setrlimit(Resource::RLIMIT_NOFILE, given, most).unwrap();

    let told = told.unwrap();
    assert!(told.contains("waits") && told.contains("ulimit -n"), "{told}");
    assert_eq!(next(&mut reports, 0).await, AttemptPhase::Succeeded(None));
    let mut phases = Vec::new();
    while !matches!(phases.last(), Some(AttemptPhase::Succeeded(_))) {
        phases.push(next(&mut reports, 1).await);
        assert!(!matches!(phases.last(), Some(AttemptPhase::Failed(_))), "{phases:?}");
    }

    // A launcher that may open more than it was given keeps that to itself.
    setrlimit(Resource::RLIMIT_NOFILE, 256, most).unwrap();
    windlass_service::descriptors::raise_limit();
    assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (most, most));
    runtime
        .start(vec![script(2, "ulimit -Sn > \"$WINDLASS_RUN_DIR/limit\"")], Instant::now())
        .await;
    while !matches!(next(&mut reports, 2).await, AttemptPhase::Succeeded(_)) {}
    assert_eq!(fs::read_to_string(run_dir.join("shared/limit")).unwrap(), "256\n");
}
