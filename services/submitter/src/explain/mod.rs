//! Why steps do not run: the run is loaded as a scheduler loads it, and the engine is asked.
//!
//! What is told is a moment: nothing is decided here, and nothing is written. What only launchers know, they are asked.

mod clusters;
mod lines;
#[cfg(test)]
mod tests;
mod wait_words;
mod waits;
mod words;

use std::{collections::BTreeMap, sync::Arc};

use tokio::task;
use windlass_engine::{
    graph::NodeKind,
    layout::Holder,
    record::{StepIndex, StepRecord, StepState},
    run::{Obstacle, Run},
    time::Timestamp,
};
use windlass_pipeline::outline::RunSteps;
use windlass_proto::{holder, id::RunId, v1};
use windlass_service::{
    error::{ApiError, ErrorReason},
    revive::{Compiled, ReviveError},
};
use windlass_store::{RunView, StoredRun};

use crate::Submitter;
use words::Words;

/// How many runs are loaded at once: one takes up as much memory as it does in a scheduler.
pub(crate) const AT_ONCE: usize = 2;

/// How many steps are explained where none is named.
const STEPS: usize = 20;

/// What the engine says of some steps of a run.
struct Answer {
    view: RunView,
    steps: Vec<(StepIndex, StepRecord, Vec<Obstacle>)>,
    /// The clusters that some of them wait for.
    awaited: BTreeMap<StepIndex, Arc<str>>,
    more: u32,
}

impl Submitter {
    pub(crate) async fn explain(
        &self,
        request: v1::ExplainRunRequest,
    ) -> Result<v1::ExplainRunResponse, ApiError> {
        let view = self.run(&request.run_id).await?;
        let run = view.submission.id;
        let named = match request.step.as_str() {
            "" => None,
            path => Some(self.named(run, path).await?),
        };
        if view.record.state.is_final() {
            return self.explain_ended(view, named).await;
        }
        let room = self.loads.try_acquire().map_err(|_| ApiError {
            retry_after: Some(std::time::Duration::from_secs(1)),
            ..ApiError::new(
                ErrorReason::Unavailable,
                format!("{AT_ONCE} runs are being explained already; try again soon"),
            )
        })?;
        let stored = self.store.load(run).await?.ok_or_else(|| ApiError::run_not_found(run))?;
        // It may have ended since it was looked at.
        if stored.view.record.state.is_final() {
            return self.explain_ended(stored.view, named).await;
        }
        let orders = stored.orders.clone();
        let now = self.store.now().await?;
        let asked =
            self.with_run(run, stored, move |run, stored| answer(run, stored.view, named, now));
        let answer = asked.await?;
        // The run is let go. Launchers have time to answer, and others may load theirs meanwhile.
        drop(room);
        let mut response = self.tell(answer).await?;
        // Its loop gets other items, or the store went back.
        if named.is_some() && response.steps.is_empty() {
            return Err(ApiError::step_not_found(run, &request.step));
        }
        response.obstacles = orders.iter().map(|placed| words::order(&placed.order)).collect();
        Ok(response)
    }

    /// The step of a path. Where there is none, it may be that there is none yet.
    async fn named(&self, run: RunId, path: &str) -> Result<StepIndex, ApiError> {
        let error = match self.names.find(&*self.store, run, path).await {
            Err(error) if error.reason == ErrorReason::StepNotFound => error,
            other => return other,
        };
        let names = self.names.of(&*self.store, run, None).await?;
        match loop_without_items(&names, path) {
            Some(of) => Err(ApiError {
                message: format!(
                    "run {run} has no step `{}` yet, since `{of}` has not got its items; `windlass explain {run} {of}` tells \
                     why",
                    words::cut(path)
                ),
                ..error
            }),
            None => Err(error),
        }
    }

    /// Nothing keeps a run that has ended from anything; it may have been asked to be taken up again.
    async fn explain_ended(
        &self,
        view: RunView,
        named: Option<StepIndex>,
    ) -> Result<v1::ExplainRunResponse, ApiError> {
        let run = view.submission.id;
        let steps = match named {
            None => Vec::new(),
            Some(step) => {
                let read = self.store.read_steps(run, &[step]).await?;
                let (_, records) = read.ok_or_else(|| ApiError::run_not_found(run))?;
                records.into_iter().map(|record| (step, record, Vec::new())).collect()
            }
        };
        let mut response =
            self.tell(Answer { view, steps, awaited: BTreeMap::new(), more: 0 }).await?;
        response.obstacles = response.run.iter().map(words::run_ended).collect();
        let orders = self.store.read_orders(run).await?;
        response.obstacles.extend(orders.iter().map(|placed| words::order(&placed.order)));
        Ok(response)
    }

