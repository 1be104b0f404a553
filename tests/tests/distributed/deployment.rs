//! Servers and programs of one installation, as an operator would start them.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use windlass_proto::v1::{
    self, RunState, log_service_client::LogServiceClient, run_service_client::RunServiceClient,
};
use windlass_servers::{NatsServer, RedisServer};
use windlass_tests::waiting;

/// How long anything may take that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// One of the programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Submitter,
    Scheduler,
    Launcher,
    Streamer,
}

impl Kind {
    fn program(self) -> &'static str {
        match self {
            Self::Submitter => env!("CARGO_BIN_EXE_windlass-submitter-under-test"),
            Self::Scheduler => env!("CARGO_BIN_EXE_windlass-scheduler-under-test"),
            Self::Launcher => env!("CARGO_BIN_EXE_windlass-launcher-under-test"),
            Self::Streamer => env!("CARGO_BIN_EXE_windlass-streamer-under-test"),
        }
    }
}

/// An installation: servers, a directory, and how programs are to find them.
pub(crate) struct Deployment {
    pub(crate) nats: NatsServer,
    pub(crate) redis: RedisServer,
    pub(crate) dir: TempDir,
    /// Where programs look for the servers: there, unless a test puts something between.
    pub(crate) bus_url: String,
    pub(crate) store_url: String,
    /// Variables that all programs of a kind get.
    pub(crate) environment: BTreeMap<Kind, Vec<(String, String)>>,
}

impl Deployment {
    pub(crate) async fn start() -> Self {
        let (nats, redis) = tokio::join!(NatsServer::start(), RedisServer::start());
        Self::on(nats, redis)
    }

    pub(crate) fn on(nats: NatsServer, redis: RedisServer) -> Self {
        let (bus_url, store_url) = (nats.url(), redis.url());
        let dir = tempfile::tempdir().expect("a directory");
        Self { nats, redis, dir, bus_url, store_url, environment: BTreeMap::new() }
    }

    /// A program that is ready.
    pub(crate) async fn program(&self, kind: Kind) -> Program {
        self.program_with(kind, &[], &[]).await
    }

    /// A launcher on a host of this name, with so many slots.
    pub(crate) async fn launcher(&self, host: &str, slots: u32) -> Program {
        let (host, slots) = (format!("launcher.host={host}"), format!("launcher.slots={slots}"));
        self.program_with(Kind::Launcher, &[&host, &slots], &[]).await
    }

    /// A program with further settings and variables, ready.
    pub(crate) async fn program_with(
        &self,
        kind: Kind,
        settings: &[&str],
        environment: &[(&str, &str)],
    ) -> Program {
        let program = self.spawn(kind, settings, environment);
        program.until_ready().await;
        program
    }

    /// Starts a program and does not wait for it.
    pub(crate) fn spawn(
        &self,
        kind: Kind,
        settings: &[&str],
        environment: &[(&str, &str)],
    ) -> Program {
        let attempts = self.dir.path().join("attempts");
        let mut command = Command::new(kind.program());
        for setting in [
            format!("bus.url={}", self.bus_url),
            format!("store.url={}", self.store_url),
            "installation.partitions=8".to_owned(),
            "submitter.listen=127.0.0.1:0".to_owned(),
            "submitter.admin_listen=127.0.0.1:0".to_owned(),
            "scheduler.admin_listen=127.0.0.1:0".to_owned(),
            "scheduler.sweep=2s".to_owned(),
            "launcher.admin_listen=127.0.0.1:0".to_owned(),
            format!("launcher.directory={}", attempts.display()),
            "streamer.listen=127.0.0.1:0".to_owned(),
            "streamer.admin_listen=127.0.0.1:0".to_owned(),
            format!("streamer.directory={}", attempts.display()),
            "bus.ack_wait=5s".to_owned(),
        ]
        .iter()
        .map(String::as_str)
        .chain(settings.iter().copied())
        {
            command.args(["--set", setting]);
        }
        let of_kind = self.environment.get(&kind).into_iter().flatten();
        command
            .args(["--log-format", "json"])
            .envs(of_kind.map(|(name, value)| (name, value)))
            .envs(environment.iter().copied());
        Program::start(kind, command)
    }

