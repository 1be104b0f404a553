//! The four programs, each a process, and what the kernel tells of processes.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
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

/// How long a program may take until it is ready.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often to look whether it is.
const LOOK: Duration = Duration::from_millis(50);

/// One of the programs.
pub(crate) struct Program {
    pub(crate) kind: &'static str,
    child: Child,
    told: mpsc::Receiver<String>,
    /// Where it listens for clients.
    pub(crate) clients: Option<String>,
}

impl Program {
    /// Starts one with these settings.
    pub(crate) fn start(kind: &'static str, settings: &[String]) -> anyhow::Result<Self> {
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
    pub(crate) async fn until_ready(&mut self) -> anyhow::Result<()> {
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
        while http_get(&operators, "/readyz").is_err() {
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

/// The processes that this one has started and that go on: what the kernel calls them, in up to 15 characters, and their ids.
pub(crate) fn children() -> anyhow::Result<Vec<(String, u32)>> {
    let own = std::process::id().to_string();
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((name, fields)) = stat.split_once(") ") else { continue };
        if fields.split(' ').nth(1) == Some(&own)
            && let Some((_, name)) = name.split_once('(')
        {
            children.push((name.to_owned(), id));
        }
    }
    Ok(children)
}

/// The most memory that a process has held, in MiB.
pub(crate) fn peak_memory(id: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kib.context("the kernel tells")? / 1024.0)
}

/// The body of an answer 200. Asks as HTTP/1.0 does, so that the answer comes in one piece.
pub(crate) fn http_get(address: &str, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
    ensure!(head.split(' ').nth(1) == Some("200"), "{path}: {head}");
    Ok(body.to_owned())
}
