//! Merging what happened to steps and what they wrote into the order in which it took place. No I/O.
//!
//! The two come on streams of their own: a step's end is known before its last lines are read. So everything is held for
//! a moment, and given out by its own time. Never inside: how it is shown (`view`).

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;
use windlass_client::v1::{LogLine, Reason, Run, RunState, StepState, StepStatus};

use crate::render::time::timestamp;

/// How long the other stream has to tell what took place before.
const HOLD: Duration = Duration::from_millis(300);
/// The most that is held; beyond it, order is given up for memory.
pub(super) const MOST: usize = 20_000;

/// What took place.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Run(Box<Run>),
    Step(Box<StepChange>),
    Line(Box<LogLine>),
}

/// A step that is other than before.
#[derive(Debug, Clone)]
pub(crate) struct StepChange {
    /// When it took place; when it was seen, where the step does not tell.
    pub(crate) at: Timestamp,
    pub(crate) step: StepStatus,
    /// Why the attempt before failed, where that is known and the step does not tell.
    pub(crate) failed_before: Option<String>,
}

/// What is held back for a moment.
#[derive(Debug, Default)]
pub(super) struct Order {
    held: BTreeMap<Key, (Instant, Item)>,
    sequence: u64,
    /// By the steps' names.
    steps: HashMap<String, Last>,
    /// The latest time of anything that was taken in: what does not tell its time took place by then. The clock here
    /// would not do, for that of the server may differ.
    newest: Option<Timestamp>,
    /// The time of the newest line that was read.
    newest_line: Option<Timestamp>,
    /// When a line was last read.
    last_read: Option<Instant>,
    run: Option<(RunState, Reason)>,
}

/// Where something belongs: what took place at the same time keeps the order of a step's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    time: Timestamp,
    rank: Rank,
    sequence: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Before,
    Line,
    After,
    RunEnd,
}

/// The newest that is known of a step.
#[derive(Debug)]
struct Last {
    attempt: u32,
    /// When it took place.
    time: Timestamp,
    /// No line of the attempt comes later.
    ended: bool,
}

impl Order {
    /// Takes in the run, if it is in another state than before, or for another reason.
    pub(super) fn run(&mut self, run: &Run, now: Instant) {
        let told = (run.state(), run.reason());
        let before = self.run.replace(told);
        if before == Some(told) {
            return;
        }
        let ended =
            matches!(run.state(), RunState::Succeeded | RunState::Failed | RunState::Cancelled);
        let (time, rank) = match before {
            _ if ended => (timestamp(run.end_time), Rank::RunEnd),
            None => (Some(Timestamp::MIN), Rank::Before),
            Some((RunState::Pending, _)) => (timestamp(run.start_time), Rank::Before),
            Some(_) => (None, Rank::Before),
        };
        self.hold(self.by_now(time), rank, now, Item::Run(Box::new(run.clone())));
    }

    /// Takes in a step that is other than before.
    pub(super) fn step(
        &mut self,
        step: &StepStatus,
        failed_before: Option<String>,
        now: Instant,
        clock: Timestamp,
    ) {
        let state = step.state();
        let known = self.steps.get(&step.name);
        let known_time = known.map_or(Timestamp::MIN, |last| last.time);
        let tells = took_place(step);
        // A step's own changes stay in the order in which they came.
        let time = match state {
            StepState::Waiting | StepState::Ready => known_time,
            _ => self.by_now(tells).max(known_time),
        };
        let ended = has_ended(state) || state == StepState::Delayed;
        let last = Last { attempt: step.attempt, time, ended };
        self.steps.insert(step.name.clone(), last);
        let at = tells.unwrap_or(clock);
        let change = StepChange { at, step: step.clone(), failed_before };
        let rank = if ended { Rank::After } else { Rank::Before };
        self.hold(time, rank, now, Item::Step(Box::new(change)));
    }

    /// Takes in a line: not before its step's start, and not after its end.
    pub(super) fn line(&mut self, line: LogLine, now: Instant) {
        let mut time = self.by_now(timestamp(line.time));
        self.newest_line = self.newest_line.max(Some(time));
        self.last_read = Some(now);
        if let Some(last) = self.steps.get(&line.step)
            && last.attempt == line.attempt
        {
            time = if last.ended { time.min(last.time) } else { time.max(last.time) };
        }
        self.hold(time, Rank::Line, now, Item::Line(Box::new(line)));
    }

    fn by_now(&self, time: Option<Timestamp>) -> Timestamp {
        time.or(self.newest).unwrap_or(Timestamp::MIN)
    }