    /// Brings a run to life and asks it something. What takes long where the run is large is done where it holds nobody up.
    pub(crate) async fn with_run<T: Send + 'static>(
        &self,
        id: RunId,
        stored: StoredRun,
        ask: impl FnOnce(&Run, StoredRun) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let compiling =
            task::spawn_blocking(move || Compiled::of(&stored).map(|compiled| (compiled, stored)));
        let (compiled, stored) = done(id, compiling.await)?;
        let outputs = match compiled.kept(&stored).as_slice() {
            [] => BTreeMap::new(),
            kept => self.store.read_outputs(id, kept).await?,
        };
        let asking = task::spawn_blocking(move || {
            compiled.load(&stored, outputs).map(|run| ask(&run, stored))
        });
        done(id, asking.await)
    }

    /// Puts an answer into words.
    async fn tell(&self, answer: Answer) -> Result<v1::ExplainRunResponse, ApiError> {
        let Answer { view, steps: explained, awaited, more } = answer;
        let run = view.submission.id;
        let spoken_of = explained.iter().flat_map(|(step, _, obstacles)| {
            obstacles.iter().flat_map(words::speaks_of).chain([*step])
        });
        let last = spoken_of.max();
        let records = explained.iter().map(|(step, record, _)| (*step, *record)).collect();
        let statuses = self.show_steps(&view, records).await?;
        let names = self.names.of(&*self.store, run, last).await?;
        let hosts = self.hosts(run, &explained).await?;
        let lines = self.lines(&view, &explained).await?;
        let clusters = self.clusters(run, &explained, awaited).await?;
        let words = Words { run, names: &names };
        let mut statuses: BTreeMap<u32, v1::StepStatus> =
            statuses.into_iter().map(|status| (status.index, status)).collect();
        let steps = explained.into_iter().filter_map(|(step, record, obstacles)| {
            let status = statuses.remove(&step.0)?;
            let host = hosts.get(&step).map(String::as_str);
            let lines = lines.get(&step).map(Vec::as_slice).unwrap_or_default();
            let words_of = |obstacle: &Obstacle| {
                let told = words.obstacle(&status, host, obstacle);
                match obstacle {
                    Obstacle::Limits { .. } => lines::told(run, lines, told),
                    _ => clusters.told((step, record.attempt), host, obstacle, told),
                }
            };
            let mut told: Vec<_> = obstacles.iter().map(words_of).collect();
            told.extend(words::step_ended(&status));
            Some(v1::StepExplanation { step: Some(status), obstacles: told })
        });
        Ok(v1::ExplainRunResponse {
            run: Some(self.show(&view).await?),
            obstacles: Vec::new(),
            steps: steps.collect(),
            more,
        })
    }

    /// The hosts that have taken attempts which do not run yet.
    async fn hosts(
        &self,
        run: RunId,
        explained: &[(StepIndex, StepRecord, Vec<Obstacle>)],
    ) -> Result<BTreeMap<StepIndex, String>, ApiError> {
        let is_taken = |record: &StepRecord| {
            matches!(record.state, StepState::Queued | StepState::Starting | StepState::Stopping)
        };
        let attempts: Vec<_> = explained
            .iter()
            .filter(|(_, record, _)| is_taken(record))
            .map(|(step, record, _)| (*step, record.attempt))
            .collect();
        if attempts.is_empty() {
            return Ok(BTreeMap::new());
        }
        let holders = self.store.read_claims(run, &attempts).await?;
        let taken = attempts.iter().zip(holders).filter_map(|((step, _), holder)| {
            let holder = holder.as_deref().filter(|holder| !holder::is_cluster(holder))?;
            Some((*step, holder::host(holder)?.to_owned()))
        });
        Ok(taken.collect())
    }
}

/// What the engine says of one step and of what it lies in, or of the steps that are closest to running.
fn answer(run: &Run, view: RunView, named: Option<StepIndex>, now: Timestamp) -> Answer {
    let chosen = match named {
        // The store went back behind what the names were read from.
        Some(step) if step.0 as usize >= run.steps().len() => Vec::new(),
        Some(step) => vec![step],
        None => run.held_up(STEPS),
    };
    let more = if named.is_some() {
        0
    } else {
        run.held_up_count().saturating_sub(u32::try_from(chosen.len()).unwrap_or(u32::MAX))
    };
    let (mut steps, mut awaited) = (Vec::new(), BTreeMap::new());
    let mut next = chosen;
    next.reverse();
    while let Some(step) = next.pop() {
        let obstacles = run.explain(step, now);
        let waits_for_holder = |it: &Obstacle| matches!(it, Obstacle::HolderNotOpen(_));
        if named.is_some() && obstacles.iter().any(waits_for_holder) {
            next.extend(holder_of(run, step));
        }
        awaited.extend(clusters::awaited(run, step, &obstacles).map(|cluster| (step, cluster)));
        steps.push((step, *run.step(step), obstacles));
    }
    Answer { view, steps, awaited, more }
}

fn holder_of(run: &Run, step: StepIndex) -> Option<StepIndex> {
    match run.layout().holder(step) {
        Holder::Step(holder) => Some(holder),
        Holder::Item(item) => Some(item.of),
        Holder::Run | Holder::Exit => None,
    }
}

/// The loop in a path that has no items as far as is known.
fn loop_without_items<'a>(names: &RunSteps, path: &'a str) -> Option<&'a str> {
    let mut ends: Vec<usize> = path.match_indices('.').map(|(at, _)| at).collect();
    ends.reverse();
    let known = ends.into_iter().map(|end| &path[..end]);
    let mut known = known.filter_map(|part| names.find(part).map(|step| (part, step)));
    let (part, step) = known.next()?;
    let layout = names.layout();
    let is_loop = matches!(layout.kind(step), NodeKind::Loop { .. });
    (is_loop && layout.expansion(step).is_none()).then_some(part)
}

fn done<T>(
    run: RunId,
    outcome: Result<Result<T, ReviveError>, task::JoinError>,
) -> Result<T, ApiError> {
    match outcome {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            let message = format!(
                "run {run} cannot be loaded: {error}; restore the store from a copy, or delete the run"
            );
            Err(ApiError::new(ErrorReason::Damaged, message).with("run_id", &run))
        }
        Err(error) => {
            let message = format!("the request was dropped: {error}");
            Err(ApiError::new(ErrorReason::Unavailable, message))
        }
    }
}
