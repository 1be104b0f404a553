//! A world for runs to run in: a launcher, and a way to and from it that delays, loses, repeats and reorders, all moved by
//! given numbers and by nothing else.

use std::{collections::BTreeMap, sync::Arc};

use windlass_engine::{
    event::{AttemptPhase, AttemptReport, Event, Order},
    graph::Graph,
    output::{AttemptRef, Effect, Output},
    reason::{Failure, FailureReason},
    record::{RunState, StepIndex, StepState},
    run::Run,
    time::Timestamp,
};

use super::{
    book::{Book, check_delta},
    model::Outcome,
    notation::{at, load},
};

/// Rounds after which a world without faults is taken to go on for ever.
const PATIENCE: usize = 20_000;

/// How an attempt is, as the launcher knows.
#[derive(Debug, Clone, PartialEq)]
enum Life {
    Starting,
    Running { since: Timestamp },
    Ended(AttemptReport),
    Never,
}

/// A run and all around it.
pub(crate) struct World<'a> {
    pub(crate) run: Run,
    graph: Arc<Graph>,
    outcome: &'a dyn Fn(StepIndex, u32) -> Outcome,
    pub(crate) now: Timestamp,
    /// On the way to the launcher, each with the launch generation in which it was sent.
    commands: Vec<(Effect, u32)>,
    /// On the way to the engine.
    reports: Vec<AttemptReport>,
    attempts: BTreeMap<AttemptRef, Life>,
    /// How many attempts of each step came to exist, and how each turned out that was asked for.
    created: Vec<u32>,
    planned: BTreeMap<AttemptRef, Outcome>,
    /// What was committed; not kept where the store may go back.
    book: Option<Book>,
    /// To what a store may go back that does.
    earlier: Vec<Run>,
}

impl<'a> World<'a> {
    pub(crate) fn new(graph: &Arc<Graph>, outcome: &'a dyn Fn(StepIndex, u32) -> Outcome) -> Self {
        Self {
            run: Run::new(graph.clone()),
            graph: graph.clone(),
            outcome,
            now: at(0),
            commands: Vec::new(),
            reports: Vec::new(),
            attempts: BTreeMap::new(),
            created: vec![0; graph.len()],
            planned: BTreeMap::new(),
            book: Some(Book::new(graph)),
            earlier: Vec::new(),
        }
    }

    /// A world whose store may lose what was committed last.
    pub(crate) fn forgetful(
        graph: &Arc<Graph>,
        outcome: &'a dyn Fn(StepIndex, u32) -> Outcome,
    ) -> Self {
        Self { book: None, ..Self::new(graph, outcome) }
    }

    /// One move that changes nothing but when and how often something comes: the number says which.
    pub(crate) fn calm_move(&mut self, number: u32) {
        let pick = number / 100;
        let coin = pick.is_multiple_of(7);
        match number % 100 {
            0..=24 => self.deliver_report(pick, true),
            25..=39 => self.deliver_command(pick),
            40..=57 => self.progress(pick),
            58..=69 => self.dispatch(pick as usize % 4, !coin),
            70..=76 => self.pass_time(u64::from(pick % 60)),
            77..=82 => self.repeat(pick),
            83..=86 => self.lose(pick),
            87..=90 => self.crash(coin),
            91..=92 => self.order(Order::Pause),
            93..=95 => self.order(Order::Resume),
            96..=97 => self.deliver_report(pick, false),
            _ => self.apply(&Event::Submitted),
        }
    }

    /// One move of any kind.
    pub(crate) fn wild_move(&mut self, number: u32) {
        let pick = number / 100;
        match number % 97 {
            0 if pick.is_multiple_of(3) => self.order(Order::Cancel),
            1..=3 => self.order(Order::Retry),
            4..=6 => self.vanish(pick),
            7 if self.book.is_none() => self.forget(pick),
            _ => self.calm_move(number),
        }
    }

    /// The faults are over: whatever is on its way arrives, all attempts go on, nothing is paused. Until the run has ended.
    pub(crate) fn settle(&mut self) {
        self.apply(&Event::Submitted);
        let mut swept = false;
        for _ in 0..PATIENCE {
            if self.run.record().state.is_final()
                && self.commands.is_empty()
                && self.reports.is_empty()
            {
                return;
            }
            let before = (self.run.clone(), self.attempts.clone());
            self.order(Order::Resume);
            self.apply(&Event::Wake);
            self.dispatch(usize::MAX, true);
            while !self.commands.is_empty() {
                self.deliver_command(0);
            }
            for pick in 0..self.live().len() {
                self.progress(pick as u32);
            }
            while !self.reports.is_empty() {
                self.deliver_report(0, true);
            }
            if (&before.0, &before.1) != (&self.run, &self.attempts) {
                swept = false;
            } else if !swept {
                swept = true;
                self.sweep();
            } else if let Some(wakeup) = self.run.next_wakeup(self.now) {
                assert!(wakeup > self.now, "what is due is done: {:?}", self.run);
                self.now = wakeup;
                swept = false;
            } else {
                panic!("nothing is left to happen, and the run has not ended: {:?}", self.run);
            }
        }
        panic!("the run goes on for ever: {:?}", self.run);
    }

