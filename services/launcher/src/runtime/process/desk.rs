//! The desk: one thread that knows what runs here and what waits, and makes the reports.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    fs,
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender},
    thread,
    time::Instant,
};

use tokio::sync::{oneshot, watch as room};
use tracing::{error, warn};
use windlass_engine::{
    event::{AttemptPhase, AttemptReport},
    record::StepIndex,
    time::Timestamp,
};
use windlass_proto::id::RunId;

use super::{
    ProcessConfig, create,
    judge::{self, Standing, Times},
    layout::Layout,
    stuck::{Deadline, Patrol},
    watch::{self, Teller},
};
use crate::{
    runtime::{AttemptKey, AttemptSpec, Report, ReportSender},
    supervisor::{ROOM_INTERVAL, helper::Helper, outcome::Outcome, shortage},
};

/// What the desk is told.
#[derive(Debug)]
pub(super) enum Order {
    Start(Vec<AttemptSpec>, oneshot::Sender<()>),
    Stop(AttemptKey),
    /// Answered with whether the attempt is known.
    Probe(AttemptKey, oneshot::Sender<bool>),
    Remove(RunId, oneshot::Sender<()>),
    /// Answered with all attempts that have a directory or wait for a slot.
    List(oneshot::Sender<Vec<AttemptKey>>),
    /// Answered when nothing is being created; nothing is from then on.
    Settle(oneshot::Sender<()>),
    /// By the thread that watches the attempt.
    Notice(AttemptKey, Notice),
    /// Leave all that runs alone.
    Close,
}

/// What became of an attempt that is watched.
#[derive(Debug)]
pub(super) enum Notice {
    Created {
        created_ms: u64,
    },
    Started {
        started_ms: u64,
    },
    /// It was to be created, and exists.
    Existed,
    Ended(Outcome),
}

/// An attempt that takes up a slot.
#[derive(Debug, Default)]
struct Watched {
    times: Times,
    stop_ordered: bool,
    /// By when its supervisor must have carried out the order.
    deadline: Option<Deadline>,
}

#[derive(Debug)]
pub(super) struct Desk {
    config: ProcessConfig,
    layout: Layout,
    reports: ReportSender,
    orders: Sender<Order>,
    /// What has a thread that watches it.
    watched: BTreeMap<AttemptKey, Watched>,
    /// What waits for a slot, and in which order; an attempt that was stopped is only in the latter.
    waiting: HashMap<AttemptKey, AttemptSpec>,
    queue: VecDeque<AttemptKey>,
    /// How many attempts could begin at once.
    room: room::Sender<usize>,
    patrol: Patrol,
    /// When to try again what the system had no room for.
    retry_at: Option<Instant>,
    /// What is being created at this moment.
    creating: BTreeSet<AttemptKey>,
    /// Who waits until nothing is. Where there is somebody, nothing begins any more.
    settling: Option<Vec<oneshot::Sender<()>>>,
}

impl Desk {
    pub(super) fn new(
        config: ProcessConfig,
        layout: Layout,
        reports: ReportSender,
        orders: Sender<Order>,
        room: room::Sender<usize>,
    ) -> Self {
        Self {
            patrol: Patrol::every(config.patrol_interval),
            config,
            layout,
            reports,
            orders,
            watched: BTreeMap::new(),
            waiting: HashMap::new(),
            queue: VecDeque::new(),
            room,
            retry_at: None,
            creating: BTreeSet::new(),
            settling: None,
        }
    }

