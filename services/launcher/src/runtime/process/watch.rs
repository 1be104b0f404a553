//! The threads that each see one attempt through: one that this launcher creates, or one that it found.

use std::{
    io::{self, BufRead as _, BufReader},
    process::{Child, ExitStatus},
    sync::mpsc::Sender,
    thread,
    time::Duration,
};

use windlass_engine::reason::FailureReason;

use super::{
    Supervisor,
    create::{Creation, create},
    desk::{Notice, Order},
    judge::{self, Times},
    layout::Layout,
    waiting::Waiting,
};
use crate::{
    clock,
    runtime::{AttemptKey, AttemptSpec},
    supervisor::{
        self,
        attempt_dir::{AttemptDir, DirError},
        helper::Helper,
        outcome::{End, Outcome},
        word::Word,
    },
};

/// How often an attempt that was adopted before its program ran is looked at.
const START_INTERVAL: Duration = Duration::from_millis(20);

/// Tells the desk of one attempt. A desk that is gone no longer cares.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) key: AttemptKey,
    pub(super) orders: Sender<Order>,
}

impl Teller {
    fn tell(&self, notice: Notice) {
        let _ = self.orders.send(Order::Notice(self.key, notice));
    }
}

/// Creates an attempt and sees it through, with the help of a thread that does nothing else.
pub(super) fn create_and_watch(
    helper: Helper,
    teller: Teller,
    layout: Layout,
    supervisor: Supervisor,
    log_limit: u64,
    attempt: AttemptSpec,
) {
    helper.give(move || {
        let dir = layout.attempt(attempt.key);
        match create(&layout, &supervisor, log_limit, attempt) {
            Creation::Created { supervisor, created_ms } => {
                teller.tell(Notice::Created { created_ms });
                teller.tell(Notice::Ended(see_through(&teller, &dir, supervisor)));
            }
            Creation::Existed => teller.tell(Notice::Existed),
            Creation::Over(outcome) => teller.tell(Notice::Ended(outcome)),
        }
    });
}

/// Sees an attempt through that somebody else has created, in a thread of its own.
pub(super) fn adopt(teller: Teller, dir: AttemptDir, times: Times) -> io::Result<()> {
    let body = move || {
        let outcome = await_release(&teller, &dir, times)
            .unwrap_or_else(|error| unknown(format!("it can no longer be watched: {error}")));
        teller.tell(Notice::Ended(outcome));
    };
    thread::Builder::new().spawn(body).map(drop)
}

/// Follows the supervisor that this process has started.
fn see_through(teller: &Teller, dir: &AttemptDir, mut child: Child) -> Outcome {
    let not_written = child.stdout.take().and_then(|stdout| listen(teller, &mut child, stdout));
    let was_told = not_written.is_some();
    let why = describe(child.wait(), not_written);
    match dir.lock() {
        Ok(lock) => judge::settle(dir, &lock, &why),
        // Where the supervisor said why, the same is wrong here.
        Err(_) if was_told => unknown(judge::lost(&why)),
        Err(error) => {
            dir.read_outcome().unwrap_or_else(|| unknown(judge::lost(&format!("{why}: {error}"))))
        }
    }
}

/// Passes on what a supervisor tells, until it ends. Returns why the outcome was not written, where that was told.
fn listen(teller: &Teller, child: &mut Child, stdout: impl io::Read) -> Option<String> {
    let mut lines = BufReader::new(stdout);
    let mut line = String::new();
    let mut not_written = None;
    let mut waiting = Waiting::new(teller.key);
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        match Word::read(&line) {
            Some(Word::Started(started_ms)) => {
                waiting.is_over();
                // If it has ended meanwhile, one report tells all.
                if matches!(child.try_wait(), Ok(None)) {
                    teller.tell(Notice::Started { started_ms });
                }
            }
            Some(Word::Waits(error)) => waiting.waits(&error),
            Some(Word::NotWritten(error)) => not_written = Some(error),
            None => {}
        }
        line.clear();
    }
    waiting.is_over();
    not_written
}

/// Waits until the attempt's supervisor is gone.
fn await_release(teller: &Teller, dir: &AttemptDir, mut times: Times) -> Result<Outcome, DirError> {
    let why = "its supervisor vanished";
    while times.started_ms.is_none() {
        if let Some(lock) = dir.try_lock()? {
            return Ok(judge::settle(dir, &lock, why));
        }
        times = judge::times(dir);
        match times.started_ms {
            Some(started_ms) => teller.tell(Notice::Started { started_ms }),
            None => thread::park_timeout(START_INTERVAL),
        }
    }
    let lock = dir.lock()?;
    Ok(judge::settle(dir, &lock, why))
}

/// How a supervisor can have left without an outcome.
fn describe(status: io::Result<ExitStatus>, not_written: Option<String>) -> String {
    let exits = |status: &ExitStatus, code: u8| status.code() == Some(i32::from(code));
    match status {
        Ok(status) if exits(&status, supervisor::EXIT_NOT_WRITTEN) => {
            let error = not_written.unwrap_or_else(|| "it did not say why".to_owned());
            format!("its supervisor could not write down how it ended ({error})")
        }
        Ok(status) if exits(&status, supervisor::EXIT_NOT_BEGUN) => {
            "its supervisor could not take it over (see that the launcher's directory is on a local disk)".to_owned()
        }
        Ok(status) => format!("its supervisor vanished ({status})"),
        Err(error) => format!("its supervisor vanished ({error})"),
    }
}

/// The outcome where even the directory tells nothing.
fn unknown(message: String) -> Outcome {
    Outcome {
        created_ms: None,
        started_ms: None,
        ended_ms: Some(clock::now().0),
        end: End::failed(FailureReason::Lost, message),
    }
}