    pub(crate) fn order(&mut self, order: Order) {
        self.apply(&Event::Order(order));
    }

    fn apply(&mut self, event: &Event) {
        self.call(true, |run, now, out| {
            run.apply(event, now, out).expect("it makes sense");
        });
    }

    fn dispatch(&mut self, room: usize, committed: bool) {
        self.call(committed, |run, now, out| {
            let launched = run.dispatch(room, now, out);
            assert!(launched <= room && launched == out.effects.len());
        });
    }

    /// Calls the engine and holds what it did against all that must always hold. Where the commit fails, it did not happen.
    fn call(&mut self, committed: bool, call: impl FnOnce(&mut Run, Timestamp, &mut Output)) {
        let before = self.run.clone();
        let mut out = Output::default();
        call(&mut self.run, self.now, &mut out);
        check_delta(&before, &self.run, &out.delta);
        assert_eq!(load(&self.run), self.run, "what was derived on the way is what a load derives");
        if !committed {
            self.run = load(&before);
            return;
        }
        match &mut self.book {
            Some(book) => book.commit(&before, &self.run, &out, self.now),
            None => self.earlier.push(before),
        }
        self.send(out.effects);
    }

    fn send(&mut self, effects: impl IntoIterator<Item = Effect>) {
        let generation = self.run.record().launch_generation;
        self.commands.extend(effects.into_iter().map(|effect| (effect, generation)));
    }

    fn deliver_report(&mut self, pick: u32, committed: bool) {
        if self.reports.is_empty() {
            return;
        }
        let place = pick as usize % self.reports.len();
        let event = Event::Report(self.reports[place].clone());
        self.call(committed, |run, now, out| {
            run.apply(&event, now, out).expect("it makes sense");
        });
        if committed {
            self.reports.remove(place);
        }
    }

    /// What the launcher does with a command.
    fn deliver_command(&mut self, pick: u32) {
        if self.commands.is_empty() {
            return;
        }
        let (effect, generation) = self.commands.remove(pick as usize % self.commands.len());
        let (Effect::Launch(it) | Effect::Stop(it) | Effect::Probe(it)) = effect;
        let life = self.attempts.get(&it).cloned();
        match (effect, life) {
            (Effect::Launch(_), None) => self.create_if_wanted(it, generation),
            (Effect::Launch(_) | Effect::Probe(_), Some(_))
            | (Effect::Stop(_), Some(Life::Ended(_))) => {}
            (Effect::Stop(_), Some(Life::Starting | Life::Running { .. })) => {
                // It may have been about to end by itself.
                if pick.is_multiple_of(4) {
                    self.progress_one(it);
                }
                if !matches!(self.attempts[&it], Life::Ended(_)) {
                    self.end(it, AttemptPhase::Stopped);
                }
            }
            (Effect::Stop(_), None | Some(Life::Never)) => {
                self.attempts.insert(it, Life::Never);
            }
            (Effect::Probe(_), None) => self.end(it, failed(FailureReason::Lost)),
        }
        self.tell(it);
    }

    fn create_if_wanted(&mut self, it: AttemptRef, generation: u32) {
        let record = self.run.step(it.step);
        if record.state != StepState::Queued || record.attempt != it.attempt {
            return;
        }
        if self.run.record().state != RunState::Running
            || self.run.record().launch_generation != generation
        {
            self.attempts.insert(it, Life::Never);
            return;
        }
        let twin = self.live().into_iter().find(|other| other.step == it.step);
        assert!(self.book.is_none() || twin.is_none(), "{twin:?} runs, and {it:?} is to");
        let created = &mut self.created[it.step.0 as usize];
        let outcome = (self.outcome)(it.step, *created);
        *created += 1;
        self.planned.insert(it, outcome);
        if outcome == Outcome::Failure(FailureReason::LaunchFailed) {
            self.end(it, failed(FailureReason::LaunchFailed));
        } else {
            self.attempts.insert(it, Life::Starting);
        }
    }

