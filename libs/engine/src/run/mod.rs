//! A run: its graph, its state, and what follows from both.
//!
//! ```text
//!              ┌───────────── retry, after its delay ─────────────┐
//!              │                                                  │
//! Waiting ──▶ Ready ──▶ Queued ──▶ Starting ──▶ Running ──▶ Delayed / Succeeded / Failed
//!    │          ▲  │       │  │        │           │
//!    │          └──│───────┘  └────────┴───────────┴──▶ Stopping ──▶ Cancelled, or as above
//!    └──▶ Skipped ◀┘   withdrawn
//! ```
//!
//! A step with named limits is Blocked between Ready and Queued, until they are granted. A report may jump over states:
//! launchers tell several phases in one. A step that holds others goes from Waiting to Open
//! instead, and ends when all of them have; an approval from Waiting to Suspended, until somebody has decided. When all of
//! the pipeline's steps have ended, its exit steps begin.

mod approval;
mod attempt;
mod composite;
mod derived;
mod dispatch;
mod ended;
mod explain;
mod facts;
mod limits;
mod lines;
mod order;
mod queue;
mod retry;
mod stop;
mod timers;
mod trigger;
mod urgency;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use derived::Derived;
pub use explain::Obstacle;
pub use retry::Kept;
use serde_json::Value;

use crate::{
    event::Event,
    graph::Graph,
    layout::{Expansion, ImpossibleExpansion, Layout},
    output::{AttemptRef, Effect, Output},
    policy::ClusterIndex,
    record::{RunRecord, RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

/// A run. Two runs are equal where all that was stored of them is, and all that was derived.
#[derive(Debug, Clone)]
pub struct Run {
    layout: Layout,
    record: RunRecord,
    steps: Vec<StepRecord>,
    /// What those steps put out whose outputs the graph asks for.
    outputs: BTreeMap<StepIndex, Arc<Value>>,
    derived: Derived,
    /// Steps whose ends have not been told on; none between two calls.
    ended: Vec<StepIndex>,
    /// Whether a step has failed whose failure is to stop the rest; false between two calls.
    is_to_stop: bool,
    /// The clusters for which a dispatch has left something to start to the next one, though there may be room.
    looks_again: BTreeSet<ClusterIndex>,
}

/// What is stored of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The run's own state.
    pub record: RunRecord,
    /// The states of all steps.
    pub steps: Vec<StepRecord>,
    /// The expansions of loops, in the order in which they came.
    pub expansions: Vec<Expansion>,
    /// Outputs of steps: those that [`kept`] names.
    pub outputs: Vec<(StepIndex, Arc<str>)>,
}

/// The steps whose outputs a run needs to be loaded, ascending: those that have succeeded and that conditions or loops refer to.
pub fn kept(layout: &Layout, steps: &[StepRecord]) -> Vec<StepIndex> {
    if !layout.graph().keeps_any_outputs() {
        return Vec::new();
    }
    let ranges = layout.current(steps).flatten().map(StepIndex);
    ranges
        .filter(|step| {
            steps.get(step.at()).is_some_and(StepRecord::latest_succeeded)
                && layout.graph().keeps_outputs(layout.node(*step))
        })
        .collect()
}

/// An event that makes no sense for this run, whatever its state: it must not be tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The report names a step that the run has not got.
    #[error(
        "the report names step {step}, but the run has {steps} steps: its sender holds another pipeline"
    )]
    UnknownStep {
        /// As reported.
        step: u32,
        /// How many there are.
        steps: usize,
    },
    /// The report names a step of which no attempts are made.
    #[error(
        "the report names step {step}, which is a group, a loop or an approval: its sender is broken"
    )]
    NotATask {
        /// As reported.
        step: u32,
    },
    /// The report names attempt 0, and attempts count from 1.
    #[error(
        "the report names attempt 0 of step {step}, and attempts count from 1: its sender is broken"
    )]
    AttemptZero {
        /// As reported.
        step: u32,
    },
    /// The report names an attempt that no step ever reaches.
    #[error(
        "the report names attempt {attempt} of step {step}, which no step ever reaches: its sender is broken"
    )]
    AttemptTooHigh {
        /// As reported.
        step: u32,
        /// As reported.
        attempt: u32,
    },
}

