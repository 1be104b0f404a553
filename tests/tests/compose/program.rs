//! The programs as the tests have them, by the names that commands give them.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use windlass_tests::waiting;

/// How long anything may take that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The path of the program that a command begins with, if it is one of ours.
pub(crate) fn path(name: &str) -> Option<&'static str> {
    Some(match name {
        "windlass" => env!("CARGO_BIN_EXE_windlass-under-test"),
        "windlass-submitter" => env!("CARGO_BIN_EXE_windlass-submitter-under-test"),
        "windlass-scheduler" => env!("CARGO_BIN_EXE_windlass-scheduler-under-test"),
        "windlass-launcher" => env!("CARGO_BIN_EXE_windlass-launcher-under-test"),
        "windlass-streamer" => env!("CARGO_BIN_EXE_windlass-streamer-under-test"),
        _ => return None,
    })
}

/// A command with this environment and nothing else of what is set around the test.
pub(crate) fn command(words: &[String], environment: &BTreeMap<String, String>) -> Command {
    let [name, arguments @ ..] = words else { panic!("a command names a program") };
    let program = path(name).unwrap_or_else(|| panic!("`{name}` is none of the programs"));
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// A program that was started. Dropping it kills it.
pub(crate) struct Running {
    name: String,
    child: Child,
    /// What it writes, line by line.
    lines: mpsc::Receiver<String>,
    said: Vec<String>,
}

impl Running {
    /// Starts a program whose log lines are JSON.
    pub(crate) fn start(name: &str, mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("it is piped");
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Nobody may listen any more.
                let _ = tell.send(line);
            }
        });
        Self { name: name.to_owned(), child, lines, said: Vec::new() }
    }

    /// Waits until it answers on an address, which it tells in a line that begins so.
    pub(crate) fn address(&mut self, whom: &str) -> String {
        let begin = Instant::now();
        loop {
            let known = self.said.iter().find_map(|line| {
                let line: Value = serde_json::from_str(line).ok()?;
                let fields = &line["fields"];
                let told = fields["message"].as_str()?.starts_with(whom);
                told.then(|| fields["address"].as_str().map(str::to_owned)).flatten()
            });
            if let Some(address) = known {
                return address;
            }
            let line = self.lines.recv_timeout(PATIENCE.saturating_sub(begin.elapsed()));
            self.said.push(line.expect("it says where it answers before it ends"));
        }
    }

    /// What it has said so far.
    pub(crate) fn log(&mut self) -> String {
        self.said.extend(self.lines.try_iter());
        self.said.join("\n")
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is a child")
    }

    /// Ends it in order, and tells its exit code.
    pub(crate) async fn end(&mut self) -> Option<i32> {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process id"));
        kill(pid, Signal::SIGTERM).expect("it runs");
        eventually("the program ends", async || self.ended()).await.code()
    }
}

#[expect(clippy::print_stderr, reason = "a failed test shows what the programs said")]
impl Drop for Running {
    fn drop(&mut self) {
        // It fails only where the process has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log();
            eprintln!("---- {} ----\n{log}", self.name);
        }
    }
}

/// Waits for what is to happen.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    waiting::eventually(PATIENCE, what, look).await
}
