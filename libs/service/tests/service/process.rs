//! A program as a process.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, ChildStderr, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A program that does as the variable `UNDER_TEST` says.
pub(crate) struct Process {
    pub(crate) child: Child,
    log: BufReader<ChildStderr>,
    /// What it has logged and what was looked at.
    seen: String,
}

impl Process {
    pub(crate) fn start(behaviour: &str, sets: &[&str]) -> Self {
        let mut command = command();
        command.env("UNDER_TEST", behaviour).args(["--set", "submitter.admin_listen=127.0.0.1:0"]);
        command.args(sets.iter().flat_map(|set| ["--set", set]));
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log, seen: String::new() }
    }

    /// Waits for a log line, which the end of the process fails.
    pub(crate) fn line(&mut self, wanted: &str) -> String {
        loop {
            let mut line = String::new();
            let length = self.log.read_line(&mut line).unwrap();
            assert!(length > 0, "no line holds {wanted:?}:\n{}", self.seen);
            self.seen.push_str(&line);
            if line.contains(wanted) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
    }

    /// Waits for its end: the exit code, and all that it logged.
    pub(crate) fn end(mut self) -> (i32, String) {
        self.log.read_to_string(&mut self.seen).unwrap();
        let status = self.child.wait().unwrap();
        (status.code().expect("it was not killed"), std::mem::take(&mut self.seen))
    }
}

/// What a failed test leaves is ended.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, without what the environment of the test says about configuration.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_service-under-test"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WINDLASS_") {
            command.env_remove(name);
        }
    }
    command
}

/// What is answered on this path.
pub(crate) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
