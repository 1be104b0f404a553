//! A notation in which a test reads as a table: a graph, and what happens line by line with all that follows from it.
//!
//! **Graph**: `a b<-a c<-a,b:all_done,retry=2 !fail_fast !parallel=2`. A step has a name of one letter, the steps it
//! waits for, and options: a trigger rule, `retry`, `system`, `delay`, `factor` (thousandths), `cap`, `startup`,
//! `timeout`, `rules` (`75+100-110+sig9+lost:fail/out_of_memory:ignore`: two rules). What starts with `!` is the run's: a failure mode, `parallel`, `gap`, `timeout`.
//!
//! What starts with `@` begins a list of steps: `@exit` the exit steps, `@g` what the group g holds, `@g?` what the choice g
//! holds, `@l*` what the loop l does for each item, `@l*2` the same with at most two items under way. A name means the step
//! that was added last under it. Further options: `if`, a condition that is `true`, `false`, `bad` (it has no value), or
//! `succeeded`, `failed` or `cancelled` (the run is so); `items`, a loop's list, which is a number, `bad` (it is none), or a
//! step whose output `n` is the number; `approval`, for a step that waits for somebody's word; `on`, the cluster whose launchers
//! create its attempts: where one has it, all tasks have.
//!
//! **Line**: `TIME ACTION; ACTION => WHAT FOLLOWS`. Times are milliseconds since the beginning. Actions:
//!
//! - `submit`, `wake`, `cancel`, `pause`, `resume`, `retry`, `retry from=a`, `defect`
//! - `approve a by=ann`, `reject a by=ann`: somebody's word on step a; with `comment=` where there is one, and without `by` that
//!   of `bo`
//! - `go`, or `go 2`: dispatch, with room for two in each cluster; `go x`, `go x=2`: in cluster x alone
//! - `a1 PHASE`: a report of step a's attempt 1; `starting`, `running`, `ok`, `stopped`, `not_created`, `cached`, or a failure's reason;
//!   with `outputs=` where it wrote any, `code=` and `signal=` where they are known, and `created=`, `started=`, `ended=` where
//!   the times are told
//! - `reload`: the run is loaded from its records, and what is outstanding is carried out
//!
//! **What follows** is exact and complete: the run's change (`RUNNING`, `STOPPING(failure)`), every step whose state, reason
//! or attempt changed (`b=skipped(upstream_failed:a)`), attempts that are over (`a1~failed(exit_code)`), effects
//! (`launch:a1`), outputs, and the next wake-up where that changed (`wake@90`, `wake@never`).
//!
//! A step that others hold is named by its path: `g.c` in a group or a choice, `l.0.c` in item 0 of a loop, and `l.0` if it has
//! the loop's own name there, as what a loop over a single step does. Attempt 1 of such a step is `g.c#1`. Of superseded steps
//! nothing is told, since nothing happens to them.

mod graph;
mod rules;

use std::sync::Arc;

use windlass_engine::{
    event::{AttemptPhase, AttemptReport, Decision, Event, Order},
    layout::{Holder, Item},
    output::{AttemptRef, Effect, Output},
    policy::ClusterIndex,
    reason::{Failure, FailureReason, Reason},
    record::{AttemptEnd, AttemptRecord, CacheSource, StepIndex, StepRecord, StepState},
    run::Run,
    time::Timestamp,
};

use super::{paths::current, store::Store};

/// When tables begin. Far enough from 0, which means "never" in records.
const BEGINNING: u64 = 1_000_000;

/// A time in a table.
pub(crate) fn at(ms: i64) -> Timestamp {
    Timestamp(BEGINNING.saturating_add_signed(ms))
}

/// Plays a table from a new run on.
pub(crate) fn check(graph: &str, table: &str) -> Play {
    let mut play = Play::new(graph);
    play.goes_on(table);
    play
}

