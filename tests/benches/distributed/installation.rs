//! An installation as an operator would start it: NATS, Redis or Valkey, and the four services, each a process.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::Channel;
use windlass_proto::v1::run_service_client::RunServiceClient;
use windlass_servers::{NatsServer, RedisServer};
use windlass_store::{RedisConfig, RedisStore, ShareRequest, Store as _};

/// How long anything may take before a run.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often to look whether it has happened.
const LOOK: Duration = Duration::from_millis(50);

/// The first token of subjects, streams and keys.
pub(crate) const NAME: &str = "windlass";

/// Into how many partitions runs are divided: the default of the programs.
pub(crate) const PARTITIONS: u32 = 32;

/// How an installation is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// How many schedulers, and how many launchers.
    pub(crate) replicas: usize,
    /// How long an attempt takes.
    pub(crate) duration: Duration,
}

/// Servers and programs. Dropping it kills them all.
pub(crate) struct Installation {
    pub(crate) nats: NatsServer,
    /// Where NATS tells its counters, over HTTP.
    pub(crate) monitor: String,
    pub(crate) redis: RedisServer,
    pub(crate) programs: Vec<Program>,
    _directory: TempDir,
}

impl Installation {
    /// Starts servers and programs; returns when every partition is served and the schedulers' shares are fair.
    pub(crate) async fn start(layout: Layout) -> anyhow::Result<Self> {
        let nats = NatsServer::builder().config("http: \"127.0.0.1:-1\"");
        let (nats, redis) = tokio::join!(nats.start(), RedisServer::start());
        let monitor = monitor_address(&nats.log()).context("NATS does not say where it counts")?;
        let directory = tempfile::tempdir()?;
        let settings = settings(&nats, &redis, directory.path(), layout.duration);
        let mut programs = Vec::new();
        for (kind, count) in [
            ("submitter", 1),
            ("streamer", 1),
            ("scheduler", layout.replicas),
            ("launcher", layout.replicas),
        ] {
            for _ in 0..count {
                programs.push(Program::start(kind, &settings)?);
            }
        }
        for program in &mut programs {
            program.until_ready().await?;
        }
        until_shared(&redis, layout.replicas).await?;
        Ok(Self { nats, monitor, redis, programs, _directory: directory })
    }

    /// A client of the submitter.
    pub(crate) async fn runs(&self) -> anyhow::Result<RunServiceClient<Channel>> {
        let submitter = self.programs.iter().find(|it| it.kind == "submitter");
        let address = submitter.and_then(|it| it.clients.as_ref()).context("no submitter")?;
        let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
        Ok(RunServiceClient::new(channel))
    }
}

/// What the servers say they are, one beside the other.
pub(crate) fn versions() -> anyhow::Result<String> {
    let redis = env::var_os("WINDLASS_TEST_REDIS").is_some_and(|flavour| flavour == "redis");
    let redis =
        if redis { windlass_servers::Program::Redis } else { windlass_servers::Program::Valkey };
    let mut said = Vec::new();
    for program in [windlass_servers::Program::Nats, redis] {
        let output = Command::new(program.find()).arg("--version").output()?;
        let text = String::from_utf8(output.stdout)?;
        // The version is the first word with a number in it.
        let number =
            text.split_whitespace().find(|word| word.contains(|it: char| it.is_ascii_digit()));
        let name = text.split([' ', ':']).next().unwrap_or_default();
        let number = number.unwrap_or_default().trim_start_matches('v').trim_start_matches('=');
        said.push(format!("{name} {number}"));
    }
    Ok(said.join(", "))
}

fn settings(
    nats: &NatsServer,
    redis: &RedisServer,
    directory: &Path,
    duration: Duration,
) -> Vec<String> {
    let mut settings = vec![
        format!("installation.name={NAME}"),
        format!("installation.partitions={PARTITIONS}"),
        format!("bus.url={}", nats.url()),
        format!("store.url={}", redis.url()),
        "launcher.runtime=simulated".to_owned(),
        format!("launcher.simulated.duration={}ms", duration.as_millis()),
    ];
    for program in ["submitter", "streamer"] {
        settings.push(format!("{program}.listen=127.0.0.1:0"));
    }
    for program in ["submitter", "streamer", "scheduler", "launcher"] {
        settings.push(format!("{program}.admin_listen=127.0.0.1:0"));
    }
    for program in ["streamer", "launcher"] {
        settings.push(format!("{program}.directory={}", directory.display()));
    }
    settings
}