    /// An attempt goes on to its next phase.
    fn progress(&mut self, pick: u32) {
        let live = self.live();
        if !live.is_empty() {
            let it = live[pick as usize % live.len()];
            self.progress_one(it);
            self.tell(it);
        }
    }

    fn progress_one(&mut self, it: AttemptRef) {
        let policy = self.graph.step_policy(it.step);
        match (self.attempts.get(&it), self.planned[&it]) {
            (Some(Life::Starting), Outcome::Hang) if policy.startup_timeout_ms.is_some() => {}
            (Some(Life::Starting), _) => {
                drop(self.attempts.insert(it, Life::Running { since: self.launchers_now(it) }));
            }
            (Some(Life::Running { .. }), Outcome::Success) => {
                self.end(it, AttemptPhase::Succeeded(Some("{}".into())));
            }
            (Some(Life::Running { .. }), Outcome::Failure(reason)) => self.end(it, failed(reason)),
            (_, _) => {}
        }
    }

    fn end(&mut self, it: AttemptRef, phase: AttemptPhase) {
        let started_at = match self.attempts.get(&it) {
            Some(Life::Running { since }) => Some(*since),
            _ => None,
        };
        let ended_at = Some(self.launchers_now(it));
        let report = AttemptReport { started_at, ended_at, ..bare(it, phase) };
        self.attempts.insert(it, Life::Ended(report));
    }

    /// The launcher's clock is up to 20 ms fast or slow.
    fn launchers_now(&self, it: AttemptRef) -> Timestamp {
        Timestamp(self.now.0 + u64::from((it.step.0 * 7 + it.attempt) % 41) - 20)
    }

    /// The launcher reports an attempt's present phase.
    fn tell(&mut self, it: AttemptRef) {
        self.reports.extend(self.attempts.get(&it).map(|life| match life {
            Life::Starting => bare(it, AttemptPhase::Starting),
            Life::Running { since } => {
                AttemptReport { started_at: Some(*since), ..bare(it, AttemptPhase::Running) }
            }
            Life::Ended(report) => report.clone(),
            Life::Never => bare(it, AttemptPhase::NotCreated),
        }));
    }

    fn live(&self) -> Vec<AttemptRef> {
        let lives = self.attempts.iter();
        lives
            .filter(|(_, life)| matches!(life, Life::Starting | Life::Running { .. }))
            .map(|(it, _)| *it)
            .collect()
    }

    fn pass_time(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        self.apply(&Event::Wake);
    }

    /// A message comes twice.
    fn repeat(&mut self, pick: u32) {
        let place = pick as usize / 2;
        if pick.is_multiple_of(2) && !self.commands.is_empty() {
            self.commands.push(self.commands[place % self.commands.len()]);
        } else if !self.reports.is_empty() {
            self.reports.push(self.reports[place % self.reports.len()].clone());
        }
    }

    /// A message is lost. What is owed is told again by the next sweep.
    fn lose(&mut self, pick: u32) {
        let place = pick as usize / 2;
        if pick.is_multiple_of(2) && !self.commands.is_empty() {
            self.commands.remove(place % self.commands.len());
        } else if !self.reports.is_empty() {
            self.reports.remove(place % self.reports.len());
        }
    }

    fn sweep(&mut self) {
        let owed: Vec<Effect> = self.run.outstanding().collect();
        self.send(owed);
    }

    /// The run is loaded elsewhere, perhaps before any of what was last decided was sent.
    fn crash(&mut self, nothing_sent: bool) {
        if nothing_sent {
            self.commands.clear();
        }
        self.run = load(&self.run);
        self.sweep();
    }

    /// An attempt's host is gone.
    fn vanish(&mut self, pick: u32) {
        let live = self.live();
        if !live.is_empty() {
            let it = live[pick as usize % live.len()];
            self.end(it, failed(FailureReason::Lost));
            self.tell(it);
        }
    }

    /// The store goes back; the launcher notices and tells all it knows.
    fn forget(&mut self, pick: u32) {
        let lost = pick as usize % 8 + 1;
        self.earlier.truncate(self.earlier.len().saturating_sub(lost - 1));
        if let Some(run) = self.earlier.pop() {
            self.run = load(&run);
            for it in self.attempts.keys().copied().collect::<Vec<_>>() {
                self.tell(it);
            }
            self.sweep();
        }
    }
}

fn failed(reason: FailureReason) -> AttemptPhase {
    AttemptPhase::Failed(Failure { reason, message: String::new(), exit_code: None, signal: None })
}

fn bare(it: AttemptRef, phase: AttemptPhase) -> AttemptReport {
    AttemptReport {
        step: it.step,
        attempt: it.attempt,
        phase,
        created_at: None,
        started_at: None,
        ended_at: None,
    }
}
