//! Obstacles in words: a sentence each, with what to do where anything can be done.

use windlass_engine::{event::Order, record::StepIndex, run::Obstacle, time::Timestamp};
use windlass_pipeline::outline::RunSteps;
use windlass_proto::{
    convert,
    id::RunId,
    v1::{self, ObstacleKind as Kind},
};

/// How much of a path is repeated that somebody asked for.
const SHOWN_CHARS: usize = 80;

/// What is needed to speak of a run's steps.
pub(super) struct Words<'a> {
    pub(super) run: RunId,
    pub(super) names: &'a RunSteps,
}

impl Words<'_> {
    /// What keeps a step, which a host may have taken an attempt of.
    pub(super) fn obstacle(
        &self,
        step: &v1::StepStatus,
        host: Option<&str>,
        obstacle: &Obstacle,
    ) -> v1::Obstacle {
        let (since, until) = times(obstacle);
        v1::Obstacle {
            kind: kind(obstacle).into(),
            message: self.sentence(step, host, obstacle),
            steps: speaks_of(obstacle).map(|step| self.names.path(step)).collect(),
            since: convert::timestamp(since),
            until: convert::timestamp(until),
            wait: None,
        }
    }

    fn sentence(&self, step: &v1::StepStatus, host: Option<&str>, obstacle: &Obstacle) -> String {
        let (run, why, path) = (self.run, &step.message, |step: &StepIndex| self.names.path(*step));
        match obstacle {
            Obstacle::RunNotBegun => "no scheduler has begun the run; if that lasts, see whether one runs and reaches the store \
                                      and the bus"
                .to_owned(),
            Obstacle::Dependencies { first, total } => {
                let steps = if *total == 1 { "" } else { "steps " };
                format!("it waits for the end of {steps}{}", list(&self.paths(first), *total))
            }
            Obstacle::HolderNotOpen(holder) => {
                format!("`{}`, which it lies in, has not begun", path(holder))
            }
            Obstacle::ItemNotBegun { item, before } => {
                let place = match before {
                    0 => "it is the next one".to_owned(),
                    _ => format!("{} before it", count(*before, "item begins", "items begin")),
                };
                format!("item {} of `{}` has not begun; {place}", item.index, path(&item.of))
            }
            Obstacle::LoopParallelism { of, most, under_way, first } => {
                let items: Vec<_> = first.iter().map(ToString::to_string).collect();
                let items = list(&items, *under_way as usize);
                let most = count(*most, "item", "items");
                format!("`{}` may have {most} under way (max_parallelism), and has {under_way}: {items}", path(of))
            }
            Obstacle::ReadyFirst(ready) => {
                let ready = u32::try_from(*ready).unwrap_or(u32::MAX);
                let (one, many) = ("step that is ready starts", "steps that are ready start");
                format!("{} before another item begins", count(ready, one, many))
            }
            Obstacle::LoopFirst(first) => format!("items of `{}` begin first", path(first)),
            Obstacle::StepsNotEnded(open) => {
                let (one, many) = ("step of the pipeline has", "steps of the pipeline have");
                format!("it is an exit step, and {} not ended", count(*open, one, many))
            }
            Obstacle::Paused(_) => {
                format!("the run is paused; `windlass resume {run}` lets it go on")
            }
            Obstacle::MaxParallelism { most, in_flight, first } => {
                let steps = list(&self.paths(first), *in_flight as usize);
                let most = count(*most, "attempt", "attempts");
                format!("the run may have {most} in flight (max_parallelism), and has {in_flight}: {steps}")
            }
            Obstacle::StartGap(_) => {
                "the least time between two starts of the run (start_gap) has not passed".to_owned()
            }
            Obstacle::Limits { names, .. } => {
                let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                let limits = if names.len() == 1 { "limit" } else { "limits" };
                format!("it stands in line for {limits} {}", list(&names, names.len()))
            }
            Obstacle::LinesFull(most) => format!(
                "{most} steps of the run with the same limits stand in line, and no more may at once; the next ones follow as these \
                 start"
            ),
            Obstacle::NextStart(step) => format!(
                "the run has a least time between two starts (start_gap), and the next start is that of `{}`, which stands in line \
                 for named limits",
                path(step)
            ),
            Obstacle::Room => "it may start, and waits for room: no more attempts are ordered at once than launchers take, and runs of \
                               higher priority come first; if that lasts, see whether launchers run and have free slots"
                .to_owned(),
            Obstacle::Retry { .. } => {
                format!("its latest attempt failed, and the next one waits for its delay: {why}")
            }
            Obstacle::Launcher(_) => launcher(host),
            Obstacle::Starting { .. } => {
                format!("its attempt exists{} and does not run yet", on(host))
            }
            Obstacle::Stopping(_) => {
                format!("its attempt{} was told to stop and has not ended yet: {why}", on(host))
            }
            Obstacle::Approval { .. } => format!(
                "it waits for somebody's word; `windlass approve {run} {}` gives it, with --reject to refuse it",
                step.name
            ),
            Obstacle::Holds { open, items, first } => self.holds(*open, *items, first),
        }
    }

    fn holds(&self, open: u32, items: u32, first: &[StepIndex]) -> String {
        let open = match (open, first) {
            (0, _) => None,
            (1, [one, ..]) => {
                Some(format!("`{}`, which it holds, has not ended", self.names.path(*one)))
            }
            _ => Some(format!("{open} steps that it holds have not ended")),
        };
        let (one, many) = ("of its items has not begun", "of its items have not begun");
        let items = (items > 0).then(|| count(items, one, many));
        [open, items].into_iter().flatten().collect::<Vec<_>>().join(", and ")
    }

    fn paths(&self, steps: &[StepIndex]) -> Vec<String> {
        steps.iter().map(|step| format!("`{}`", self.names.path(*step))).collect()
    }
}

