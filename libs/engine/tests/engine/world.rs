//! A world for runs to run in: a launcher, and a way to and from it that delays, loses, repeats and reorders, all moved by
//! given numbers and by nothing else.

mod launcher;
mod limits;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use limits::Lines;
use windlass_engine::{
    event::{AttemptReport, Decision, Event, Order},
    graph::Graph,
    output::{AttemptRef, Effect, Output},
    policy::ClusterIndex,
    record::{StepIndex, StepState},
    run::{Obstacle, Run},
    time::Timestamp,
};

use super::{
    book::Book,
    model::Outcome,
    notation::at,
    paths::{Path, clusters, current, path},
    store::Store,
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

/// How an attempt turns out, and what it puts out if it succeeds.
#[derive(Debug, Clone, Copy)]
struct Plan {
    outcome: Outcome,
    output: u64,
}

/// A run and all around it.
pub(crate) struct World<'a> {
    pub(crate) run: Run,
    outcome: &'a dyn Fn(&Path, u32) -> Outcome,
    pub(crate) now: Timestamp,
    /// On the way to the launcher, each with the launch generation in which it was sent.
    commands: Vec<(Effect, u32)>,
    /// On the way to the engine.
    words: Vec<Event>,
    lines: Lines,
    attempts: BTreeMap<AttemptRef, Life>,
    /// How many attempts of each step came to exist, or how many words were given on it, and how each turned out that was
    /// asked for.
    created: HashMap<StepIndex, u32>,
    planned: BTreeMap<AttemptRef, Plan>,
    store: Store,
    /// What was ordered; not kept where the store may go back.
    book: Option<Book>,
    /// To what a store may go back that does.
    earlier: Vec<Store>,
}

impl<'a> World<'a> {
    pub(crate) fn new(graph: &Arc<Graph>, outcome: &'a dyn Fn(&Path, u32) -> Outcome) -> Self {
        Self {
            run: Run::new(graph.clone()),
            outcome,
            now: at(0),
            commands: Vec::new(),
            words: Vec::new(),
            lines: Lines::default(),
            attempts: BTreeMap::new(),
            created: HashMap::new(),
            planned: BTreeMap::new(),
            store: Store::new(graph),
            book: Some(Book::default()),
            earlier: Vec::new(),
        }
    }

    /// A world whose store may lose what was committed last.
    pub(crate) fn forgetful(
        graph: &Arc<Graph>,
        outcome: &'a dyn Fn(&Path, u32) -> Outcome,
    ) -> Self {
        Self { book: None, ..Self::new(graph, outcome) }
    }

    /// One move that changes nothing but when and how often something comes: the number says which.
    pub(crate) fn calm_move(&mut self, number: u32) {
        let pick = number / 100;
        let coin = pick.is_multiple_of(7);
        match number % 100 {
            0..=24 => self.deliver_word(pick, true),
            25..=39 => self.deliver_command(pick),
            40..=57 => self.progress(pick),
            58..=69 => {
                let clusters = self.run.graph().clusters().len() as u32;
                let cluster = ClusterIndex(pick / 4 % clusters);
                self.dispatch(cluster, pick as usize % 4, !coin);
            }
            70..=76 => self.pass_time(u64::from(pick % 60)),
            77..=82 => self.repeat(pick),
            83..=86 => self.lose(pick),
            87..=90 => self.crash(coin),
            91..=92 => self.order(Order::Pause),
            93..=94 => self.order(Order::Resume),
            95 => self.decide(pick),
            96..=97 => self.deliver_word(pick, false),
            _ => self.apply(&Event::Submitted),
        }
    }

