//! A notation in which a test reads as a table: a graph, and what happens line by line with all that follows from it.
//!
//! **Graph**: `a b<-a c<-a,b:all_done,retry=2 !fail_fast !parallel=2`. A step has a name of one letter, the steps it
//! waits for, and options: a trigger rule, `retry`, `system`, `delay`, `factor` (thousandths), `cap`, `startup`,
//! `timeout`. What starts with `!` is the run's: a failure mode, `parallel`, `gap`, `timeout`.
//!
//! **Line**: `TIME ACTION; ACTION => WHAT FOLLOWS`. Times are milliseconds since the beginning. Actions:
//!
//! - `submit`, `wake`, `cancel`, `pause`, `resume`, `retry`, `defect`
//! - `go`, or `go 2`: dispatch, with room for two
//! - `a1 PHASE`: a report of step a's attempt 1; `starting`, `running`, `ok`, `stopped`, `not_created`, or a failure's reason;
//!   with `created=`, `started=`, `ended=` where the times are told
//! - `reload`: the run is loaded from its records, and what is outstanding is carried out
//!
//! **What follows** is exact and complete: the run's change (`RUNNING`, `STOPPING(failure)`), every step whose state, reason
//! or attempt changed (`b=skipped(upstream_failed:a)`), attempts that are over (`a1~failed(exit_code)`), effects
//! (`launch:a1`), outputs, and the next wake-up where that changed (`wake@90`, `wake@never`).

use std::{num::NonZeroU32, sync::Arc};

use windlass_engine::{
    event::{AttemptPhase, AttemptReport, Event, Order},
    graph::{Graph, GraphBuilder},
    output::{Effect, Output},
    policy::{FailureMode, RetryPolicy, RunPolicy, StepPolicy, TriggerRule},
    reason::{Failure, FailureReason, Reason},
    record::{AttemptEnd, RunRecord, StepIndex, StepRecord},
    run::Run,
    time::Timestamp,
};

use super::book::check_delta;

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
    now: Timestamp,
    wakeup: Option<Timestamp>,
}

