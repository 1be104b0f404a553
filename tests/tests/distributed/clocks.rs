//! Clocks that are set an hour forward and back while the work is done: that of each kind of program, with the steps it starts,
//! and that of Redis. NATS reads its clock without the system's library, so that there is nothing to put in its place.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use tempfile::TempDir;
use windlass_proto::v1::{self, RunState, StepState};
use windlass_servers::{NatsServer, RedisServer};

use crate::{
    crew::Crew,
    deployment::{Deployment, Kind, Program, eventually, submit, until_ended},
    work::Ledger,
};

/// By how many seconds clocks jump.
const HOUR: i32 = 3600;

/// So long that only a clock that jumps can bring it about.
const LONG: Duration = Duration::from_mins(30);

/// Longer than a sweep, with which schedulers read the store's clock again; and far shorter than a jump.
const SHORT: Duration = Duration::from_secs(3);

/// How often the clock of the store jumps forward: each time, hosts are not listed until they are heard of again.
const JUMPS: i32 = 3;

/// How many steps run all the while, and leave room for others.
const HELD: u32 = 2;

/// A clock for programs that jumps when it is told to. Only the time of day does: the monotonic clock goes on.
pub(crate) struct JumpyClock {
    library: PathBuf,
    dir: TempDir,
}

impl JumpyClock {
    /// None, said aloud, where libfaketime is missing.
    #[expect(clippy::print_stderr, reason = "a test that cannot run says why")]
    pub(crate) fn find() -> Option<Self> {
        let places = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let library = places
            .map(|entry| entry.path())
            .chain(["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from))
            .map(|directory| directory.join("faketime/libfaketimeMT.so.1"))
            .find(|path| path.is_file());
        let Some(library) = library else {
            assert!(env::var_os("CI").is_none(), "libfaketime is missing");
            eprintln!("skipped: libfaketime is missing (Debian: apt-get install faketime)");
            return None;
        };
        let clock = Self { library, dir: tempfile::tempdir().expect("a directory") };
        clock.set(0);
        Some(clock)
    }

    /// Sets it so many seconds ahead of the machine's clock.
    pub(crate) fn set(&self, seconds: i32) {
        // Whoever looks meanwhile finds the old time or the new one.
        let new = self.dir.path().join("new");
        fs::write(&new, format!("{seconds:+}")).expect("the file is written");
        fs::rename(new, self.file()).expect("the file is replaced");
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("offset")
    }

    /// What has a program obey it.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", self.library.as_path()),
            ("FAKETIME_TIMESTAMP_FILE", &self.file()),
            // How long programs take to notice, in seconds.
            ("FAKETIME_CACHE_DURATION", Path::new("1")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", Path::new("1")),
        ]
        .map(|(name, value)| (name.to_owned(), value.display().to_string()))
        .into()
    }

    /// Sets it, and asserts that the time of day jumps by it, and the monotonic clock does not.
    fn jump_to(&self, seconds: i32) {
        let (time, monotonic) = self.read();
        self.set(seconds);
        let (time_after, monotonic_after) = self.read();
        let half = i64::from(HOUR) / 2;
        assert!((time_after - time).abs() > half, "the clock has not jumped");
        assert!((monotonic_after - monotonic).abs() < half, "all clocks have jumped");
    }

    /// The time of day and the monotonic time, in seconds, as a program reads them that obeys it.
    fn read(&self) -> (i64, i64) {
        let script = "import time; print(int(time.time()), int(time.monotonic()))";
        let output = Command::new("python3")
            .args(["-c", script])
            .envs(self.environment())
            .output()
            .expect("python3 runs");
        let text = String::from_utf8(output.stdout).expect("digits");
        let (time, monotonic) = text.trim().split_once(' ').expect("two numbers");
        (time.parse().expect("a number"), monotonic.parse().expect("a number"))
    }
}

impl Drop for JumpyClock {
    /// The library leaves files of processes that were killed.
    fn drop(&mut self) {
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let number = ["sem.faketime_sem_", "faketime_shm_"]
                .iter()
                .find_map(|prefix| name.strip_prefix(prefix)?.parse().ok());
            if number.is_some_and(|it| kill(Pid::from_raw(it), None) == Err(Errno::ESRCH)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

fn assert_obeys(program: &Program) {
    let maps = File::open(format!("/proc/{}/maps", program.id())).expect("the program runs");
    let maps = std::io::read_to_string(maps).expect("the file is read");
    assert!(maps.contains("libfaketime"), "the {:?} has the machine's clock", program.kind);
}

/// Runs in which something is due soon, or not for long.
struct Timers {
    ledger: Ledger,
    /// Runs on, and would have to be ended only in a long time.
    held: String,
    /// Has failed, and is tried again soon.
    soon: String,
    /// Has failed, and is tried again in a long time.
    later: String,
}

impl Timers {
    /// Returns when all of it waits.
    async fn begin(deployment: &Deployment, submitter: &Program, name: &str) -> Self {
        let ledger = Ledger::new(deployment.file(name));
        let mut held = ledger.held();
        held.steps[0].timeout = Some(LONG.try_into().expect("a short time"));
        let held = submit(submitter, &held).await;
        until_step(submitter, &held, StepState::Running).await;
        let later = submit(submitter, &failing_once(&ledger, LONG)).await;
        until_step(submitter, &later, StepState::Delayed).await;
        let soon = submit(submitter, &failing_once(&ledger, SHORT)).await;
        ledger.until_started(3).await;
        Self { ledger, held, soon, later }
    }

    /// Asserts that all comes when it is due, and not before.
    async fn come_in_time(&self, submitter: &Program) {
        is_retried_once(submitter, &self.ledger, &self.soon).await;
        // Were the others taken for due, they would have been looked at by now, as what was due was.
        until_step(submitter, &self.held, StepState::Running).await;
        until_step(submitter, &self.later, StepState::Delayed).await;
        self.ledger.let_go();
        let run = until_ended(submitter, &self.held).await;
        assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
        let request = v1::CancelRunRequest { run_id: self.later.clone() };
        submitter.runs().cancel_run(request).await.expect("cancelled");
        let run = until_ended(submitter, &self.later).await;
        assert_eq!(run.state(), RunState::Cancelled, "{run:?}");
        for run_id in [&self.held, &self.later] {
            assert_eq!(self.ledger.starts(run_id), [(("s0".to_owned(), 1), 1)].into());
        }
    }
}

/// A run of one step, whose first attempt fails, and whose second one succeeds, so much later.
fn failing_once(ledger: &Ledger, delay: Duration) -> v1::Pipeline {
    let retry = v1::RetryPolicy {
        limit: 1,
        delay: Some(delay.try_into().expect("a short time")),
        ..Default::default()
    };
    let step = ledger.step("s0", &[], r#"[ "$WINDLASS_ATTEMPT" -gt 1 ]"#);
    let steps = vec![v1::Step { retry: Some(Box::new(retry)), ..step }];
    v1::Pipeline { name: "retried".into(), steps, ..Default::default() }
}

/// Asserts that such a run ends well.
async fn is_retried_once(submitter: &Program, ledger: &Ledger, run_id: &str) {
    let run = until_ended(submitter, run_id).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    let starts = [1, 2].map(|attempt| (("s0".to_owned(), attempt), 1));
    assert_eq!(ledger.starts(run_id), starts.into());
}

/// Waits until a run's only step is in this state, in its first attempt.
async fn until_step(submitter: &Program, run_id: &str, state: StepState) {
    eventually(&format!("the step of {run_id} is {state:?}"), async || {
        let request = v1::ListStepsRequest { run_id: run_id.to_owned(), ..Default::default() };
        let steps = submitter.runs().list_steps(request).await.ok()?.into_inner().steps;
        let [step] = &steps[..] else { panic!("{steps:?}") };
        let over = matches!(step.state(), StepState::Stopping | StepState::Failed);
        assert!(step.attempt <= 1 && !over, "{step:?}");
        (step.state() == state).then_some(())
    })
    .await;
}

/// Has a clock jump forward and back, and asserts that what was due by it, and what becomes due, comes in time.
async fn jumps(clock: &JumpyClock, deployment: &Deployment, submitter: &Program) {
    for (name, seconds) in [("forward", HOUR), ("back", 0)] {
        let before = Timers::begin(deployment, submitter, &format!("before-{name}")).await;
        clock.jump_to(seconds);
        let after = Timers::begin(deployment, submitter, &format!("after-{name}")).await;
        before.come_in_time(submitter).await;
        after.come_in_time(submitter).await;
    }
}

async fn the_clock_of_a_program_jumps(kind: Kind) {
    let Some(clock) = JumpyClock::find() else { return };
    let mut deployment = Deployment::start().await;
    deployment.environment.insert(kind, clock.environment());
    let crew = Crew::start(&deployment).await;
    crew.all().into_iter().filter(|program| program.kind == kind).for_each(assert_obeys);
    crew.is_undisturbed_by(&deployment, async || {
        jumps(&clock, &deployment, &crew.submitter).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_each_program_jumps_by_an_hour() {
    tokio::join!(
        Box::pin(the_clock_of_a_program_jumps(Kind::Submitter)),
        Box::pin(the_clock_of_a_program_jumps(Kind::Scheduler)),
        Box::pin(the_clock_of_a_program_jumps(Kind::Launcher)),
        Box::pin(the_clock_of_a_program_jumps(Kind::Streamer)),
    );
}

/// The time of runs is Redis's own: where that jumps, what is due within the hour comes at once. Nothing is lost by it, and what
/// becomes due later comes in time again.
#[tokio::test(flavor = "multi_thread")]
async fn the_clock_of_redis_jumps_by_an_hour() {
    let Some(clock) = JumpyClock::find() else { return };
    let (nats, redis) = tokio::join!(
        NatsServer::start(),
        RedisServer::builder().envs(clock.environment()).start(),
    );
    let deployment = Deployment::on(nats, redis);
    let settings = ["launcher.host_lost_after=5s"];
    let crew = Crew::start_with(&deployment, &settings, |_| Vec::new()).await;
    let held = Ledger::new(deployment.file("held"));
    let held_run = submit(&crew.submitter, &held.held_beside_each_other(HELD)).await;
    held.until_started(HELD as usize).await;
    crew.is_undisturbed_by(&deployment, async || {
        // Back at last, and by all of it.
        for seconds in (1..=JUMPS).map(|jump| jump * HOUR).chain([0]) {
            let ledger = Ledger::new(deployment.file(&format!("at-{seconds}")));
            let before = submit(&crew.submitter, &failing_once(&ledger, SHORT)).await;
            ledger.until_started(1).await;
            clock.jump_to(seconds);
            until_accepted_at(&crew.submitter, &ledger, clock.read().0).await;
            let after = submit(&crew.submitter, &failing_once(&ledger, SHORT)).await;
            is_retried_once(&crew.submitter, &ledger, &before).await;
            is_retried_once(&crew.submitter, &ledger, &after).await;
        }
    })
    .await;
    held.let_go();
    let run = until_ended(&crew.submitter, &held_run).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    let starts = (0..HELD).map(|step| ((format!("s{step}"), 1), 1)).collect();
    assert_eq!(held.starts(&held_run), starts);
}

/// Waits until runs are accepted at about this time.
async fn until_accepted_at(submitter: &Program, ledger: &Ledger, time: i64) {
    eventually("the clock of the server jumps", async || {
        let run_id = submit(submitter, &ledger.wide(1)).await;
        let run = until_ended(submitter, &run_id).await;
        let accepted = run.create_time.expect("a run has been accepted").seconds;
        ((accepted - time).abs() < i64::from(HOUR) / 2).then_some(())
    })
    .await;
}