    /// Reports all there is, then carries out orders until it is closed.
    pub(super) fn run(&mut self, inbox: &Receiver<Order>) {
        self.layout.taken_out().into_iter().for_each(delete);
        for key in self.layout.attempts() {
            self.look_up(key);
        }
        self.tell_room();
        loop {
            let order = match self.next_order(inbox) {
                Ok(order) => order,
                Err(RecvTimeoutError::Timeout) => {
                    self.enforce_stops();
                    self.patrol.look(&self.layout, self.watched.keys());
                    self.fill_slots();
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut taken = None;
            match order {
                Order::Start(attempts, done) => {
                    for attempt in attempts {
                        self.take(attempt);
                    }
                    taken = Some(done);
                }
                Order::Stop(key) => self.stop(key),
                Order::Probe(key, answer) => drop(answer.send(self.probe(key))),
                Order::Remove(run, done) => {
                    self.remove(run);
                    let _ = done.send(());
                }
                Order::List(answer) => drop(answer.send(self.list())),
                Order::Notice(key, notice) => {
                    self.creating.remove(&key);
                    self.notice(key, notice);
                }
                Order::Settle(done) => self.settling.get_or_insert_default().push(done),
                Order::Close => return,
            }
            self.fill_slots();
            self.tell_room();
            // Only now, so that whoever waits for that sees the room that is left.
            taken.map(|done| done.send(()));
            if self.creating.is_empty() {
                self.settling
                    .iter_mut()
                    .flat_map(|it| it.drain(..))
                    .for_each(|done| _ = done.send(()));
            }
        }
    }

    fn tell_room(&self) {
        let busy = self.watched.len() + self.waiting.len();
        let free = self.config.slots.get().saturating_sub(busy);
        self.room.send_if_modified(|room| std::mem::replace(room, free) != free);
    }

    fn list(&self) -> Vec<AttemptKey> {
        let mut keys = self.layout.attempts();
        keys.extend(self.waiting.keys());
        keys
    }

    /// The next order, or nothing once a stop is overdue, or it is time to look at the supervisors or to try again what there
    /// was no room for.
    fn next_order(&self, inbox: &Receiver<Order>) -> Result<Order, RecvTimeoutError> {
        let deadlines = self.watched.values().filter_map(|watched| watched.deadline);
        let patrol = self.patrol.next.filter(|_| !self.watched.is_empty());
        match deadlines.map(|deadline| deadline.at).chain(patrol).chain(self.retry_at).min() {
            Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => inbox.recv().map_err(RecvTimeoutError::from),
        }
    }

    /// Sees to the supervisors that have not carried out an order in time.
    fn enforce_stops(&mut self) {
        let now = Instant::now();
        for (key, watched) in &mut self.watched {
            let Some(deadline) = watched.deadline.filter(|deadline| deadline.at <= now) else {
                continue;
            };
            if deadline.kills() {
                warn!(%key, "a supervisor does not carry out an order to stop, and is killed");
            } else {
                warn!(%key, "a supervisor has not carried out an order to stop in time, and is told to go on");
            }
            watched.deadline = deadline.enforce(&self.layout.attempt(*key));
        }
    }

    fn take(&mut self, attempt: AttemptSpec) {
        let key = attempt.key;
        if self.watched.contains_key(&key) {
            self.report_phase(key);
        } else if self.layout.attempt(key).path().exists() {
            self.look_up(key);
        } else if self.waiting.insert(key, attempt).is_none() {
            self.queue.push_back(key);
        }
    }

    fn fill_slots(&mut self) {
        self.retry_at = None;
        if self.settling.is_some() {
            return;
        }
        while self.watched.len() < self.config.slots.get()
            && let Some(key) = self.queue.pop_front()
        {
            let Some(attempt) = self.waiting.remove(&key) else {
                continue;
            };
            let helper = match Helper::start() {
                Ok(helper) => helper,
                Err(error) => {
                    // Nothing has begun that could be late: trying on costs the step none of its retries.
                    shortage::tell(&error);
                    self.waiting.insert(key, attempt);
                    self.queue.push_front(key);
                    self.retry_at = Some(Instant::now() + ROOM_INTERVAL);
                    return;
                }
            };
            let (layout, supervisor) = (self.layout.clone(), self.config.supervisor.clone());
            let (limit, teller) = (self.config.log_limit, self.teller(key));
            watch::create_and_watch(helper, teller, layout, supervisor, limit, attempt);
            self.creating.insert(key);
            self.watched.insert(key, Watched::default());
        }
    }

    fn stop(&mut self, key: AttemptKey) {
        if self.waiting.remove(&key).is_some() || !self.layout.attempt(key).path().exists() {
            self.preclude(key);
        } else if !self.watched.contains_key(&key) {
            self.look_up(key);
        }
        if let Some(watched) = self.watched.get_mut(&key) {
            watched.stop_ordered = true;
            // One that is about to be created is told once it is.
            if self.layout.attempt(key).path().exists() {
                self.order_stop(key);
            }
        }
    }

    /// Sees to it that an attempt which does not exist never will.
    fn preclude(&mut self, key: AttemptKey) {
        if self.watched.contains_key(&key) {
            return;
        }
        match create::preclude(&self.layout, key) {
            Ok(true) => self.report(key, Times::default(), None, AttemptPhase::NotCreated),
            Ok(false) => self.look_up(key),
            // Not reported, since it cannot be promised; the order will be given again.
            Err(error) => error!(%key, %error, "an attempt cannot be kept from being created"),
        }
    }

    fn order_stop(&mut self, key: AttemptKey) {
        let dir = self.layout.attempt(key);
        if let Err(error) = dir.order_stop() {
            warn!(%key, %error, "an attempt was not told to stop; it will be told again");
            // An order that was not given for want of a descriptor need not be heeded in time.
            if error.is_shortage() {
                return;
            }
        }
        // An order that is repeated gives no more time.
        if let Some(watched) = self.watched.get_mut(&key)
            && watched.deadline.is_none()
        {
            watched.deadline = Deadline::of(&dir, self.config.stop_margin);
        }
    }

    fn probe(&mut self, key: AttemptKey) -> bool {
        if self.watched.contains_key(&key) {
            self.report_phase(key);
            return true;
        }
        let exists = self.layout.attempt(key).path().exists();
        if exists {
            self.look_up(key);
        }
        exists || self.waiting.contains_key(&key)
    }

    fn remove(&mut self, run: RunId) {
        let waits = self.waiting.keys().any(|key| key.run == run);
        if waits || self.watched.keys().any(|key| key.run == run) {
            warn!(%run, "a run is kept: some of its attempts have not ended; stop them first");
            return;
        }
        match self.layout.take_out(run) {
            Ok(Some(taken)) => delete(taken),
            Ok(None) => {}
            Err(error) => {
                warn!(%run, %error, "a run cannot be removed; remove its directory by hand");
            }
        }
    }

    fn notice(&mut self, key: AttemptKey, notice: Notice) {
        let Some(watched) = self.watched.get_mut(&key) else {
            return;
        };
        match notice {
            Notice::Created { created_ms } => {
                watched.times.created_ms = Some(created_ms);
                if watched.stop_ordered {
                    self.order_stop(key);
                }
            }
            Notice::Started { started_ms } => {
                watched.times.started_ms = Some(started_ms);
                self.report_phase(key);
            }
            Notice::Existed => {
                let stop_ordered = watched.stop_ordered;
                self.watched.remove(&key);
                self.look_up(key);
                if stop_ordered {
                    self.stop(key);
                }
            }
            Notice::Ended(mut outcome) => {
                outcome.created_ms = outcome.created_ms.or(watched.times.created_ms);
                outcome.started_ms = outcome.started_ms.or(watched.times.started_ms);
                self.watched.remove(&key);
                self.report_end(key, outcome);
            }
        }
    }

    /// Reports an attempt that nobody here watches by what its directory tells; adopts it if it lives.
    fn look_up(&mut self, key: AttemptKey) {
        let dir = self.layout.attempt(key);
        match judge::standing(&dir) {
            Ok(Standing::Ended(outcome)) => self.report_end(key, outcome),
            Ok(Standing::Alive(times)) => match watch::adopt(self.teller(key), dir, times) {
                Ok(()) => {
                    self.watched.insert(key, Watched { times, ..Watched::default() });
                    self.report_phase(key);
                }
                Err(error) => error!(%key, %error, "an attempt runs unwatched until it is probed"),
            },
            Err(error) => error!(%key, %error, "an attempt cannot be looked up until it is probed"),
        }
    }

    fn teller(&self, key: AttemptKey) -> Teller {
        Teller { key, orders: self.orders.clone() }
    }

    /// Reports an attempt that is watched.
    fn report_phase(&self, key: AttemptKey) {
        let Some(Watched { times, .. }) = self.watched.get(&key) else {
            return;
        };
        let runs = times.started_ms.is_some();
        let phase = if runs { AttemptPhase::Running } else { AttemptPhase::Starting };
        self.report(key, *times, None, phase);
    }

    fn report_end(&self, key: AttemptKey, outcome: Outcome) {
        let Outcome { created_ms, started_ms, ended_ms, end } = outcome;
        let (phase, keep) = end.into_phase();
        let report = report(key, Times { created_ms, started_ms }, ended_ms, phase);
        self.send(Report { run: key.run, report, keep });
    }

    fn report(&self, key: AttemptKey, times: Times, ended_ms: Option<u64>, phase: AttemptPhase) {
        let report = report(key, times, ended_ms, phase);
        self.send(Report { run: key.run, report, keep: None });
    }

    fn send(&self, report: Report) {
        // Who no longer listens asks again when it does.
        let _ = self.reports.send(report);
    }
}

fn report(
    key: AttemptKey,
    times: Times,
    ended_ms: Option<u64>,
    phase: AttemptPhase,
) -> AttemptReport {
    AttemptReport {
        step: StepIndex(key.step),
        attempt: key.attempt,
        phase,
        created_at: times.created_ms.map(Timestamp),
        started_at: times.started_ms.map(Timestamp),
        ended_at: ended_ms.map(Timestamp),
    }
}

/// Deletes a run's files, however many, without keeping anybody waiting.
fn delete(path: PathBuf) {
    let body = move || {
        if let Err(error) = fs::remove_dir_all(&path) {
            warn!(path = %path.display(), %error, "a removed run cannot be deleted; delete it by hand");
        }
    };
    if let Err(error) = thread::Builder::new().spawn(body) {
        warn!(%error, "a removed run is deleted at the next start");
    }
}