impl Play {
    pub(crate) fn new(text: &str) -> Self {
        let (names, graph) = graph(text);
        Self { names, run: Run::new(Arc::new(graph)), now: at(0), wakeup: None }
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
    pub(crate) fn step(&self, name: &str) -> &StepRecord {
        self.run.step(self.index(name))
    }

    fn index(&self, name: &str) -> StepIndex {
        let place = self.names.iter().position(|known| known == name);
        StepIndex(place.unwrap_or_else(|| panic!("no step {name}")) as u32)
    }

    fn line(&mut self, line: &str) -> String {
        let (time, actions) = line.split_once(' ').expect("a line begins with a time");
        self.now = self::time(time);
        let before = self.run.clone();
        let mut out = Output::default();
        for action in actions.split(';').map(str::trim) {
            self.act(action, &mut out);
        }
        check_delta(&before, &self.run, &out.delta);
        let loaded = load(&self.run);
        assert_eq!(loaded, self.run, "what was derived on the way is what a load derives");
        self.render(&before, &out)
    }

    fn act(&mut self, action: &str, out: &mut Output) {
        let (word, rest) = action.split_once(' ').unwrap_or((action, ""));
        let event = match word {
            "submit" => Event::Submitted,
            "wake" => Event::Wake,
            "cancel" => Event::Order(Order::Cancel),
            "pause" => Event::Order(Order::Pause),
            "resume" => Event::Order(Order::Resume),
            "retry" => Event::Order(Order::Retry),
            "defect" => Event::Defect("as told".into()),
            "go" => {
                let room = rest.parse().unwrap_or(usize::MAX);
                self.run.dispatch(room, self.now, out);
                return;
            }
            "reload" => {
                self.run = load(&self.run);
                out.effects.extend(self.run.outstanding());
                return;
            }
            attempt => Event::Report(self.report(attempt, rest)),
        };
        self.run.apply(&event, self.now, out).expect("it makes sense");
    }

    /// The report that a line tells of.
    pub(crate) fn report(&self, attempt: &str, rest: &str) -> AttemptReport {
        let (name, number) = attempt.split_at(1);
        let mut words = rest.split_whitespace();
        let phase = match words.next().expect("a report has a phase") {
            "starting" => AttemptPhase::Starting,
            "running" => AttemptPhase::Running,
            "ok" => AttemptPhase::Succeeded(None),
            "stopped" => AttemptPhase::Stopped,
            "not_created" => AttemptPhase::NotCreated,
            reason => AttemptPhase::Failed(failure(reason)),
        };
        let mut report = AttemptReport {
            step: self.index(name),
            attempt: number.parse().expect("an attempt has a number"),
            phase,
            created_at: None,
            started_at: None,
            ended_at: None,
        };
        for word in words {
            let (what, value) = word.split_once('=').expect("a word is what=value");
            match what {
                "outputs" => report.phase = AttemptPhase::Succeeded(Some(value.into())),
                "created" => report.created_at = Some(time(value)),
                "started" => report.started_at = Some(time(value)),
                "ended" => report.ended_at = Some(time(value)),
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
        for ((name, old), new) in self.names.iter().zip(before.steps()).zip(self.run.steps()) {
            if visible(old) != visible(new) {
                tokens.push(format!("{name}={}", self.render_step(new)));
            }
        }
        for attempt in &out.delta.attempts {
            let end = match &attempt.end {
                AttemptEnd::Failed(failure) => format!("failed({})", snake(failure.reason)),
                AttemptEnd::Cancelled(cause) => format!("cancelled({})", snake(cause)),
                AttemptEnd::Succeeded | AttemptEnd::Withdrawn => snake(&attempt.end),
            };
            tokens
                .push(format!("{}{}~{end}", self.names[attempt.step.0 as usize], attempt.attempt));
        }
        for effect in &out.effects {
            let (word, it) = match effect {
                Effect::Launch(it) => ("launch", it),
                Effect::Stop(it) => ("stop", it),
                Effect::Probe(it) => ("probe", it),
            };
            tokens.push(format!("{word}:{}{}", self.names[it.step.0 as usize], it.attempt));
        }
        for (step, outputs) in &out.delta.outputs {
            tokens.push(format!("{}:={outputs}", self.names[step.0 as usize]));
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

    fn render_step(&self, step: &StepRecord) -> String {
        let state = snake(step.state);
        match step.reason {
            Reason::None => state,
            Reason::Failure(reason) => format!("{state}({})", snake(reason)),
            Reason::RunStopped(cause) => format!("{state}(run:{})", snake(cause)),
            reason => match step.cause {
                Some(cause) => {
                    format!("{state}({}:{})", snake(reason), self.names[cause.0 as usize])
                }
                None => format!("{state}({})", snake(reason)),
            },
        }
    }
}

/// The run as its records tell it.
pub(crate) fn load(run: &Run) -> Run {
    let record: RunRecord = run.record().clone();
    Run::load(run.graph().clone(), record, run.steps().to_vec()).expect("its records are its own")
}

fn time(text: &str) -> Timestamp {
    at(text.parse().expect("a time is a number"))
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

fn graph(text: &str) -> (Vec<String>, Graph) {
    let (run_words, steps): (Vec<&str>, Vec<&str>) =
        text.split_whitespace().partition(|word| word.starts_with('!'));
    let mut policy = RunPolicy::default();
    for word in run_words {
        run_option(&mut policy, &word[1..]);
    }
    let mut builder = GraphBuilder::new(policy);
    let mut names: Vec<String> = Vec::new();
    for word in steps {
        let (head, options) = word.split_once(':').unwrap_or((word, ""));
        let (name, waits_for) = head.split_once("<-").unwrap_or((head, ""));
        let mut policy = StepPolicy::default();
        for option in options.split(',').filter(|option| !option.is_empty()) {
            step_option(&mut policy, option);
        }
        let step = builder.add_step(policy);
        for on in waits_for.split(',').filter(|on| !on.is_empty()) {
            let place = names.iter().position(|known| known == on).expect("a step named before");
            builder.add_dependency(step, StepIndex(place as u32));
        }
        names.push(name.to_owned());
    }
    (names, builder.build().expect("steps wait for earlier ones"))
}

fn run_option(policy: &mut RunPolicy, option: &str) {
    let (what, value) = option.split_once('=').unwrap_or((option, "0"));
    let value: u64 = value.parse().expect("a number");
    match what {
        "fail_fast" => policy.failure_mode = FailureMode::FailFast,
        "stop_on_failure" => policy.failure_mode = FailureMode::StopOnFailure,
        "parallel" => policy.max_parallelism = NonZeroU32::new(value as u32),
        "gap" => policy.start_gap_ms = value,
        "timeout" => policy.timeout_ms = Some(value),
        _ => panic!("what is !{option}?"),
    }
}

fn step_option(policy: &mut StepPolicy, option: &str) {
    let (what, value) = option.split_once('=').unwrap_or((option, "0"));
    let value: u64 = value.parse().expect("a number");
    let RetryPolicy { limit, system_limit, delay_ms, factor_permille, max_delay_ms, .. } =
        &mut policy.retry;
    match what {
        "all_done" => policy.trigger_rule = TriggerRule::AllDone,
        "any_failed" => policy.trigger_rule = TriggerRule::AnyFailed,
        "any_succeeded" => policy.trigger_rule = TriggerRule::AnySucceeded,
        "retry" => *limit = value as u16,
        "system" => *system_limit = value as u16,
        "delay" => *delay_ms = value,
        "factor" => *factor_permille = value as u32,
        "cap" => *max_delay_ms = value,
        "startup" => policy.startup_timeout_ms = Some(value),
        "timeout" => policy.timeout_ms = Some(value),
        _ => panic!("what is :{option}?"),
    }
}