    /// A path in the installation's directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A program that was started. Dropping it kills it.
pub(crate) struct Program {
    pub(crate) kind: Kind,
    child: Mutex<Child>,
    told: Arc<Mutex<Told>>,
    changed: Mutex<mpsc::Receiver<()>>,
}

/// What a program has told in its log lines.
#[derive(Debug, Default)]
struct Told {
    clients: Option<String>,
    operators: Option<String>,
    lines: Vec<String>,
}

impl Program {
    fn start(kind: Kind, mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("it is piped");
        let told = Arc::new(Mutex::new(Told::default()));
        let (tell, changed) = mpsc::channel();
        let listener = told.clone();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let address = serde_json::from_str::<Value>(&line).ok().and_then(|line| {
                    let fields = &line["fields"];
                    let message = fields["message"].as_str()?.to_owned();
                    Some((message, fields["address"].as_str()?.to_owned()))
                });
                let mut told = listener.lock().expect("nobody panics with it");
                match address {
                    Some((message, address)) if message.starts_with("clients") => {
                        told.clients = Some(address);
                    }
                    Some((message, address)) if message.starts_with("operators") => {
                        told.operators = Some(address);
                    }
                    _ => {}
                }
                told.lines.push(line);
                let _ = tell.send(());
            }
        });
        Self { kind, child: Mutex::new(child), told, changed: Mutex::new(changed) }
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn until_ready(&self) {
        let address = self.address(|told| told.operators.clone());
        eventually(&format!("the {:?} is ready", self.kind), async || {
            (waiting::http_status(&address, "/readyz").await? == 200).then_some(())
        })
        .await;
        if matches!(self.kind, Kind::Submitter | Kind::Streamer) {
            self.address(|told| told.clients.clone());
        }
    }

    /// Waits until `/readyz` says no more that it is.
    pub(crate) async fn until_unready(&self) {
        let address = self.address(|told| told.operators.clone());
        eventually(&format!("the {:?} is not ready", self.kind), async || {
            (waiting::http_status(&address, "/readyz").await? == 503).then_some(())
        })
        .await;
    }

    /// A connection that is made again by itself.
    pub(crate) fn channel(&self) -> Channel {
        Endpoint::from_shared(self.url()).expect("an address").connect_lazy()
    }

    /// Where clients find it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address(|told| told.clients.clone()))
    }

    pub(crate) fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel())
    }

    pub(crate) fn logs(&self) -> LogServiceClient<Channel> {
        LogServiceClient::new(self.channel())
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        self.told.lock().expect("nobody panics with it").lines.join("\n")
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&self) {
        self.signal(Signal::SIGKILL);
        self.child.lock().expect("nobody panics with it").wait().expect("it is a child");
    }

    /// Ends it in order, and tells its exit code.
    pub(crate) async fn end(&self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        let status = eventually("the program ends", async || {
            self.child.lock().expect("nobody panics with it").try_wait().expect("it is a child")
        });
        status.await.code()
    }

    /// Whether it has ended, by itself or otherwise.
    pub(crate) fn has_ended(&self) -> bool {
        let mut child = self.child.lock().expect("nobody panics with it");
        child.try_wait().expect("it is a child").is_some()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // One that has ended needs no signal.
        let _ = kill(Pid::from_raw(self.id().cast_signed()), signal);
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.lock().expect("nobody panics with it").id()
    }

    fn address(&self, find: impl Fn(&Told) -> Option<String>) -> String {
        let begin = Instant::now();
        loop {
            if let Some(address) = find(&self.told.lock().expect("nobody panics with it")) {
                return address;
            }
            let changed = self.changed.lock().expect("nobody panics with it");
            let patience = PATIENCE.saturating_sub(begin.elapsed());
            let more = changed.recv_timeout(patience);
            assert!(more.is_ok(), "the {:?} says no address: {}", self.kind, self.log());
        }
    }
}

#[expect(clippy::print_stderr, reason = "a failed test shows what the programs said")]
impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("---- {:?} ----\n{}", self.kind, self.log());
        }
    }
}

/// Waits for what is to happen.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    waiting::eventually(PATIENCE, what, look).await
}

/// Waits until a run has ended, through whatever happens to the submitter meanwhile.
pub(crate) async fn until_ended(submitter: &Program, run_id: &str) -> v1::Run {
    eventually("the run ends", async || {
        let request = v1::GetRunRequest { run_id: run_id.to_owned() };
        let run = submitter.runs().get_run(request).await.ok()?.into_inner().run?;
        matches!(run.state(), RunState::Succeeded | RunState::Failed | RunState::Cancelled)
            .then_some(run)
    })
    .await
}

/// A request that no other one is taken for.
pub(crate) fn request(pipeline: &v1::Pipeline) -> v1::SubmitRunRequest {
    use std::sync::atomic::{AtomicU64, Ordering};
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    v1::SubmitRunRequest {
        pipeline: Some(pipeline.clone()),
        request_id: format!("request-{}", REQUESTS.fetch_add(1, Ordering::Relaxed)),
        ..Default::default()
    }
}

/// Submits until it is accepted. The same request twice is one run.
pub(crate) async fn submit(submitter: &Program, pipeline: &v1::Pipeline) -> String {
    repeat(submitter, &request(pipeline)).await
}

/// Repeats a request until it is accepted.
pub(crate) async fn repeat(submitter: &Program, request: &v1::SubmitRunRequest) -> String {
    eventually("the run is accepted", async || {
        let response = submitter.runs().submit_run(request.clone()).await.ok()?;
        Some(response.into_inner().run?.run_id)
    })
    .await
}