/// The records do not belong to the graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// There are more or fewer than there are steps.
    #[error(
        "the stored state has {records} steps where the pipeline has {steps}: the store is damaged"
    )]
    Steps {
        /// In the state.
        records: usize,
        /// As the graph and the expansions have it.
        steps: usize,
    },
    /// A loop has not expanded so.
    #[error(transparent)]
    Expansion(#[from] ImpossibleExpansion),
}

impl PartialEq for Run {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
            && self.steps == other.steps
            && self.layout.expansions() == other.layout.expansions()
            && self.outputs == other.outputs
            && self.derived == other.derived
    }
}

impl Run {
    /// A run that has not begun.
    pub fn new(graph: Arc<Graph>) -> Self {
        let layout = Layout::new(graph);
        let steps = vec![StepRecord::default(); layout.len()];
        Self::from_parts(layout, RunRecord::default(), steps)
    }

    /// A run as it was stored.
    ///
    /// The record's counts are counted anew. Outputs that are no JSON are as if they had not been written.
    pub fn load(graph: Arc<Graph>, stored: Stored) -> Result<Self, Mismatch> {
        let Stored { record, steps, expansions, outputs } = stored;
        let layout = Layout::with(graph, expansions)?;
        if steps.len() != layout.len() {
            return Err(Mismatch::Steps { records: steps.len(), steps: layout.len() });
        }
        let mut run = Self::from_parts(layout, record, steps);
        for (step, outputs) in outputs {
            if step.at() < run.steps.len() {
                run.keep_outputs(step, &outputs);
            }
        }
        Ok(run)
    }

    fn from_parts(layout: Layout, record: RunRecord, steps: Vec<StepRecord>) -> Self {
        let mut run = Self {
            layout,
            record,
            steps,
            outputs: BTreeMap::new(),
            derived: Derived::default(),
            ended: Vec::new(),
            is_to_stop: false,
            looks_again: BTreeSet::new(),
        };
        run.derive();
        run
    }

    /// Finds out anew all that follows from the records.
    fn derive(&mut self) {
        self.record.counts = [0; StepState::COUNT];
        for range in self.layout.current(&self.steps) {
            for record in &self.steps[range.start as usize..range.end as usize] {
                self.record.counts[record.state as usize] += 1;
            }
        }
        self.derived = Derived::of(&self.layout, &self.record, &self.steps);
        self.ended.clear();
    }

    /// Takes one event. What changes is added to `out`.
    ///
    /// An event that is known already, or behind the run's state, changes nothing. After a refusal nothing has changed.
    pub fn apply(
        &mut self,
        event: &Event,
        now: Timestamp,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        match event {
            Event::Submitted => self.begin(now, out),
            Event::Order(order) => self.order(order, now, out),
            Event::Report(report) => self.report(report, now, out)?,
            Event::Defect(defect) => self.defect(defect, now, out),
            Event::Granted(attempt) => self.granted(*attempt, now, out),
            Event::Wake => self.wake(now, out),
        }
        self.conclude(now, out);
        Ok(())
    }