fn kind(obstacle: &Obstacle) -> Kind {
    match obstacle {
        Obstacle::RunNotBegun => Kind::RunNotBegun,
        Obstacle::Dependencies { .. } => Kind::Dependencies,
        Obstacle::HolderNotOpen(_) => Kind::HolderNotOpen,
        Obstacle::ItemNotBegun { .. } => Kind::ItemNotBegun,
        Obstacle::LoopParallelism { .. } => Kind::LoopParallelism,
        Obstacle::ReadyFirst(_) => Kind::ReadyFirst,
        Obstacle::LoopFirst(_) => Kind::LoopFirst,
        Obstacle::StepsNotEnded(_) => Kind::StepsNotEnded,
        Obstacle::Paused(_) => Kind::Paused,
        Obstacle::MaxParallelism { .. } => Kind::MaxParallelism,
        Obstacle::StartGap(_) => Kind::StartGap,
        Obstacle::Limits { .. } => Kind::Limits,
        Obstacle::LinesFull(_) => Kind::LinesFull,
        Obstacle::NextStart(_) => Kind::NextStart,
        Obstacle::Room => Kind::Room,
        Obstacle::Retry { .. } => Kind::Retry,
        Obstacle::Launcher(_) => Kind::Launcher,
        Obstacle::Starting { .. } => Kind::Starting,
        Obstacle::Stopping(_) => Kind::Stopping,
        Obstacle::Approval { .. } => Kind::Approval,
        Obstacle::Holds { .. } => Kind::Holds,
    }
}

/// The steps that an obstacle speaks of, but for the one that it keeps.
pub(super) fn speaks_of(obstacle: &Obstacle) -> impl Iterator<Item = StepIndex> + '_ {
    let steps = match obstacle {
        Obstacle::Dependencies { first, .. }
        | Obstacle::MaxParallelism { first, .. }
        | Obstacle::Holds { first, .. } => first.as_slice(),
        Obstacle::HolderNotOpen(step)
        | Obstacle::LoopFirst(step)
        | Obstacle::NextStart(step)
        | Obstacle::LoopParallelism { of: step, .. } => std::slice::from_ref(step),
        Obstacle::ItemNotBegun { item, .. } => std::slice::from_ref(&item.of),
        Obstacle::RunNotBegun
        | Obstacle::ReadyFirst(_)
        | Obstacle::StepsNotEnded(_)
        | Obstacle::Paused(_)
        | Obstacle::StartGap(_)
        | Obstacle::Limits { .. }
        | Obstacle::LinesFull(_)
        | Obstacle::Room
        | Obstacle::Retry { .. }
        | Obstacle::Launcher(_)
        | Obstacle::Starting { .. }
        | Obstacle::Stopping(_)
        | Obstacle::Approval { .. } => &[],
    };
    steps.iter().copied()
}