    /// One move of any kind.
    pub(crate) fn wild_move(&mut self, number: u32) {
        let pick = number / 100;
        match number % 97 {
            0 if pick.is_multiple_of(3) => self.order(Order::Cancel),
            1..=2 => self.order(Order::Retry { from: None, changes: None }),
            3 => self.order(Order::Retry { from: Some(self.any_step(pick)), changes: None }),
            4..=6 => self.vanish(pick),
            7 if self.book.is_none() => self.forget(pick),
            8 => self.say(self.any_step(pick), pick.is_multiple_of(3)),
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
                && self.words.is_empty()
            {
                return;
            }
            let before = (self.run.clone(), self.attempts.clone(), self.lines.clone());
            self.order(Order::Resume);
            self.apply(&Event::Wake);
            for cluster in clusters(&self.run) {
                self.dispatch(cluster, usize::MAX, true);
            }
            for pick in 0..self.suspended().len() {
                self.decide(pick as u32);
            }
            while !self.commands.is_empty() {
                self.deliver_command(0);
            }
            for pick in 0..self.live().len() {
                self.progress(pick as u32);
            }
            while !self.words.is_empty() {
                self.deliver_word(0, true);
            }
            // A grant that comes late is answered after all commands were delivered.
            let is_on_its_way = !self.commands.is_empty();
            let after = (&self.run, &self.attempts, &self.lines);
            if is_on_its_way || (&before.0, &before.1, &before.2) != after {
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

    /// Somebody gives the word that is drawn for an approval that waits for it, unless nobody ever does.
    fn decide(&mut self, pick: u32) {
        let suspended = self.suspended();
        if suspended.is_empty() {
            return;
        }
        let step = suspended[pick as usize % suspended.len()];
        let layout = self.run.layout();
        let has_time_out = self.run.graph().step_policy(layout.node(step)).timeout_ms.is_some();
        let words = self.created.get(&step).copied().unwrap_or_default();
        match (self.outcome)(&path(layout, step), words) {
            Outcome::Hang if has_time_out => {}
            outcome => {
                self.created.insert(step, words + 1);
                self.say(step, outcome == Outcome::Success);
            }
        }
    }

    fn say(&mut self, step: StepIndex, approved: bool) {
        let decision = Decision { step, approved, by: "ann".into(), comment: "".into() };
        self.order(Order::Decide(decision));
    }

    fn suspended(&self) -> Vec<StepIndex> {
        let state = |step: &StepIndex| self.run.step(*step).state;
        current(&self.run).filter(|step| state(step) == StepState::Suspended).collect()
    }

    /// A step, or the number of none.
    fn any_step(&self, pick: u32) -> StepIndex {
        StepIndex(pick % (self.run.steps().len() as u32 + 1))
    }

    fn apply(&mut self, event: &Event) {
        self.call(true, |run, now, out| {
            run.apply(event, now, out).expect("it makes sense");
        });
    }

    fn dispatch(&mut self, cluster: ClusterIndex, room: usize, committed: bool) {
        self.call(committed, |run, now, out| {
            let taken = run.dispatch(cluster, room, now, out);
            let ordered = |it: &&Effect| matches!(it, Effect::Launch(_) | Effect::Acquire(_));
            assert!(taken <= room && taken == out.effects.iter().filter(ordered).count());
            assert!(out.effects.iter().all(|it| run.cluster(it.attempt().step) == cluster));
            // What waits for other clusters is in nobody's way.
            let waits_for_room = |step: &StepIndex| {
                run.cluster(*step) == cluster && run.explain(*step, now) == [Obstacle::Room]
            };
            let is_done = taken == room || !current(run).any(|step| waits_for_room(&step));
            assert!(is_done || run.next_wakeup(now) == Some(now), "{run:?}");
        });
    }

    /// Calls the engine and holds what it did against all that must always hold. Where the commit fails, it did not happen.
    fn call(&mut self, committed: bool, call: impl FnOnce(&mut Run, Timestamp, &mut Output)) {
        let before = self.book.is_some().then(|| self.run.clone());
        let goes_back = !committed || self.book.is_none();
        let stored = goes_back.then(|| self.store.clone());
        let mut out = Output::default();
        call(&mut self.run, self.now, &mut out);
        self.store.commit(&self.run, &out.delta);
        if let Some(stored) = stored {
            if !committed {
                self.store = stored;
                self.run = self.store.load();
                return;
            }
            self.earlier.push(stored);
        }
        if let (Some(book), Some(before)) = (&mut self.book, before) {
            book.commit(&before, &self.run, &out, self.now);
        }
        self.send(out.effects);
    }

    fn send(&mut self, effects: impl IntoIterator<Item = Effect>) {
        let generation = self.run.record().launch_generation;
        self.commands.extend(effects.into_iter().map(|effect| (effect, generation)));
    }

    fn deliver_word(&mut self, pick: u32, committed: bool) {
        if self.words.is_empty() {
            return;
        }
        self.what_is_not_urgent_starts_nothing(pick as usize);
        let place = pick as usize % self.words.len();
        let event = self.words[place].clone();
        self.call(committed, |run, now, out| {
            run.apply(&event, now, out).expect("it makes sense");
        });
        if committed {
            self.words.remove(place);
        }
    }

    /// Some of the reports that are on their way: where the run says that nothing waits for them, only the steps that they name
    /// change, and there is nothing to do.
    fn what_is_not_urgent_starts_nothing(&self, pick: usize) {
        let report = |word: &'_ Event| match word {
            Event::Report(report) => Some(report.clone()),
            _ => None,
        };
        let words = self.words.iter().cycle().skip(pick % self.words.len());
        let reports: Vec<_> =
            words.take(self.words.len()).filter_map(report).take(1 + pick % 8).collect();
        if self.run.is_urgent(&reports.iter().collect::<Vec<_>>()) {
            return;
        }
        let (mut run, mut out) = (self.run.clone(), Output::default());
        for report in &reports {
            let event = Event::Report(report.clone());
            run.apply(&event, self.now, &mut out).expect("it makes sense");
        }
        assert_eq!(out.effects, [], "{reports:?} of {:?}", self.run);
        assert_eq!(run.record().state, self.run.record().state);
        let named = |step: &StepIndex| reports.iter().any(|report| report.step == *step);
        assert!(out.delta.steps.iter().all(named), "{reports:?} changes {:?}", out.delta.steps);
        assert!(out.delta.expansions.is_empty());
        for cluster in clusters(&run) {
            assert_eq!(run.dispatch(cluster, 1, self.now, &mut out), 0, "{reports:?} give room");
        }
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
        } else if !self.words.is_empty() {
            self.words.push(self.words[place % self.words.len()].clone());
        }
    }

    /// A message is lost. What is owed is told again by the next sweep.
    fn lose(&mut self, pick: u32) {
        let place = pick as usize / 2;
        if pick.is_multiple_of(2) && !self.commands.is_empty() {
            self.commands.remove(place % self.commands.len());
        } else if !self.words.is_empty() {
            self.words.remove(place % self.words.len());
        }
    }

    fn sweep(&mut self) {
        let owed: Vec<Effect> = self.run.outstanding().collect();
        self.send(owed);
        let claims: Vec<_> = self.run.limit_claims().collect();
        let unclaimed = self.lines.known().into_iter().filter(|it| !claims.contains(it));
        let unclaimed: Vec<Effect> = unclaimed.map(Effect::Release).collect();
        self.send(unclaimed);
    }

    /// The run is loaded elsewhere, perhaps before any of what was last decided was sent.
    fn crash(&mut self, nothing_sent: bool) {
        if nothing_sent {
            self.commands.clear();
        }
        self.run = self.store.load();
        self.sweep();
    }

    /// The store goes back; the launcher notices and tells all it knows.
    fn forget(&mut self, pick: u32) {
        let lost = pick as usize % 8 + 1;
        self.earlier.truncate(self.earlier.len().saturating_sub(lost - 1));
        if let Some(store) = self.earlier.pop() {
            self.store = store;
            self.run = self.store.load();
            for it in self.attempts.keys().copied().collect::<Vec<_>>() {
                self.tell(it);
            }
            self.sweep();
        }
    }
}
