//! The lines for named limits in which steps stand: what the store knows of them, in words.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use windlass_engine::{
    limits::LimitConfig,
    record::{StepIndex, StepRecord},
    run::Obstacle,
};
use windlass_proto::{id::RunId, v1};
use windlass_service::error::ApiError;
use windlass_store::{Holder, LimitView, RunView};

use super::words;
use crate::Submitter;

/// How many holders of a limit are named.
const NAMED: usize = 3;

/// How many steps an obstacle mentions.
const MENTIONED: usize = 10;

/// A limit as a step sees it that stands in line for it.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) limit: LimitView,
    /// The first of those who hold it.
    pub(super) holders: Vec<v1::LimitHolder>,
    /// How many stand before it; none where it does not stand there any more, or not yet.
    pub(super) before: Option<u32>,
}

impl Submitter {
    /// The lines in which those of the steps stand that the engine says stand in some.
    pub(super) async fn lines(
        &self,
        view: &RunView,
        explained: &[(StepIndex, StepRecord, Vec<Obstacle>)],
    ) -> Result<BTreeMap<StepIndex, Vec<Line>>, ApiError> {
        let waiting: Vec<_> = explained
            .iter()
            .filter_map(|(step, record, obstacles)| {
                let names = obstacles.iter().find_map(|it| match it {
                    Obstacle::Limits { names, .. } => Some(names),
                    _ => None,
                })?;
                Some((*step, record.attempt, names))
            })
            .collect();
        let (run, namespace) = (view.submission.id, view.submission.namespace.as_str());
        if waiting.is_empty() {
            return Ok(BTreeMap::new());
        }
        let limits = self.store.read_limits(namespace).await?.into_iter();
        let limits: BTreeMap<_, _> = limits.map(|limit| (limit.name.clone(), limit)).collect();
        let mut holders: BTreeMap<Arc<str>, Vec<v1::LimitHolder>> = BTreeMap::new();
        let mut lines = BTreeMap::new();
        for (step, attempt, names) in waiting {
            let holder = Holder { run, step, attempt };
            let places = self.store.read_places(namespace, holder).await?;
            let places: BTreeMap<_, _> = places.into_iter().collect();
            let mut of_step = Vec::new();
            for name in names.iter() {
                let limit = limits.get(name).cloned();
                let limit = limit.unwrap_or_else(|| LimitView::unset(name.clone()));
                let holders = match holders.entry(name.clone()) {
                    Entry::Occupied(read) => read.get().clone(),
                    Entry::Vacant(unread) => {
                        let read = self.holders(namespace, name, NAMED).await?;
                        unread.insert(read).clone()
                    }
                };
                of_step.push(Line { limit, holders, before: places.get(name).copied() });
            }
            lines.insert(step, of_step);
        }
        Ok(lines)
    }
}

/// What keeps a step in line, and which steps of its own run do.
pub(super) fn told(run: RunId, lines: &[Line], obstacle: v1::Obstacle) -> v1::Obstacle {
    let message = match lines {
        [] => return obstacle,
        [line] if line.waits_for_its_rate() => {
            let limit = of_one(run, line, "; ");
            format!(
                "it stands in line for limit {limit}, as soon as its rate lets another one start"
            )
        }
        [line] => format!("it stands in line for limit {}", of_one(run, line, "; ")),
        _ => {
            let lines: Vec<_> = lines.iter().map(|line| of_one(run, line, ", and ")).collect();
            format!("it stands in line for limits that it needs all at once: {}", lines.join("; "))
        }
    };
    let own = run.to_string();
    let of_own_run = lines.iter().flat_map(|line| &line.holders).filter(|it| it.run_id == own);
    let mut steps: Vec<_> = of_own_run.map(|it| it.step.clone()).collect();
    steps.dedup();
    steps.truncate(MENTIONED);
    v1::Obstacle { message, steps, ..obstacle }
}

impl Line {
    fn has_room(&self) -> bool {
        let LimitConfig { size, .. } = self.limit.config.unwrap_or_default();
        size.is_none_or(|size| self.limit.held < size.get())
    }

    /// Of a limit that nothing else keeps a step from.
    fn waits_for_its_rate(&self) -> bool {
        let LimitConfig { rate, .. } = self.limit.config.unwrap_or_default();
        self.before == Some(0) && self.has_room() && rate.is_some()
    }
}

/// `gpu` (2 at once): held by `fit` of run_… and 1 other; 3 stand before it
fn of_one(run: RunId, line: &Line, separator: &str) -> String {
    let Line { limit, holders, before } = line;
    let LimitConfig { size, rate } = limit.config.unwrap_or_default();
    let size = size.map(std::num::NonZeroU32::get);
    let allowed = size.map(|size| format!("{size} at once"));
    let allowed = allowed.into_iter().chain(rate.map(|rate| {
        let starts = words::count(rate.starts.get(), "start", "starts");
        format!("{starts} in {}", span(rate.period_ms))
    }));
    let state = if line.has_room() {
        None
    } else {
        let named: Vec<_> = holders.iter().map(|it| holder(run, it)).collect();
        Some(format!("held by {}", words::list(&named, limit.held as usize)))
    };
    let place = before.map(|before| match before {
        0 => "it is the next one".to_owned(),
        _ => words::count(before, "stands before it", "stand before it"),
    });
    let parts: Vec<_> = state.into_iter().chain(place).collect();
    let allowed = allowed.collect::<Vec<_>>().join(", ");
    let colon = if parts.is_empty() { "" } else { ": " };
    format!("`{}` ({allowed}){colon}{}", limit.name, parts.join(separator))
}

fn holder(run: RunId, holder: &v1::LimitHolder) -> String {
    let v1::LimitHolder { run_id, step, .. } = holder;
    match step.as_str() {
        "" => format!("a step of {run_id}"),
        step if *run_id == run.to_string() => format!("`{step}` of this run"),
        step => format!("`{step}` of {run_id}"),
    }
}

/// `1 min`: in the largest unit that it has a whole number of.
fn span(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s")];
    let unit = units.into_iter().find(|(length, _)| ms >= *length && ms.is_multiple_of(*length));
    let (length, name) = unit.unwrap_or((1, "ms"));
    format!("{} {name}", ms / length)
}
