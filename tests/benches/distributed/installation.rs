//! An installation as an operator would start it: NATS, Redis or Valkey, and the four services, each a process.

use std::{env, path::Path, process::Command, time::Duration};

use anyhow::Context as _;
use tempfile::TempDir;
use tonic::transport::Channel;
use windlass_proto::v1::run_service_client::RunServiceClient;
use windlass_servers::{NatsServer, RedisServer};

use crate::{processes::Program, shares::until_shared};

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
        until_shared(&redis, "scheduler", layout.replicas, PARTITIONS).await?;
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
