//! Redis and Valkey servers.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::{
    process::{Process, Start},
    program::Program,
};

/// Where a server keeps its append-only file, within its own directory.
const APPEND_ONLY_DIRECTORY: &str = "appendonlydir";

/// A Redis or Valkey server. By default every write is in its append-only file, and on the disk, before it is answered.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
}

/// How a server is to be.
#[derive(Debug, Clone)]
#[must_use]
pub struct RedisBuilder {
    program: Program,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    sentinel: Option<String>,
}

/// What a server had stored at one time.
#[derive(Debug)]
pub struct SavedState(TempDir);

impl RedisBuilder {
    /// Runs this program, whatever `WINDLASS_TEST_REDIS` says.
    pub fn program(mut self, program: Program) -> Self {
        self.program = program;
        self
    }

    /// Adds arguments, such as `["--requirepass", "secret"]`. They override the defaults.
    pub fn args<T: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets variables of its environment.
    pub fn envs<T: Into<OsString>>(mut self, variables: impl IntoIterator<Item = (T, T)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        self.environment.extend(variables);
        self
    }

    /// Makes it a sentinel with this configuration, such as `sentinel monitor NAME 127.0.0.1 PORT 1`.
    pub fn sentinel(mut self, config: &str) -> Self {
        self.sentinel = Some(config.to_owned());
        self
    }

    /// Starts it, and waits until it answers.
    pub async fn start(self) -> RedisServer {
        let program = self.program.find();
        let process = Process::start(|directory, port| {
            let sentinel = self.sentinel.as_ref().map(|config| {
                let file = directory.join("sentinel.conf");
                fs::write(&file, config).expect("its configuration is written");
                file
            });
            Start {
                program: program.clone(),
                ready: if sentinel.is_some() {
                    "Sentinel ID is"
                } else {
                    "Ready to accept connections"
                },
                arguments: self.arguments(directory, port, sentinel),
                environment: self.environment.clone(),
            }
        });
        RedisServer { process: process.await }
    }

    fn arguments(&self, directory: &Path, port: u16, sentinel: Option<PathBuf>) -> Vec<OsString> {
        let port = port.to_string();
        let mut all: Vec<OsString> = Vec::new();
        let is_sentinel = sentinel.is_some();
        if let Some(file) = sentinel {
            all.extend([file.into(), "--sentinel".into()]);
        }
        all.extend(["--port", &port, "--bind", "127.0.0.1", "--dir"].map(OsString::from));
        all.push(directory.into());
        if !is_sentinel {
            let durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""];
            // A state is saved by copying the file while the server runs: it only grows.
            let no_rewrite = ["--auto-aof-rewrite-percentage", "0"];
            all.extend(durable.into_iter().chain(no_rewrite).map(OsString::from));
        }
        all.extend(self.arguments.iter().cloned());
        all
    }
}

impl RedisServer {
    /// Says how a server is to be: Valkey, or Redis where `WINDLASS_TEST_REDIS` is `redis`.
    pub fn builder() -> RedisBuilder {
        let redis = env::var_os("WINDLASS_TEST_REDIS").is_some_and(|flavour| flavour == "redis");
        let program = if redis { Program::Redis } else { Program::Valkey };
        RedisBuilder { program, arguments: Vec::new(), environment: Vec::new(), sentinel: None }
    }

    /// Starts a server, and waits until it answers.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Where it is, such as `redis://127.0.0.1:10123`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// Its own directory.
    pub fn directory(&self) -> &Path {
        self.process.directory()
    }

    /// Ends it in order, and starts it again.
    pub async fn restart(&self) {
        self.process.stop().await;
        self.start_again().await;
    }

    /// Ends it at once (SIGKILL). What it has stored stays.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts it after a kill, on the same port.
    pub async fn start_again(&self) {
        self.process.start_again().await;
    }

    /// Ends it at once, and starts it again with nothing in it.
    pub async fn wipe(&self) {
        self.process.kill();
        self.remove_append_only_directory();
        self.start_again().await;
    }

    /// Stops its process (SIGSTOP): connections stay, and nothing answers.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets its process go on.
    pub fn resume(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// Has it do a command that is one line, such as `CONFIG SET maxmemory 1`.
    ///
    /// # Panics
    ///
    /// If it does not answer that all is well.
    pub async fn command(&self, line: &str) {
        let mut server = TcpStream::connect(self.address()).await.expect("the server runs");
        server.write_all(format!("{line}\r\n").as_bytes()).await.expect("the command is sent");
        let mut answer = String::new();
        let mut server = BufReader::new(server);
        server.read_line(&mut answer).await.expect("the server answers");
        assert!(!answer.is_empty() && !answer.starts_with('-'), "`{line}`: {answer}");
    }

    /// Takes the last `bytes` bytes away that were written into the append-only file: what a host loses that goes down
    /// before they are on its disk. Answers how many bytes are left.
    ///
    /// # Panics
    ///
    /// If it runs: kill it first.
    pub fn cut_append_only_file(&self, bytes: u64) -> u64 {
        assert!(!self.process.is_running(), "the server runs: kill it first");
        let path = self.append_only_file();
        let file = File::options().write(true).open(path).expect("the append-only file opens");
        let left = file.metadata().expect("its size is known").len().saturating_sub(bytes);
        file.set_len(left).expect("the append-only file is cut");
        left
    }

    /// How many bytes the append-only file has now.
    pub fn append_only_file_size(&self) -> u64 {
        fs::metadata(self.append_only_file()).expect("its size is known").len()
    }

    /// Keeps what the server has stored now, running or not.
    pub fn save_state(&self) -> SavedState {
        let saved = tempfile::tempdir().expect("a temporary directory");
        copy_files(&self.directory().join(APPEND_ONLY_DIRECTORY), saved.path());
        SavedState(saved)
    }

    /// Ends it at once, and starts it again with what it had stored then: a store restored from a copy.
    pub async fn set_back(&self, saved: &SavedState) {
        self.process.kill();
        self.remove_append_only_directory();
        let directory = self.directory().join(APPEND_ONLY_DIRECTORY);
        fs::create_dir(&directory).expect("its directory is made");
        copy_files(saved.0.path(), &directory);
        self.start_again().await;
    }

    /// What it has written into its log since it was started the last time.
    pub fn log(&self) -> String {
        self.process.said()
    }

    /// The file that grows: the incremental one with the highest number.
    fn append_only_file(&self) -> PathBuf {
        let directory = self.directory().join(APPEND_ONLY_DIRECTORY);
        let number = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_suffix(".incr.aof")?;
            name.rsplit_once('.')?.1.parse::<u64>().ok()
        };
        let files = fs::read_dir(&directory).expect("the server has an append-only file");
        let files = files.map(|entry| entry.expect("the directory is read").path());
        files
            .filter(|path| number(path).is_some())
            .max_by_key(|path| number(path))
            .expect("the server has an append-only file")
    }

    fn remove_append_only_directory(&self) {
        let directory = self.directory().join(APPEND_ONLY_DIRECTORY);
        if directory.exists() {
            fs::remove_dir_all(directory).expect("the store is emptied");
        }
    }
}

fn copy_files(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the directory is read") {
        let entry = entry.expect("the directory is read");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("the file is copied");
    }
}