/// A run under test.
#[derive(Debug)]
pub(crate) struct Play {
    names: Vec<String>,
    pub(crate) run: Run,
    pub(crate) store: Store,
    /// Attempts that are over, in the order in which they ended.
    pub(crate) attempts: Vec<AttemptRecord>,
    now: Timestamp,
    wakeup: Option<Timestamp>,
}

impl Play {
    pub(crate) fn new(text: &str) -> Self {
        let (names, graph) = graph::graph(text);
        let graph = Arc::new(graph);
        Self {
            names,
            store: Store::new(&graph),
            run: Run::new(graph),
            attempts: Vec::new(),
            now: at(0),
            wakeup: None,
        }
    }

    /// Plays further lines and asserts what follows from each.
    #[track_caller]
    pub(crate) fn goes_on(&mut self, table: &str) {
        let (mut expected, mut actual) = (Vec::new(), Vec::new());
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (actions, follows) = line.split_once("=>").expect("a line has an arrow");
            let (actions, follows) = (actions.trim(), follows.split_whitespace());
            let follows = follows.collect::<Vec<_>>().join(" ");
            expected.push(format!("{actions} => {follows}\n"));
            actual.push(format!("{actions} => {}\n", self.line(actions)));
        }
        let (expected, actual) = (expected.concat(), actual.concat());
        assert!(actual == expected, "expected\n{expected}\nbut it is\n{actual}");
    }

    /// The record of a step.
    pub(crate) fn step(&self, path: &str) -> &StepRecord {
        self.run.step(self.index(path))
    }

    /// The step that has a path now.
    pub(crate) fn index(&self, path: &str) -> StepIndex {
        let found = current(&self.run).find(|step| self.path(*step) == path);
        found.unwrap_or_else(|| panic!("no step {path}"))
    }

    fn path(&self, step: StepIndex) -> String {
        let layout = self.run.layout();
        let name = &self.names[layout.node(step).0 as usize];
        match layout.holder(step) {
            Holder::Run | Holder::Exit => name.clone(),
            Holder::Step(holder) => format!("{}.{name}", self.path(holder)),
            Holder::Item(Item { of, index }) => {
                let is_all_of_it = *name == self.names[layout.node(of).0 as usize];
                let name = if is_all_of_it { String::new() } else { format!(".{name}") };
                format!("{}.{index}{name}", self.path(of))
            }
        }
    }

    /// Plays lines without an arrow; what follows from them is for the caller to look at.
    pub(crate) fn acts(&mut self, line: &str) {
        self.line(line);
    }

    fn line(&mut self, line: &str) -> String {
        let (time, actions) = line.split_once(' ').expect("a line begins with a time");
        self.now = self::time(time);
        let before = self.run.clone();
        let mut line = Output::default();
        for action in actions.split(';').map(str::trim) {
            let mut out = Output::default();
            self.act(action, &mut out);
            self.store.commit(&self.run, &out.delta);
            line.delta.attempts.append(&mut out.delta.attempts);
            line.delta.outputs.append(&mut out.delta.outputs);
            line.effects.append(&mut out.effects);
        }
        let rendered = self.render(&before, &line);
        self.attempts.append(&mut line.delta.attempts);
        rendered
    }

    fn act(&mut self, action: &str, out: &mut Output) {
        let (word, rest) = action.split_once(' ').unwrap_or((action, ""));
        let event = match word {
            "submit" => Event::Submitted,
            "wake" => Event::Wake,
            "cancel" => Event::Order(Order::Cancel),
            "pause" => Event::Order(Order::Pause),
            "resume" => Event::Order(Order::Resume),
            "retry" => {
                let from = rest.strip_prefix("from=").map(|path| self.index(path));
                Event::Order(Order::Retry { from, changes: None })
            }
            "approve" | "reject" => {
                Event::Order(Order::Decide(self.decision(word == "approve", rest)))
            }
            "defect" => Event::Defect("as told".into()),
            "go" => {
                let (cluster, room) = match rest.split_once('=') {
                    Some((cluster, room)) => (cluster, room),
                    None if rest.parse::<usize>().is_ok() => ("", rest),
                    None => (rest, ""),
                };
                let room = room.parse().unwrap_or(usize::MAX);
                for at in 0..self.run.graph().clusters().len() {
                    if cluster.is_empty() || *self.run.graph().clusters()[at] == *cluster {
                        let cluster = ClusterIndex(at as u32);
                        self.run.dispatch(cluster, room, self.now, out);
                    }
                }
                return;
            }
            "reload" => {
                self.run = self.store.load();
                out.effects.extend(self.run.outstanding());
                return;
            }
            "grant" => Event::Granted(self.attempt(rest)),
            attempt => Event::Report(self.report(attempt, rest)),
        };
        self.run.apply(&event, self.now, out).expect("it makes sense");
    }

    fn decision(&self, approved: bool, rest: &str) -> Decision {
        let mut words = rest.split_whitespace();
        let step = self.index(words.next().expect("a step is named"));
        let mut decision = Decision { step, approved, by: "bo".into(), comment: "".into() };
        for word in words {
            match word.split_once('=') {
                Some(("by", by)) => decision.by = by.into(),
                Some(("comment", comment)) => decision.comment = comment.into(),
                _ => panic!("what is {word}?"),
            }
        }
        decision
    }

    fn attempt(&self, text: &str) -> AttemptRef {
        let (name, number) = text.split_once('#').unwrap_or_else(|| text.split_at(1));
        let attempt = number.parse().expect("an attempt has a number");
        AttemptRef { step: self.index(name), attempt }
    }

    /// The report that a line tells of.
    pub(crate) fn report(&self, attempt: &str, rest: &str) -> AttemptReport {
        let AttemptRef { step, attempt } = self.attempt(attempt);
        let mut words = rest.split_whitespace();
        let phase = match words.next().expect("a report has a phase") {
            "starting" => AttemptPhase::Starting,
            "running" => AttemptPhase::Running,
            "ok" => AttemptPhase::Succeeded(None),
            "stopped" => AttemptPhase::Stopped,
            "not_created" => AttemptPhase::NotCreated,
            "cached" => AttemptPhase::Cached(None, source()),
            reason => AttemptPhase::Failed(failure(reason)),
        };
        let mut report = AttemptReport {
            step,
            attempt,
            phase,
            created_at: None,
            started_at: None,
            ended_at: None,
        };
        for word in words {
            let (what, value) = word.split_once('=').expect("a word is what=value");
            match what {
                "outputs" => {
                    report.phase = match report.phase {
                        AttemptPhase::Cached(_, source) => {
                            AttemptPhase::Cached(Some(value.into()), source)
                        }
                        _ => AttemptPhase::Succeeded(Some(value.into())),
                    }
                }
                "created" => report.created_at = Some(time(value)),
                "started" => report.started_at = Some(time(value)),
                "ended" => report.ended_at = Some(time(value)),
                "code" | "signal" => {
                    let AttemptPhase::Failed(failure) = &mut report.phase else {
                        panic!("{word} is of a failure");
                    };
                    let number = value.parse().expect("a number");
                    if what == "code" {
                        failure.exit_code = Some(number);
                    } else {
                        failure.signal = Some(number);
                    }
                }
                _ => panic!("what is {word}?"),
            }
        }
        report
    }

    fn render(&mut self, before: &Run, out: &Output) -> String {
        let mut tokens = Vec::new();
        let (old, new) = (before.record(), self.run.record());
        if (old.state, old.stop_cause) != (new.state, new.stop_cause) {
            let cause = new.stop_cause.map_or(String::new(), |cause| format!("({})", snake(cause)));
            tokens.push(format!("{}{cause}", snake(new.state).to_uppercase()));
        }
        let visible = |step: &StepRecord| (step.state, step.reason, step.cause, step.attempt);
        for (step, record) in self.run.layout().steps().zip(self.run.steps()) {
            let old = before.steps().get(step.0 as usize).copied().unwrap_or_default();
            if visible(&old) != visible(record) {
                tokens.push(format!("{}={}", self.path(step), self.render_step(step)));
            }
        }
        for AttemptRecord { step, attempt, end, .. } in &out.delta.attempts {
            let end = match end {
                AttemptEnd::Failed(failure) => format!("failed({})", snake(failure.reason)),
                AttemptEnd::Cancelled(cause) => format!("cancelled({})", snake(cause)),
                AttemptEnd::Cached(source) => format!("cached({}:{})", source.run, source.step),
                AttemptEnd::Succeeded | AttemptEnd::Withdrawn => snake(end),
            };
            let it = AttemptRef { step: *step, attempt: *attempt };
            tokens.push(format!("{}~{end}", self.render_attempt(it)));
        }
        for effect in &out.effects {
            let word = match effect {
                Effect::Launch(_) => "launch",
                Effect::Stop(_) => "stop",
                Effect::Probe(_) => "probe",
                Effect::Acquire(_) => "acquire",
                Effect::Hold(_) => "hold",
                Effect::Release(_) => "release",
            };
            tokens.push(format!("{word}:{}", self.render_attempt(effect.attempt())));
        }
        for (step, outputs) in &out.delta.outputs {
            tokens.push(format!("{}:={outputs}", self.path(*step)));
        }
        let wakeup = self.run.next_wakeup(self.now);
        if std::mem::replace(&mut self.wakeup, wakeup) != wakeup {
            tokens.push(match wakeup {
                Some(time) => format!("wake@{}", time.0 - BEGINNING),
                None => "wake@never".to_owned(),
            });
        }
        tokens.join(" ")
    }

    fn render_attempt(&self, it: AttemptRef) -> String {
        let path = self.path(it.step);
        let separator = if path.len() > 1 { "#" } else { "" };
        format!("{path}{separator}{}", it.attempt)
    }

    fn render_step(&self, step: StepIndex) -> String {
        let record = self.run.step(step);
        let state = snake(record.state);
        let expansion = self.run.layout().expansion(step);
        match (record.reason, record.cause) {
            (Reason::None, _) => match expansion.filter(|_| record.state == StepState::Open) {
                Some(expansion) => format!("{state}({} items)", expansion.items),
                None => state,
            },
            (Reason::Failure(reason), _) => format!("{state}({})", snake(reason)),
            (Reason::RunStopped(cause), _) => format!("{state}(run:{})", snake(cause)),
            (reason, Some(cause)) => format!("{state}({}:{})", snake(reason), self.path(cause)),
            (reason, None) => format!("{state}({})", snake(reason)),
        }
    }
}

