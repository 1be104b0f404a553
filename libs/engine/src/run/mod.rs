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
//! A report may jump over states: launchers tell several phases in one.

mod attempt;
mod derived;
mod dispatch;
mod ended;
mod order;
mod stop;
mod timers;
mod trigger;

use std::sync::Arc;

use derived::Derived;

use crate::{
    event::Event,
    graph::Graph,
    output::{AttemptRef, Effect, Output},
    record::{RunRecord, RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

/// A run. Two runs are equal where all that was stored of them is, and all that was derived.
#[derive(Debug, Clone)]
pub struct Run {
    graph: Arc<Graph>,
    record: RunRecord,
    steps: Vec<StepRecord>,
    derived: Derived,
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
#[error(
    "the stored state has {records} steps where the pipeline has {steps}: the store is damaged"
)]
pub struct Mismatch {
    /// In the state.
    pub records: usize,
    /// In the graph.
    pub steps: usize,
}

impl PartialEq for Run {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record && self.steps == other.steps && self.derived == other.derived
    }
}

impl Run {
    /// A run that has not begun.
    pub fn new(graph: Arc<Graph>) -> Self {
        let steps = vec![StepRecord::default(); graph.len()];
        Self::from_parts(graph, RunRecord::default(), steps)
    }

    /// A run as it was stored.
    ///
    /// The record's counts are counted anew.
    pub fn load(
        graph: Arc<Graph>,
        record: RunRecord,
        steps: Vec<StepRecord>,
    ) -> Result<Self, Mismatch> {
        if steps.len() == graph.len() {
            Ok(Self::from_parts(graph, record, steps))
        } else {
            Err(Mismatch { records: steps.len(), steps: graph.len() })
        }
    }

    fn from_parts(graph: Arc<Graph>, mut record: RunRecord, steps: Vec<StepRecord>) -> Self {
        record.counts = [0; StepState::COUNT];
        for step in &steps {
            record.counts[step.state as usize] += 1;
        }
        let derived = Derived::of(&graph, &steps);
        Self { graph, record, steps, derived }
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
            Event::Order(order) => self.order(*order, now, out),
            Event::Report(report) => self.report(report, now, out)?,
            Event::Defect(defect) => self.defect(defect, now, out),
            Event::Wake => self.wake(now, out),
        }
        self.end_if_done(now, out);
        Ok(())
    }

    /// All that the world owes this run, as it is: the orders for every attempt that may exist. To be carried out after
    /// a load, and now and then, since nobody knows which of them were carried out before.
    ///
    /// A pause holds launches back: it withdrew them, and to repeat one would bring it back.
    pub fn outstanding(&self) -> impl Iterator<Item = Effect> + '_ {
        let launches = self.record.state != RunState::Running || self.record.paused_at.is_none();
        self.graph.steps().zip(&self.steps).filter_map(move |(step, record)| {
            let attempt = AttemptRef { step, attempt: record.attempt };
            match record.state {
                StepState::Queued => launches.then_some(Effect::Launch(attempt)),
                StepState::Starting | StepState::Running => Some(Effect::Probe(attempt)),
                StepState::Stopping => Some(Effect::Stop(attempt)),
                StepState::Waiting
                | StepState::Ready
                | StepState::Delayed
                | StepState::Succeeded
                | StepState::Failed
                | StepState::Skipped
                | StepState::Cancelled => None,
            }
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
        &self.graph
    }

    /// Bytes that the run's state takes, the graph left out; allocations counted as they are used.
    pub fn state_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(self.steps.as_slice()) + self.derived.heap_bytes()
    }

    fn begin(&mut self, now: Timestamp, out: &mut Output) {
        if self.record.state != RunState::Pending {
            return;
        }
        self.record.state = RunState::Running;
        self.record.started_at = now;
        out.delta.run = true;
        self.trigger_free_steps(now, out);
    }

    /// Ends the run where all its steps have.
    fn end_if_done(&mut self, now: Timestamp, out: &mut Output) {
        if self.derived.open > 0
            || !matches!(self.record.state, RunState::Running | RunState::Stopping)
        {
            return;
        }
        self.record.state = self.final_state();
        self.record.ended_at = now;
        self.end_pause(now);
        out.delta.run = true;
    }

    /// Gives a step a new state: the one place where records change, so that what is derived from them keeps up.
    fn set(&mut self, step: StepIndex, new: StepRecord, out: &mut Output) {
        let old = std::mem::replace(&mut self.steps[step.at()], new);
        self.record.counts[old.state as usize] -= 1;
        self.record.counts[new.state as usize] += 1;
        self.derived.follow(step, &old, &new, self.graph.step_policy(step));
        out.delta.steps.push(step);
        out.delta.run = true;
    }
}