    fn hold(&mut self, time: Timestamp, rank: Rank, now: Instant, item: Item) {
        self.sequence += 1;
        self.newest = self.newest.max(Some(time));
        self.held.insert(Key { time, rank, sequence: self.sequence }, (now, item));
    }

    /// Gives out, in order, what was held for long enough. While lines of the past are still being read, as in a watch
    /// of an ended run, what took place later waits for them; `run_ended` tells that silence is no sign of their end.
    pub(super) fn take_due(&mut self, now: Instant, run_ended: bool) -> Vec<Item> {
        if self.held.len() > MOST {
            return self.take_all();
        }
        let is_silent =
            !run_ended && self.last_read.is_none_or(|read| now.duration_since(read) >= HOLD);
        let is_due = |(key, (since, _)): &(&Key, &(Instant, Item))| {
            let was_read_up_to = self.newest_line.is_some_and(|newest| newest >= key.time);
            now.duration_since(*since) >= HOLD && (is_silent || was_read_up_to)
        };
        let Some((newest, _)) = self.held.iter().rev().find(is_due) else { return Vec::new() };
        let next = Key { sequence: newest.sequence + 1, ..*newest };
        let later = self.held.split_off(&next);
        std::mem::replace(&mut self.held, later).into_values().map(|(_, item)| item).collect()
    }

    /// Gives out all that is held, in order.
    pub(super) fn take_all(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.held).into_values().map(|(_, item)| item).collect()
    }
}

/// When a step came into its state, where the step tells.
fn took_place(step: &StepStatus) -> Option<Timestamp> {
    match step.state() {
        StepState::Running | StepState::Suspended => timestamp(step.start_time),
        StepState::Blocked | StepState::Queued | StepState::Starting => timestamp(step.queue_time),
        state if has_ended(state) => timestamp(step.end_time),
        _ => None,
    }
}

fn has_ended(state: StepState) -> bool {
    matches!(
        state,
        StepState::Succeeded | StepState::Failed | StepState::Skipped | StepState::Cancelled
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn step(name: &str, state: StepState, start: i64, end: Option<i64>) -> StepStatus {
        let start_time = Some(samples::at(start));
        StepStatus { start_time, end_time: end.map(samples::at), ..samples::step(name, state) }
    }

    fn line(name: &str, text: &str, time: i64) -> LogLine {
        LogLine { time: Some(samples::at(time)), ..samples::line(name, text) }
    }

    fn told(items: Vec<Item>) -> Vec<String> {
        let told = |item| match item {
            Item::Run(run) => format!("run {}", run.state().as_str_name()),
            Item::Step(change) => {
                format!("{} {}", change.step.name, change.step.state().as_str_name())
            }
            Item::Line(line) => {
                format!("{}: {}", line.step, String::from_utf8_lossy(&line.content))
            }
        };
        items.into_iter().map(told).collect()
    }

    #[test]
    fn a_steps_lines_come_between_its_start_and_its_end_whichever_stream_was_faster() {
        let (mut order, now, clock) = (Order::default(), Instant::now(), samples::now());
        order.step(&step("a", StepState::Running, 1, None), None, now, clock);
        order.step(&step("a", StepState::Succeeded, 1, Some(4)), None, now, clock);
        order.step(&step("b", StepState::Running, 5, None), None, now, clock);
        // The clocks of those who write and of those who watch differ a little.
        for (name, text, time) in [("a", "first", 2), ("b", "other", 3), ("a", "last", 6)] {
            order.line(line(name, text, time), now);
        }
        assert!(order.take_due(now, false).is_empty(), "the other stream may have more");
        let due = told(order.take_due(now + HOLD, false));
        assert_eq!(
            due,
            [
                "a STEP_STATE_RUNNING",
                "a: first",
                "a: last",
                "a STEP_STATE_SUCCEEDED",
                "b STEP_STATE_RUNNING",
                "b: other"
            ]
        );
        assert!(order.take_all().is_empty());
    }

    #[test]
    fn while_the_lines_of_an_ended_run_are_read_what_took_place_later_waits() {
        let (mut order, now, clock) = (Order::default(), Instant::now(), samples::now());
        order.run(&samples::failed_run(), now);
        order.step(&step("a", StepState::Failed, 1, Some(62)), None, now, clock);
        order.line(line("a", "early", 2), now);
        let later = now + 10 * HOLD;
        assert_eq!(told(order.take_due(later, true)), ["a: early"]);
        order.line(line("a", "late", 61), later);
        assert_eq!(
            told(order.take_all()),
            ["a: late", "a STEP_STATE_FAILED", "run RUN_STATE_FAILED"]
        );
    }
}
