//! The course of one attempt, from its start to the end of its last process.

use std::{
    fs, io,
    process::{Child, ExitStatus},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use windlass_engine::reason::FailureReason;

use super::{
    ROOM_INTERVAL,
    attempt_dir::{AttemptDir, DirError, ProcessRecord},
    bell::Bell,
    capture::{SharedLog, capture},
    group::Group,
    helper::Helper,
    memory::{self, KernelKills},
    outcome::End,
    procfs::{self, Process},
    program::{self, NotStarted},
    shortage::{ADVICE, wait_out},
    spec::Spec,
    verdict::{self, Cause, Evidence},
    word::Word,
};
use crate::{
    clock,
    log_file::{LogStream, LogWriter},
};

/// How often the memory is looked at, where it is limited.
const MEMORY_INTERVAL: Duration = Duration::from_millis(100);
/// How often what is left of an attempt is looked for, and ended.
const CLEANUP_INTERVAL: Duration = Duration::from_millis(5);
/// How long that may take.
const CLEANUP_LIMIT: Duration = Duration::from_secs(5);

/// An attempt that is over.
#[derive(Debug)]
pub(super) struct Course {
    /// Milliseconds since 1970; none where the program was not started.
    pub(super) started_ms: Option<u64>,
    pub(super) ended_ms: u64,
    pub(super) end: End,
}

/// Why the program could not even be tried to start.
#[derive(Debug, thiserror::Error)]
enum Unprepared {
    #[error(transparent)]
    Dir(#[from] DirError),
    #[error(transparent)]
    System(#[from] io::Error),
}

/// What the threads tell the main one.
#[derive(Debug)]
enum Notice {
    StopOrdered,
    StreamClosed,
    Exited(io::Result<ExitStatus>),
}

/// Starts the program, and sees it through.
pub(super) fn run(dir: &AttemptDir, spec: &Spec) -> Course {
    let (notices, inbox) = mpsc::channel();
    let before_start = |end| Course { started_ms: None, ended_ms: clock::now().0, end };
    let (log, helpers) = match prepare(dir, spec, &notices) {
        Ok(prepared) => prepared,
        Err(error) => {
            let message = format!(
                "the attempt cannot be supervised, and was not started: {error}; see that the launcher's directory is \
                 on a local disk with room, and that the system has room for threads"
            );
            return before_start(End::failed(FailureReason::LaunchFailed, message));
        }
    };
    if dir.is_stop_ordered() {
        return before_start(End::Stopped);
    }
    let kills_before = KernelKills::read();
    let (child, started_ms) = match start(dir, spec, &inbox) {
        Ok(started) => started,
        Err(end) => return before_start(end),
    };
    let group = Arc::new(Group::of(&child));
    announce(dir, &group, started_ms);
    let mut watch = Watch { spec, group, inbox, open_streams: 2, cause: None, kill_at: None };
    watch.follow(child, helpers, &log, &notices);
    let status = watch.until_exit();
    let ended_ms = clock::now().0;
    let kernel_killed = KernelKills::read().grew_since(kills_before);
    watch.clean_up();
    log.finish(clock::now());
    let evidence = Evidence { status, cause: watch.cause, kernel_killed };
    Course { started_ms: Some(started_ms), ended_ms, end: verdict::decide(dir, spec, &evidence) }
}

/// All that must be there before the program is: room for its outcome, its log, and an ear for orders.
fn prepare(
    dir: &AttemptDir,
    spec: &Spec,
    notices: &Sender<Notice>,
) -> Result<(SharedLog, Helpers), Unprepared> {
    let log = loop {
        match take_room(dir, spec) {
            // Nobody rings a bell yet that would have to be heard.
            Err(error) if error.is_want_of_room() && !dir.is_stop_ordered() => {
                Word::Waits(error.to_string()).tell();
                thread::park_timeout(ROOM_INTERVAL);
            }
            taken => break taken?,
        }
    };
    let mut bell = Bell::hang(&dir.bell_file())?;
    let notices = notices.clone();
    wait_out(Helper::start)?
        .give(move || while bell.wait() && notices.send(Notice::StopOrdered).is_ok() {});
    let helpers = Helpers {
        stdout: wait_out(Helper::start)?,
        stderr: wait_out(Helper::start)?,
        exit: wait_out(Helper::start)?,
    };
    Ok((SharedLog::new(log), helpers))
}

/// Starts the program, and waits for room for it as long as the system has none: nothing has begun yet. With it, when that
/// was, in milliseconds since 1970.
fn start(dir: &AttemptDir, spec: &Spec, inbox: &Receiver<Notice>) -> Result<(Child, u64), End> {
    loop {
        // Before it runs, so that nothing it writes is dated earlier.
        let started_ms = clock::now().0;
        match program::start(dir, spec) {
            Ok(child) => return Ok((child, started_ms)),
            Err(NotStarted::Ended(end)) => return Err(end),
            Err(NotStarted::NoRoom(error)) => Word::Waits(format!("{error}; {ADVICE}")).tell(),
        }
        if let Ok(Notice::StopOrdered) = inbox.recv_timeout(ROOM_INTERVAL) {
            return Err(End::Stopped);
        }
    }
}

/// The threads that see a program through. They are there before it is, since it cannot be started again once it has begun.
struct Helpers {
    stdout: Helper,
    stderr: Helper,
    exit: Helper,
}

fn take_room(dir: &AttemptDir, spec: &Spec) -> Result<LogWriter, DirError> {
    dir.reserve_outcome()?;
    let log = wait_out(|| {
        LogWriter::create(&dir.log_file(), spec.log_limit).inspect_err(|_| {
            // It is made anew with the next try.
            let _ = fs::remove_file(dir.log_file());
        })
    });
    log.map_err(|source| dir.error("make the log in", source))
}

/// Tells those who come later, and the launcher that started this, that the program runs.
fn announce(dir: &AttemptDir, group: &Group, started_ms: u64) {
    let process = ProcessRecord {
        pid: group.id(),
        start_ticks: Process::of(group.id()).map(|process| process.start_ticks),
        boot_id: procfs::boot_id(),
        started_ms,
    };
    // Without the record its processes are still known by their environment.
    let _ = dir.write_process(&process);
    Word::Started(started_ms).tell();
}

struct Watch<'a> {
    spec: &'a Spec,
    group: Arc<Group>,
    inbox: Receiver<Notice>,
    open_streams: u32,
    cause: Option<Cause>,
    kill_at: Option<Instant>,
}

impl Watch<'_> {
    /// Has the program's streams captured and its end noticed.
    fn follow(
        &self,
        mut child: Child,
        helpers: Helpers,
        log: &SharedLog,
        notices: &Sender<Notice>,
    ) {
        if let Some(pipe) = child.stdout.take() {
            let (log, closed) = (log.clone(), notices.clone());
            helpers.stdout.give(move || {
                capture(LogStream::Stdout, pipe, &log);
                let _ = closed.send(Notice::StreamClosed);
            });
        }
        if let Some(pipe) = child.stderr.take() {
            let (log, closed) = (log.clone(), notices.clone());
            helpers.stderr.give(move || {
                capture(LogStream::Stderr, pipe, &log);
                let _ = closed.send(Notice::StreamClosed);
            });
        }
        let (group, exits) = (Arc::clone(&self.group), notices.clone());
        helpers.exit.give(move || drop(exits.send(Notice::Exited(group.wait(child)))));
    }

    /// Carries out orders and keeps the limit until the program has ended.
    fn until_exit(&mut self) -> io::Result<ExitStatus> {
        let mut look_at = self.spec.memory_bytes.map(|_| Instant::now());
        loop {
            match self.next_notice(self.kill_at.into_iter().chain(look_at).min()) {
                Some(Notice::Exited(status)) => return status,
                Some(Notice::StreamClosed) => {
                    self.open_streams = self.open_streams.saturating_sub(1);
                }
                Some(Notice::StopOrdered) => self.stop(),
                None => {
                    self.kill_if_due();
                    if let (Some(limit), Some(_)) = (self.spec.memory_bytes, look_at) {
                        look_at = self.keep_limit(limit).then(|| Instant::now() + MEMORY_INTERVAL);
                    }
                }
            }
        }
    }

    /// The next notice, or none at `until`.
    fn next_notice(&self, until: Option<Instant>) -> Option<Notice> {
        let gone = || Notice::Exited(Err(io::Error::other("the threads that watch it are gone")));
        let Some(until) = until else {
            return Some(self.inbox.recv().unwrap_or_else(|_| gone()));
        };
        match self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(notice) => Some(notice),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(gone()),
        }
    }

    fn stop(&mut self) {
        if self.cause.is_none() {
            self.cause = Some(Cause::StopOrder);
            self.group.signal(Signal::SIGTERM);
            self.kill_at = Instant::now().checked_add(Duration::from_millis(self.spec.grace_ms));
        }
    }

    fn kill_if_due(&mut self) {
        if self.kill_at.is_some_and(|at| at <= Instant::now()) {
            self.group.signal(Signal::SIGKILL);
            self.kill_at = None;
        }
    }

    /// Ends the program if it uses more than `limit`; true while it must be looked at again.
    fn keep_limit(&mut self, limit: u64) -> bool {
        let used = memory::resident_bytes(own_pid());
        if used <= limit {
            return true;
        }
        self.cause.get_or_insert(Cause::Memory(used));
        self.group.signal(Signal::SIGKILL);
        false
    }

    /// Ends what the program left behind, and waits until all it wrote has been read; but not for ever, since a process
    /// may be beyond signals, and a stranger may hold a stream.
    fn clean_up(&mut self) {
        let until = Instant::now() + CLEANUP_LIMIT;
        let mut orphans = end_orphans();
        while (self.open_streams > 0 || orphans) && Instant::now() < until {
            let next = Instant::now() + CLEANUP_INTERVAL;
            if let Some(Notice::StreamClosed) = self.next_notice(Some(next)) {
                self.open_streams = self.open_streams.saturating_sub(1);
            }
            orphans = orphans && end_orphans();
        }
    }
}

/// Kills this process's children and waits for those that have ended; false where there are none.
///
/// What a dying child leaves behind becomes a child itself, so that in the end there are none.
#[cfg(target_os = "linux")]
fn end_orphans() -> bool {
    use nix::{
        errno::Errno,
        sys::{
            signal::kill,
            wait::{WaitPidFlag, WaitStatus, waitpid},
        },
        unistd::Pid,
    };
    let no_children = || loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return false,
            Err(Errno::ECHILD) => return true,
            Ok(_) | Err(_) => {}
        }
    };
    if no_children() {
        return false;
    }
    for child in Process::all().filter(|process| process.parent == own_pid()) {
        // It cannot be anybody else's: it is not waited for before this function is called again.
        let _ = kill(Pid::from_raw(child.pid), Signal::SIGKILL);
    }
    true
}

/// Only Linux tells; elsewhere what left the program's group is left alone.
#[cfg(not(target_os = "linux"))]
fn end_orphans() -> bool {
    false
}

fn own_pid() -> i32 {
    nix::unistd::Pid::this().as_raw()
}
