//! A server's process: started until it answers, and ended with certainty.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, MutexGuard, Once, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::program::in_path;

/// How long a server may take to start or to end: far longer than it does.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// How often to look whether it has.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// How many ports to try.
const PORTS_TRIED: u32 = 100;

/// The ports to choose from: below those that outgoing connections get, so that neither a client that tries to reach a
/// server that is down meets itself, nor a server that comes back finds its port taken.
const PORTS: std::ops::Range<u16> = 10_000..20_000;

/// How to start a server.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// What it writes into its log once it answers.
    pub(crate) ready: &'static str,
}

/// A server: its directory, its port, and its process while it runs.
#[derive(Debug)]
pub(crate) struct Process {
    directory: TempDir,
    port: u16,
    start: Start,
    child: Mutex<Option<Child>>,
    logs: AtomicU32,
}

/// Why a server did not start.
#[derive(Debug)]
enum NotStarted {
    PortTaken,
    /// It ended, or took too long; with its log.
    Failed(String),
}

impl Process {
    /// Starts a server on a free port; `start` says how, given its directory and port.
    pub(crate) async fn start(start: impl Fn(&Path, u16) -> Start) -> Self {
        for _ in 0..PORTS_TRIED {
            let directory = directory();
            let port = free_port();
            let start = start(directory.path(), port);
            let child = Mutex::default();
            let server = Self { directory, port, start, child, logs: AtomicU32::new(0) };
            match server.try_start().await {
                Ok(()) => return server,
                Err(NotStarted::PortTaken) => {}
                Err(NotStarted::Failed(log)) => panic!("{} did not start:\n{log}", server.name()),
            }
        }
        panic!("none of {PORTS_TRIED} ports was free")
    }

    /// Starts it anew, in its directory and on its port.
    ///
    /// # Panics
    ///
    /// If it runs.
    pub(crate) async fn start_again(&self) {
        match self.try_start().await {
            Ok(()) => {}
            Err(NotStarted::PortTaken) => panic!("port {} was taken meanwhile", self.port),
            Err(NotStarted::Failed(log)) => panic!("{} did not start again:\n{log}", self.name()),
        }
    }

    async fn try_start(&self) -> Result<(), NotStarted> {
        let log = self.log(self.logs.fetch_add(1, Ordering::Relaxed));
        {
            let mut child = self.child();
            assert!(child.is_none(), "{} runs already", self.name());
            *child = Some(spawn(command(&self.start, &log)).expect("the server's program runs"));
        }
        let limit = Instant::now() + PATIENCE;
        loop {
            // In this order: what it wrote before it ended is seen.
            let ended = self.has_ended();
            let said = fs::read(&log).expect("its log is there");
            let said = String::from_utf8_lossy(&said);
            if said.contains(self.start.ready) {
                return Ok(());
            }
            if ended || Instant::now() > limit {
                self.kill();
                let taken = said.to_ascii_lowercase().contains("address already in use");
                return Err(if taken {
                    NotStarted::PortTaken
                } else {
                    NotStarted::Failed(said.into())
                });
            }
            sleep(LOOK).await;
        }
    }

    /// Ends it at once (SIGKILL), and waits until it has ended. Does nothing if it does not run.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            // One that is stopped is killed as well. It fails only where the process has ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end (SIGTERM), and waits until it has ended.
    pub(crate) async fn stop(&self) {
        self.signal(Signal::SIGTERM);
        let limit = Instant::now() + PATIENCE;
        while !self.has_ended() {
            assert!(Instant::now() < limit, "{} does not end", self.name());
            sleep(LOOK).await;
        }
        self.kill();
    }

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child();
        let id = child.as_ref().expect("the server runs").id();
        kill(Pid::from_raw(id.cast_signed()), signal).expect("its process is ours");
    }

    /// Stops its process, and waits until all of its threads have stopped.
    pub(crate) fn pause(&self) {
        self.signal(Signal::SIGSTOP);
        let child = self.child();
        let id = child.as_ref().expect("the server runs").id();
        waitid(Id::Pid(Pid::from_raw(id.cast_signed())), WaitPidFlag::WSTOPPED)
            .expect("it is our child");
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child().is_some()
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// What the server has said since it was started the last time.
    pub(crate) fn said(&self) -> String {
        let last = self.logs.load(Ordering::Relaxed).saturating_sub(1);
        let said = fs::read(self.log(last)).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    fn has_ended(&self) -> bool {
        let mut child = self.child();
        child.as_mut().is_none_or(|child| child.try_wait().expect("it is our child").is_some())
    }

    fn log(&self, number: u32) -> PathBuf {
        self.directory.path().join(format!("log.{number}"))
    }

    fn name(&self) -> String {
        self.start.program.display().to_string()
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What the directories of servers are called, before the id of the process that started them.
const DIRECTORY: &str = "windlass-server-";

/// A directory for a server. Those of processes that ended without removing theirs are removed first.
pub(crate) fn directory() -> TempDir {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| {
        let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| is_abandoned(&entry.file_name())) {
            // Another process may be doing the same.
            let _ = fs::remove_dir_all(entry.path());
        }
    });
    let prefix = format!("{DIRECTORY}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary directory")
}

fn is_abandoned(directory: &OsStr) -> bool {
    let rest = directory.to_str().and_then(|name| name.strip_prefix(DIRECTORY));
    let id = rest.and_then(|rest| rest.split_once('-')?.0.parse().ok());
    id.is_some_and(|id| kill(Pid::from_raw(id), None) == Err(Errno::ESRCH))
}

fn command(start: &Start, log: &Path) -> Command {
    let log = File::create(log).expect("a log file");
    let wrapper = in_path("setpriv").expect(
        "setpriv is missing, which ends servers together with their tests: install util-linux",
    );
    let mut command = Command::new(wrapper);
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(&start.program)
        .args(&start.arguments)
        .envs(start.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle of the log file"))
        .stderr(log);
    command
}

/// Starts a process from a thread that lives as long as this process: the signal that ends a server with its parent is
/// sent when the thread ends that started it, and threads of tests end early.
fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in jobs {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (answer, child) = mpsc::channel();
    spawner.send((command, answer)).expect("the thread never ends");
    child.recv().expect("the thread answers")
}

/// A port that nobody listens on at this moment.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = u32::from(PORTS.end - PORTS.start);
    loop {
        // Test programs begin in different places, and each goes through all ports.
        let place = std::process::id().wrapping_mul(7919) + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + u16::try_from(place % count).expect("less than their number");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// The processor time that a process of this machine has used, in seconds, of user and system together: the kernel counts in
/// hundredths. None where there is no such process.
pub fn processor_seconds(id: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1;
    let mut ticks = 0.0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<f64>().ok()?;
    }
    Some(ticks / 100.0)
}
