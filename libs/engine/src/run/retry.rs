//! What a run that is taken up again does again.

use std::sync::Arc;

use super::{Mismatch, Run, ended::push_attempt, kept};
use crate::{
    graph::{Graph, NodeKind},
    layout::{Holder, Item, Layout},
    output::Output,
    reason::Reason,
    record::{AttemptEnd, RunState, StepIndex, StepRecord, StepState},
    time::Timestamp,
};

/// What becomes of a step when its run is taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Again {
    /// It stays as it is.
    #[default]
    Not,
    /// It holds steps that are done again, and opens again, when its turn comes, as it was: a loop keeps its items.
    Reopened,
    /// It is as if it had never begun; a loop asks for its items anew.
    Anew,
}

/// What a step that a retry does not begin anew has come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All that it was made of: it has ended, or is under way.
    Whole,
    /// Its condition, which was false, and nothing else of it.
    Condition,
    /// Its condition, and its list: it holds steps that begin anew, and opens again as it was.
    Opening,
}

impl Run {
    /// Whether a retry from this step, or from none, is followed: the run has ended, and there is something to be done again.
    pub fn may_retry(&self, from: Option<StepIndex>) -> bool {
        match from {
            None => matches!(self.record.state, RunState::Failed | RunState::Cancelled),
            Some(step) => self.record.state.is_final() && self.is_current(step),
        }
    }

    /// The steps that a retry would not begin anew, ascending, and what each has come from: what that was must not change.
    /// Those that nothing was asked of are left out.
    pub fn kept_by_retry(&self, from: Option<StepIndex>) -> Vec<(StepIndex, Kept)> {
        let marks = self.marks(from);
        let kept = |step: StepIndex| {
            let record = &self.steps[step.at()];
            match (marks.get(step.at()).copied().unwrap_or_default(), record.state) {
                (Again::Anew, _) | (Again::Not, StepState::Waiting) => None,
                _ if self.is_in_loop_anew(step, &marks) => None,
                (Again::Reopened, _) => Some(Kept::Opening),
                (Again::Not, StepState::Skipped) => {
                    (record.reason == Reason::ConditionFalse).then_some(Kept::Condition)
                }
                (Again::Not, _) => Some(Kept::Whole),
            }
        };
        let steps = self.layout.current(&self.steps).flatten().map(StepIndex);
        steps.filter_map(|step| Some((step, kept(step)?))).collect()
    }

    /// Has the run obey another graph from now on: that of the same pipeline, with other arguments or other limits. Where it is
    /// of another one nothing has changed.
    pub fn amend(&mut self, graph: Arc<Graph>) -> Result<(), Mismatch> {
        let layout = Layout::with(graph, self.layout.expansions().iter().copied())?;
        if layout.len() != self.steps.len() {
            return Err(Mismatch::Steps { records: self.steps.len(), steps: layout.len() });
        }
        self.layout = layout;
        self.derive();
        Ok(())
    }

    /// Takes an ended run up again; also from a step that need not have failed.
    pub(super) fn retry(&mut self, from: Option<StepIndex>, now: Timestamp, out: &mut Output) {
        self.record.state = RunState::Running;
        self.record.stop_cause = None;
        self.record.failed_step = None;
        self.record.defect = None;
        self.record.paused_ms = 0;
        self.record.retries = self.record.retries.saturating_add(1);
        self.record.started_at = now;
        self.record.exit_at = Timestamp(0);
        self.record.ended_at = Timestamp(0);
        out.delta.run = true;
        for (step, again) in self.to_do_again(from) {
            let record = self.steps[step.at()];
            let new = match again {
                Again::Not => continue,
                Again::Reopened => StepRecord {
                    attempt: record.attempt,
                    started_at: record.started_at,
                    ..StepRecord::default()
                },
                Again::Anew => {
                    self.put_away(step, &record, out);
                    StepRecord { attempt: record.attempt, ..StepRecord::default() }
                }
            };
            self.steps[step.at()] = new;
            out.delta.steps.push(step);
        }
        self.derive();
        self.forget_outputs();
        self.trigger_free_steps(now, out);
    }

    /// What a step's record will not tell any more.
    fn put_away(&self, step: StepIndex, record: &StepRecord, out: &mut Output) {
        let is_stored = record.reason == Reason::Cached;
        if record.latest_succeeded() && !is_stored && !self.layout.kind(step).is_holder() {
            push_attempt(step, record, AttemptEnd::Succeeded, out);
        }
    }