fn time(text: &str) -> Timestamp {
    at(text.parse().expect("a time is a number"))
}

/// Where results come from that are taken.
fn source() -> CacheSource {
    CacheSource { run: "other".to_owned(), step: "load".to_owned(), ended_at: at(7) }
}

/// A failure of some reason, by the reason's name.
fn failure(reason: &str) -> Failure {
    let reason = [
        FailureReason::ExitCode,
        FailureReason::Signal,
        FailureReason::OutOfMemory,
        FailureReason::Timeout,
        FailureReason::CannotStart,
        FailureReason::OutputInvalid,
        FailureReason::StartupTimeout,
        FailureReason::Lost,
        FailureReason::LaunchFailed,
        FailureReason::Evicted,
        FailureReason::ImagePull,
        FailureReason::Preempted,
        FailureReason::Deleted,
        FailureReason::InitFailed,
        FailureReason::ConfigInvalid,
        FailureReason::Refused,
    ]
    .into_iter()
    .find(|known| snake(known) == reason)
    .unwrap_or_else(|| panic!("no phase and no reason is called {reason}"));
    Failure { reason, message: "as told".to_owned(), exit_code: None, signal: None }
}

/// `UpstreamFailed` as `upstream_failed`.
fn snake(word: impl std::fmt::Debug) -> String {
    let mut snake = String::new();
    for (place, letter) in format!("{word:?}").char_indices() {
        if letter.is_uppercase() && place > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
