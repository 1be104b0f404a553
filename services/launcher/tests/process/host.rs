//! A runtime in a directory of its own, and what its tests ask of it.

use std::{
    collections::BTreeMap,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use windlass_engine::event::{AttemptPhase, AttemptReport};
use windlass_launcher::{
    log_file::{LogReader, LogRecord},
    runtime::{
        AttemptKey, AttemptSpec, KeepResult, Report, Runtime as _,
        process::{DEFAULT_LOG_LIMIT, ProcessConfig, ProcessRuntime, Supervisor, log_file},
    },
};

/// Longer than anything takes, however busy the machine.
const LIMIT: Duration = Duration::from_mins(1);
/// How often a condition that nobody tells of is looked at.
const INTERVAL: Duration = Duration::from_millis(5);

pub(crate) struct Host {
    config: ProcessConfig,
    runtime: Option<ProcessRuntime>,
    reports: UnboundedReceiver<Report>,
    _dir: TempDir,
}

impl Host {
    /// A host where two attempts run at once.
    pub(crate) fn new() -> Self {
        Self::with(2, DEFAULT_LOG_LIMIT)
    }

    pub(crate) fn with(slots: usize, log_limit: u64) -> Self {
        Self::supervised_by(env!("CARGO_BIN_EXE_windlass-supervise"), slots, log_limit)
    }

    pub(crate) fn without_supervisor() -> Self {
        Self::supervised_by("/no/supervisor", 1, DEFAULT_LOG_LIMIT)
    }

    /// A host that gives supervisors this long, beyond an attempt's grace, to stop it.
    pub(crate) fn with_stop_margin(margin: Duration) -> Self {
        let mut host = Self::new();
        host.config.stop_margin = margin;
        host.restart_launcher();
        host
    }

    /// A host that looks this often whether supervisors are suspended.
    pub(crate) fn with_patrol_interval(interval: Duration) -> Self {
        let mut host = Self::new();
        host.config.patrol_interval = interval;
        host.restart_launcher();
        host
    }

    /// A host whose supervisors start a program and hear nothing from then on; they are not waited for.
    pub(crate) fn with_hanging_supervisor() -> Self {
        // Its arguments are the script, and the attempt's directory as `$0`.
        let script = "
            export WINDLASS_OUTPUT=\"$0/output.json\"
            sleep 600 < /dev/null > /dev/null &
            echo $! > \"$0/../../shared/program\"
            echo started 1
            wait";
        let mut host = Self::supervised_by("/bin/sh", 1, DEFAULT_LOG_LIMIT);
        host.config.supervisor.args = vec!["-c".into(), script.into()];
        host.config.stop_margin = Duration::from_millis(100);
        host.restart_launcher();
        host
    }

    fn supervised_by(program: &str, slots: usize, log_limit: u64) -> Self {
        let dir = TempDir::new().unwrap();
        let supervisor = Supervisor { program: program.into(), args: vec![] };
        let mut config = ProcessConfig::new(dir.path().canonicalize().unwrap(), supervisor);
        config.slots = NonZeroUsize::new(slots).unwrap();
        config.log_limit = log_limit;
        let (runtime, reports) = open(&config);
        Self { config, runtime: Some(runtime), reports, _dir: dir }
    }

    /// As after `kill -9`: nobody is told, and what runs goes on.
    pub(crate) fn lose_launcher(&mut self) {
        self.runtime = None;
    }

    pub(crate) fn restart_launcher(&mut self) {
        self.lose_launcher();
        let (runtime, reports) = open(&self.config);
        (self.runtime, self.reports) = (Some(runtime), reports);
    }

    pub(crate) fn runtime(&self) -> &ProcessRuntime {
        self.runtime.as_ref().unwrap()
    }

    pub(crate) async fn start(&self, spec: AttemptSpec) {
        self.runtime().start(vec![spec], Instant::now()).await;
    }

    /// Starts an attempt and waits for its end.
    pub(crate) async fn run(&mut self, spec: AttemptSpec) -> AttemptReport {
        let key = spec.key;
        self.start(spec).await;
        self.end_of(key).await
    }

    /// The next report of the attempt.
    pub(crate) async fn report_of(&mut self, key: AttemptKey) -> AttemptReport {
        let next = async {
            loop {
                let Report { run, report, .. } =
                    self.reports.recv().await.expect("the runtime is open");
                if (run, report.step.0, report.attempt) == (key.run, key.step, key.attempt) {
                    return report;
                }
            }
        };
        tokio::time::timeout(LIMIT, next).await.expect("a report comes")
    }

    /// How the result of an attempt is to be kept, by the report of its end.
    pub(crate) async fn kept_of(&mut self, key: AttemptKey) -> Option<KeepResult> {
        let next = async {
            loop {
                let Report { report, keep, .. } =
                    self.reports.recv().await.expect("the runtime is open");
                let is_of = (report.step.0, report.attempt) == (key.step, key.attempt);
                if is_of && report.ended_at.is_some() {
                    return keep;
                }
            }
        };
        tokio::time::timeout(LIMIT, next).await.expect("a report comes")
    }

    /// The next report of any attempt.
    pub(crate) async fn any_report(&mut self) -> AttemptReport {
        let next = tokio::time::timeout(LIMIT, self.reports.recv()).await;
        next.expect("a report comes").expect("the runtime is open").report
    }

    pub(crate) async fn end_of(&mut self, key: AttemptKey) -> AttemptReport {
        loop {
            let report = self.report_of(key).await;
            if !matches!(report.phase, AttemptPhase::Starting | AttemptPhase::Running) {
                return report;
            }
        }
    }

    pub(crate) async fn running(&mut self, key: AttemptKey) -> AttemptReport {
        loop {
            let report = self.report_of(key).await;
            match report.phase {
                AttemptPhase::Starting => {}
                AttemptPhase::Running => return report,
                other => panic!("it ended: {other:?}"),
            }
        }
    }

    pub(crate) fn attempt_dir(&self, key: AttemptKey) -> PathBuf {
        let run = self.config.dir.join(key.run.as_str());
        run.join(key.step.to_string()).join(key.attempt.to_string())
    }

    /// The directory that the steps of the run share.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.config.dir.join(key(0).run.as_str()).join("shared")
    }

    /// What a step wrote to a file of the run, once it is there and not empty.
    pub(crate) async fn written(&self, name: &str) -> String {
        let path = self.run_dir().join(name);
        until(|| fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'))).await
    }

    /// Lets steps go on that [`wait for it`](WAIT).
    pub(crate) fn release(&self) {
        fs::write(self.run_dir().join("go"), "").unwrap();
    }

    /// Kills the supervisor of an attempt that runs, as the kernel or an operator might.
    pub(crate) async fn kill_supervisor(&self, key: AttemptKey) {
        let supervisor = parent(self.program(key));
        kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
        until(|| (!is_alive(supervisor)).then_some(())).await;
    }

    /// Stops the supervisor of an attempt that runs, as Ctrl-Z stops a program.
    pub(crate) async fn suspend_supervisor(&self, key: AttemptKey) {
        let supervisor = parent(self.program(key));
        kill(Pid::from_raw(supervisor), Signal::SIGSTOP).unwrap();
        until(|| (stat(supervisor)?[0] == "T").then_some(())).await;
    }

    /// The process id of an attempt's program.
    pub(crate) fn program(&self, key: AttemptKey) -> i32 {
        let record = self.attempt_dir(key).join("process.json");
        let record: serde_json::Value = serde_json::from_slice(&fs::read(record).unwrap()).unwrap();
        i32::try_from(record["pid"].as_i64().unwrap()).unwrap()
    }

    pub(crate) fn log(&self, key: AttemptKey) -> Vec<LogRecord> {
        let mut reader = LogReader::open(&log_file(&self.config.dir, key)).unwrap();
        let mut records = Vec::new();
        loop {
            let batch = reader.read_batch(100_000).unwrap();
            if batch.is_empty() {
                return records;
            }
            records.extend(batch);
        }
    }
}

fn open(config: &ProcessConfig) -> (ProcessRuntime, UnboundedReceiver<Report>) {
    let (sender, reports) = mpsc::unbounded_channel();
    (ProcessRuntime::open(config.clone(), sender).unwrap(), reports)
}

/// For scripts: waits until the host [releases](Host::release) it.
pub(crate) const WAIT: &str = "until [ -e \"$WINDLASS_RUN_DIR/go\" ]; do sleep 0.01; done;";

pub(crate) fn key(step: u32) -> AttemptKey {
    AttemptKey { run: "run_0123456789abcdefghijklmnop".parse().unwrap(), step, attempt: 1 }
}

/// A step that is a shell script.
pub(crate) fn script(step: u32, script: &str) -> AttemptSpec {
    command(step, &["/bin/sh", "-c", script])
}

pub(crate) fn command(step: u32, command: &[&str]) -> AttemptSpec {
    AttemptSpec {
        key: key(step),
        namespace: "default".to_owned(),
        pipeline: "p".to_owned(),
        image: None,
        args: Vec::new(),
        secrets: BTreeMap::new(),
        pod: None,
        step: format!("step-{step}"),
        command: command.iter().map(ToString::to_string).collect(),
        env: BTreeMap::new(),
        working_dir: None,
        termination_grace: Duration::from_secs(30),
        memory_bytes: None,
        outputs: Vec::new(),
        cache: None,
        cached: None,
    }
}

/// Waits until something is there.
pub(crate) async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("what is waited for comes")
}

/// Whether a process exists and has not ended.
pub(crate) fn is_alive(pid: i32) -> bool {
    stat(pid).is_some_and(|fields| !matches!(fields[0].as_str(), "Z" | "X"))
}

fn parent(pid: i32) -> i32 {
    stat(pid).expect("the process is there")[1].parse().unwrap()
}

/// The fields behind the process's name.
fn stat(pid: i32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}