    /// Of the outputs, those stay that a load would be given.
    fn forget_outputs(&mut self) {
        if !self.outputs.is_empty() {
            let kept = kept(&self.layout, &self.steps);
            self.outputs.retain(|step, _| kept.binary_search(step).is_ok());
        }
    }

    /// Whether a step is one of the run's, and not superseded.
    pub(super) fn is_current(&self, step: StepIndex) -> bool {
        self.layout.current(&self.steps).any(|range| range.contains(&step.0))
    }

    /// What a retry does again: the step that it is from, steps that failed or were kept from running, all that depends on
    /// them, what holds them, and the exit steps.
    fn to_do_again(&self, from: Option<StepIndex>) -> Vec<(StepIndex, Again)> {
        let marks = self.marks(from);
        let marked = self.layout.steps().zip(marks.iter().copied());
        let is_left = |step| !self.is_in_loop_anew(step, &marks);
        marked.filter(|(step, again)| *again != Again::Not && is_left(*step)).collect()
    }

    /// Whether a step lies in a loop that expands anew, so that it is superseded.
    fn is_in_loop_anew(&self, mut step: StepIndex, marks: &[Again]) -> bool {
        loop {
            step = match self.layout.holder(step) {
                Holder::Run | Holder::Exit => return false,
                Holder::Step(holder) => holder,
                Holder::Item(item) if marks.get(item.of.at()) == Some(&Again::Anew) => return true,
                Holder::Item(item) => item.of,
            };
        }
    }

    /// What becomes of each step; empty where none is done again.
    fn marks(&self, from: Option<StepIndex>) -> Vec<Again> {
        // A run that was condemned goes on where it was: what may be under way is not begun a second time.
        if self.derived.main_open > 0 || self.derived.exit_open > 0 {
            return Vec::new();
        }
        let mut marks =
            Marks { run: self, again: vec![Again::Not; self.steps.len()], next: vec![] };
        for step in self.layout.current(&self.steps).flatten().map(StepIndex) {
            let record = &self.steps[step.at()];
            let is_exit =
                step.0 < self.graph().root_len() && self.graph().is_exit(self.layout.node(step));
            if is_exit || from == Some(step) {
                marks.mark(step, Again::Anew);
            } else if was_kept_from_success(record) {
                marks.mark(step, if self.has_opened(step) { Again::Reopened } else { Again::Anew });
            }
        }
        marks.spread();
        marks.again
    }

    /// Whether a step holds others and has opened since the run's start or latest retry.
    fn has_opened(&self, step: StepIndex) -> bool {
        self.layout.kind(step).is_holder() && self.steps[step.at()].has_opened()
    }

    /// What becomes of a step that holds one that is done again. One that has not opened has let nothing in it begin; and
    /// where a branch was passed over, it is chosen anew.
    fn holder_again(&self, holder: StepIndex, held: StepIndex) -> Again {
        let was_passed_over = matches!(self.layout.kind(holder), NodeKind::Choice(_))
            && self.steps[held.at()].reason == Reason::ConditionFalse;
        if self.has_opened(holder) && !was_passed_over { Again::Reopened } else { Again::Anew }
    }
}

fn was_kept_from_success(record: &StepRecord) -> bool {
    match record.state {
        StepState::Failed | StepState::Cancelled => true,
        StepState::Skipped => matches!(record.reason, Reason::RunStopped(_)),
        _ => false,
    }
}

/// What becomes of steps, as far as it is known.
struct Marks<'a> {
    run: &'a Run,
    again: Vec<Again>,
    /// Steps whose marks have not been told on.
    next: Vec<StepIndex>,
}

impl Marks<'_> {
    /// A mark only grows.
    fn mark(&mut self, step: StepIndex, again: Again) {
        let known = &mut self.again[step.at()];
        if *known < again {
            *known = again;
            self.next.push(step);
        }
    }

    /// Marks what depends on marked steps, what holds them, and what those hold that are done anew.
    fn spread(&mut self) {
        while let Some(step) = self.next.pop() {
            for dependent in self.run.layout.dependents(step) {
                self.mark(dependent, Again::Anew);
            }
            match self.run.layout.holder(step) {
                Holder::Run | Holder::Exit => {}
                Holder::Step(holder) | Holder::Item(Item { of: holder, .. }) => {
                    self.mark(holder, self.run.holder_again(holder, step));
                }
            }
            if self.again[step.at()] == Again::Anew {
                for held in self.run.held(step) {
                    self.mark(held, Again::Anew);
                }
            }
        }
    }
}