/// Since when and until when an obstacle is there; 0 where that is not known.
fn times(obstacle: &Obstacle) -> (Timestamp, Timestamp) {
    let none = Timestamp(0);
    match obstacle {
        Obstacle::Paused(since) | Obstacle::Launcher(since) | Obstacle::Limits { since, .. } => {
            (*since, none)
        }
        Obstacle::StartGap(until) | Obstacle::Retry { until, .. } => (none, *until),
        Obstacle::Starting { since, until } | Obstacle::Approval { since, until } => {
            (*since, until.unwrap_or(none))
        }
        _ => (none, none),
    }
}

fn launcher(host: Option<&str>) -> String {
    match host {
        Some(host) => format!(
            "an attempt was ordered, and host {host} has taken it and has not said yet that it exists; if that lasts, see whether \
             the launcher there runs"
        ),
        None => "an attempt was ordered, and no launcher has taken it yet; if that lasts, see whether launchers run and have free \
                 slots"
            .to_owned(),
    }
}

fn on(host: Option<&str>) -> String {
    host.map(|host| format!(" on host {host}")).unwrap_or_default()
}

/// A number of something that does something.
pub(super) fn count(number: u32, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `a`, `b` and 3 others.
pub(super) fn list(named: &[String], total: usize) -> String {
    let others = total.saturating_sub(named.len());
    match (named, others) {
        ([], _) => total.to_string(),
        ([one], 0) => one.clone(),
        ([first @ .., last], 0) => format!("{} and {last}", first.join(", ")),
        (_, 1) => format!("{} and 1 other", named.join(", ")),
        (_, _) => format!("{} and {others} others", named.join(", ")),
    }
}

/// A sentence about something that is no obstacle to the engine.
fn told(kind: Kind, message: impl Into<String>) -> v1::Obstacle {
    v1::Obstacle { kind: kind.into(), message: message.into(), ..v1::Obstacle::default() }
}

/// That a step has ended, and how; none where it has not.
pub(super) fn step_ended(step: &v1::StepStatus) -> Option<v1::Obstacle> {
    let message = step.message.as_str();
    let message = match (step.state(), message) {
        (v1::StepState::Succeeded, "") => "it has succeeded".to_owned(),
        (v1::StepState::Succeeded, message) => format!("it has succeeded: {message}"),
        (v1::StepState::Failed, "") => "it has failed".to_owned(),
        (v1::StepState::Failed, message) => format!("it has failed: {message}"),
        // That they were skipped or stopped is what their messages begin with.
        (v1::StepState::Skipped | v1::StepState::Cancelled, message) => format!("it was {message}"),
        _ => return None,
    };
    let since = step.end_time;
    Some(v1::Obstacle { since, ..told(Kind::Ended, message) })
}

/// That a run has ended, and how.
pub(super) fn run_ended(run: &v1::Run) -> v1::Obstacle {
    let id = &run.run_id;
    let because = if run.message.is_empty() { String::new() } else { format!(": {}", run.message) };
    let message = match run.state() {
        v1::RunState::Succeeded => "the run has succeeded".to_owned(),
        v1::RunState::Cancelled => {
            format!("the run was cancelled; `windlass retry {id}` takes it up again")
        }
        _ => format!("the run has failed{because}; `windlass retry {id}` takes it up again"),
    };
    v1::Obstacle { since: run.end_time, ..told(Kind::Ended, message) }
}

/// That an order lies in the run's inbox.
pub(super) fn order(order: &Order) -> v1::Obstacle {
    let what = match order {
        Order::Cancel => "a cancel",
        Order::Pause => "a pause",
        Order::Resume => "that the run is resumed",
        Order::Retry { .. } => "a retry",
        Order::Decide(_) => "a decision about an approval",
    };
    told(Kind::Order, format!("{what} was asked for and has not been taken up yet"))
}

/// What is repeated of a text that somebody sent.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}