/// Where a NATS server that took any free port tells its counters, as its log says.
fn monitor_address(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("Starting http monitor on "))?;
    Some(line.rsplit_once(' ')?.1.to_owned())
}

/// Waits until so many schedulers have fair shares of all partitions.
async fn until_shared(redis: &RedisServer, schedulers: usize) -> anyhow::Result<()> {
    let config = RedisConfig { partitions: PARTITIONS, ..RedisConfig::new(redis.url()) };
    let (store, _) = RedisStore::open(&config).await?;
    // One that leaves and was never there only looks.
    let look = ShareRequest {
        group: "scheduler".into(),
        member: "benchmark".into(),
        leaving: true,
        ttl: Duration::from_secs(1),
        acquire: Vec::new(),
        release: Vec::new(),
    };
    let begin = Instant::now();
    loop {
        let shares = store.share(&look).await?;
        let held = |member: &String| shares.leases.values().filter(|it| *it == member).count();
        let counts: Vec<usize> = shares.members.iter().map(held).collect();
        let all: usize = counts.iter().sum();
        let fair = counts.iter().max().zip(counts.iter().min()).is_some_and(|(a, b)| a - b <= 1);
        if counts.len() == schedulers && all == PARTITIONS as usize && fair {
            return Ok(());
        }
        ensure!(begin.elapsed() < PATIENCE, "partitions are not shared: {shares:?}");
        tokio::time::sleep(LOOK).await;
    }
}

/// One of the programs.
pub(crate) struct Program {
    pub(crate) kind: &'static str,
    child: Child,
    told: mpsc::Receiver<String>,
    clients: Option<String>,
}

impl Program {
    fn start(kind: &'static str, settings: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(path(kind)?);
        for setting in settings {
            command.args(["--set", setting]);
        }
        command.args(["--log-format", "json"]);
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("it is piped")?;
        let (tell, told) = mpsc::channel();
        // Reads on when nobody listens any more, so that the program never waits for its log.
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Ok(Self { kind, child, told, clients: None })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until its port for operators answers that it is ready.
    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let serves = matches!(self.kind, "submitter" | "streamer");
        let (begin, mut operators, mut last) = (Instant::now(), None, String::new());
        while operators.is_none() || serves && self.clients.is_none() {
            let Ok(line) = self.told.recv_timeout(PATIENCE) else {
                bail!("the {} does not say where it listens, but at last: {last}", self.kind);
            };
            last = line;
            // What is said before there is a log is for people.
            let line: Value = serde_json::from_str(&last).unwrap_or_default();
            let address = line["fields"]["address"].as_str().map(str::to_owned);
            match line["fields"]["message"].as_str() {
                Some(message) if message.starts_with("clients") => self.clients = address,
                Some(message) if message.starts_with("operators") => operators = address,
                _ => {}
            }
        }
        let operators = operators.context("found above")?;
        while crate::counters::http_get(&operators, "/readyz").is_err() {
            ensure!(begin.elapsed() < PATIENCE, "the {} does not become ready", self.kind);
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// The lines of its log that warn of something.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warns = |line: &String| {
            serde_json::from_str::<Value>(line)
                .is_ok_and(|line| matches!(line["level"].as_str(), Some("WARN" | "ERROR")))
        };
        self.told.try_iter().filter(warns).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended by itself needs no signal.
        if let Ok(id) = self.child.id().try_into() {
            let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

fn path(kind: &str) -> anyhow::Result<PathBuf> {
    Ok(PathBuf::from(match kind {
        "submitter" => env!("CARGO_BIN_EXE_windlass-submitter-under-test"),
        "scheduler" => env!("CARGO_BIN_EXE_windlass-scheduler-under-test"),
        "launcher" => env!("CARGO_BIN_EXE_windlass-launcher-under-test"),
        "streamer" => env!("CARGO_BIN_EXE_windlass-streamer-under-test"),
        other => bail!("there is no program {other}"),
    }))
}