    /// All that the world owes this run, as it is: the orders for every attempt that may exist. To be carried out after
    /// a load, and now and then, since nobody knows which of them were carried out before.
    ///
    /// A pause holds launches back: it withdrew them, and to repeat one would bring it back.
    pub fn outstanding(&self) -> impl Iterator<Item = Effect> + '_ {
        let launches = self.record.state != RunState::Running || self.record.paused_at.is_none();
        self.layout.steps().zip(&self.steps).flat_map(move |(step, record)| {
            let attempt = AttemptRef { step, attempt: record.attempt };
            let is_held = record.state.is_in_flight() && self.limits(step).is_some();
            let owed = match record.state {
                StepState::Queued => launches.then_some(Effect::Launch(attempt)),
                StepState::Starting | StepState::Running => Some(Effect::Probe(attempt)),
                StepState::Stopping => Some(Effect::Stop(attempt)),
                StepState::Blocked => Some(Effect::Acquire(attempt)),
                StepState::Waiting
                | StepState::Ready
                | StepState::Delayed
                | StepState::Succeeded
                | StepState::Failed
                | StepState::Skipped
                | StepState::Cancelled
                | StepState::Open
                | StepState::Suspended => None,
            };
            // Before anything else is done about it: others may be asking.
            is_held.then_some(Effect::Hold(attempt)).into_iter().chain(owed)
        })
    }

    /// The run's own state.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// The states of all steps, by index.
    pub fn steps(&self) -> &[StepRecord] {
        &self.steps
    }

    /// The state of one step.
    ///
    /// # Panics
    ///
    /// If the run has no such step.
    pub fn step(&self, step: StepIndex) -> &StepRecord {
        &self.steps[step.at()]
    }

    /// The run's graph.
    pub fn graph(&self) -> &Arc<Graph> {
        self.layout.graph()
    }

    /// The run's steps, as they come from its graph.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes that the run's state takes, the graph and the outputs left out; allocations counted as they are used.
    pub fn state_bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(self.steps.as_slice())
            + self.layout.heap_bytes()
            + self.derived.heap_bytes()
    }

    fn begin(&mut self, now: Timestamp, out: &mut Output) {
        if self.record.state != RunState::Pending {
            return;
        }
        self.record.state = RunState::Running;
        self.record.started_at = now;
        out.delta.run = true;
        self.trigger_free_steps(now, out);
        self.settle(now, out);
    }

    /// Does what follows from ends of steps: for those that wait for them, for what holds them, and for the rest of the run.
    fn settle(&mut self, now: Timestamp, out: &mut Output) {
        self.spread(now, out);
        if std::mem::take(&mut self.is_to_stop) {
            self.stop_after_failure(now, out);
            self.spread(now, out);
        }
    }

    /// Draws all conclusions from what has happened: what follows from ends of steps, that the exit steps begin, that the run
    /// ends.
    fn conclude(&mut self, now: Timestamp, out: &mut Output) {
        self.settle(now, out);
        let goes_on = |state| matches!(state, RunState::Running | RunState::Stopping);
        if goes_on(self.record.state)
            && self.derived.main_open == 0
            && self.derived.exit_open > 0
            && self.record.exit_at == Timestamp(0)
        {
            self.begin_exit(now, out);
        }
        if (goes_on(self.record.state) || self.record.state == RunState::Exiting)
            && self.derived.main_open == 0
            && self.derived.exit_open == 0
        {
            self.record.failed_step = self.record.failed_step.or_else(|| self.first_failed());
            self.record.state = self.record.final_state();
            self.record.ended_at = now;
            self.end_pause(now);
            out.delta.run = true;
        }
    }

    fn begin_exit(&mut self, now: Timestamp, out: &mut Output) {
        self.record.state = RunState::Exiting;
        // 0 would mean that they have not begun.
        self.record.exit_at = now.max(Timestamp(1));
        self.end_pause(now);
        out.delta.run = true;
        for step in self.layout.graph().exit_nodes().map(StepIndex) {
            self.release(step, now, out);
        }
        self.settle(now, out);
    }

    /// Gives a step a new state: the one place where records change, so that what is derived from them keeps up.
    fn set(&mut self, step: StepIndex, new: StepRecord, out: &mut Output) {
        let old = std::mem::replace(&mut self.steps[step.at()], new);
        self.record.counts[old.state as usize] -= 1;
        self.record.counts[new.state as usize] += 1;
        self.derived.follow(step, &old, &new, &self.layout, &self.steps);
        self.follow_limits(step, &old, &new, out);
        if new.state.is_final() && !old.state.is_final() {
            self.ended.push(step);
        }
        out.delta.steps.push(step);
        out.delta.run = true;
    }

    /// Keeps what a step put out, where the graph asks for it.
    fn keep_outputs(&mut self, step: StepIndex, outputs: &str) {
        if self.layout.graph().keeps_any_outputs()
            && self.layout.graph().keeps_outputs(self.layout.node(step))
            && let Ok(outputs) = serde_json::from_str(outputs)
        {
            self.outputs.insert(step, Arc::new(outputs));
        }
    }
}
