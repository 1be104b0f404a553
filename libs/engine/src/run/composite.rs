//! Steps that hold others: how groups, choices and loops open, how their items begin, and how they close.

use super::{Run, derived::has_begun};
use crate::{
    graph::NodeKind,
    layout::{Holder, Item, STEPS_MAX},
    output::Output,
    reason::Reason,
    record::{StepIndex, StepRecord, StepState},
    time::Timestamp,
};

impl Run {
    /// Lets a step begin that may: a task is ready, an approval waits for somebody's word, and anything else opens.
    pub(super) fn start(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        match self.layout.kind(step).clone() {
            NodeKind::Task => {
                let ready = StepRecord { state: StepState::Ready, ..self.steps[step.at()] };
                self.set(step, ready, out);
            }
            NodeKind::Approval => self.suspend(step, now, out),
            NodeKind::Group(_) => {
                self.open(step, now, out);
                self.release_held(step, now, out);
            }
            NodeKind::Choice(_) => {
                self.open(step, now, out);
                self.choose(step, now, out);
            }
            NodeKind::Loop { .. } => self.expand(step, now, out),
        }
        self.close_if_done(step, now, out);
    }

    /// Opens what had opened before the run was taken up again, with what it had come to.
    pub(super) fn reopen(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        self.open(step, now, out);
        self.release_held(step, now, out);
    }

    /// What holds these steps lets them begin.
    pub(super) fn release_held(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        for held in self.held(step) {
            self.release(held, now, out);
        }
    }

    fn open(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        let record = self.steps[step.at()];
        // 0 would mean that it has not opened.
        let started_at =
            if record.has_opened() { record.started_at } else { now.max(Timestamp(1)) };
        self.set(step, StepRecord { state: StepState::Open, started_at, ..record }, out);
    }

    /// Takes the first branch whose condition holds, and skips the others.
    fn choose(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        let mut is_decided = false;
        for branch in self.held(step) {
            self.derived.waiting_on[branch.at()] = 0;
            if is_decided {
                self.skip(branch, Reason::ConditionFalse, None, now, out);
                continue;
            }
            match self.condition(branch) {
                Ok(true) => {
                    is_decided = true;
                    self.start(branch, now, out);
                }
                Ok(false) => self.skip(branch, Reason::ConditionFalse, None, now, out),
                Err(why) => {
                    is_decided = true;
                    self.fail_unattempted(branch, why, now, out);
                }
            }
        }
    }

    fn expand(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        let graph = self.layout.graph().clone();
        let items = match graph.logic().items(step, self) {
            Ok(items) => items,
            Err(why) => return self.fail_unattempted(step, why, now, out),
        };
        let before = self.layout.len();
        let Some(expansion) = self.layout.expand(step, items) else {
            let why = format!(
                "the loop has {items} items, with which the run would have more than {STEPS_MAX} steps; \
                 split the list, or have one step do more"
            );
            return self.fail_unattempted(step, why, now, out);
        };
        self.steps.resize(self.layout.len(), StepRecord::default());
        self.record.counts[StepState::Waiting as usize] += (self.layout.len() - before) as u32;
        self.derived.expanded(&expansion, &self.layout);
        out.delta.expansions.push(expansion);
        self.open(step, now, out);
    }

    /// Lets an item begin: what it holds need not wait for that any more.
    pub(super) fn begin_item(&mut self, item: Item, now: Timestamp, out: &mut Output) {
        self.derived.begun(item, &self.layout, &self.steps);
        self.release_item(item, now, out);
    }

    pub(super) fn release_item(&mut self, item: Item, now: Timestamp, out: &mut Output) {
        for step in self.layout.top_of(item).map(StepIndex) {
            self.release(step, now, out);
        }
    }

    /// A report has come of a step that has not begun, so that a commit was lost: what holds the step has begun. Its other
    /// steps begin all the same not before they may. Tells which items begin, whose steps are not released yet.
    pub(super) fn open_around(
        &mut self,
        step: StepIndex,
        now: Timestamp,
        out: &mut Output,
    ) -> Vec<Item> {
        let holder = self.layout.holder(step);
        let (Holder::Step(around) | Holder::Item(Item { of: around, .. })) = holder else {
            return Vec::new();
        };
        let mut begun = self.open_around(around, now, out);
        if self.steps[around.at()].state == StepState::Waiting {
            self.open(around, now, out);
            if matches!(self.layout.kind(around), NodeKind::Choice(_)) {
                self.pass_over_all_but(step, around, now, out);
            }
        }
        if let Holder::Item(item) = holder
            && !has_begun(item, &self.layout, &self.steps)
        {
            self.derived.begun(item, &self.layout, &self.steps);
            begun.push(item);
        }
        begun
    }

    /// A branch is known to have been taken.
    fn pass_over_all_but(
        &mut self,
        taken: StepIndex,
        choice: StepIndex,
        now: Timestamp,
        out: &mut Output,
    ) {
        for branch in self.held(choice) {
            if branch != taken && self.steps[branch.at()].state == StepState::Waiting {
                self.skip(branch, Reason::ConditionFalse, None, now, out);
            }
        }
    }

    /// Closes what holds a step that has ended, where that was the last one.
    pub(super) fn leave(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        match self.layout.holder(step) {
            Holder::Run | Holder::Exit => {}
            Holder::Step(holder) => self.close_if_done(holder, now, out),
            Holder::Item(item) => self.close_if_done(item.of, now, out),
        }
    }

    fn close_if_done(&mut self, step: StepIndex, now: Timestamp, out: &mut Output) {
        if self.steps[step.at()].state != StepState::Open || !self.derived.is_done(step) {
            return;
        }
        let (state, reason, cause) = self.outcome_of(step);
        let closed = StepRecord { state, reason, cause, until: now, ..self.steps[step.at()] };
        self.set(step, closed, out);
    }

    /// How a step ends all of whose held steps have ended.
    fn outcome_of(&self, step: StepIndex) -> (StepState, Reason, Option<StepIndex>) {
        let records = || self.layout.held(step).map(|held| (held, &self.steps[held.at()]));
        if let Some((failed, _)) = records().find(|(_, held)| held.state == StepState::Failed) {
            return (StepState::Failed, Reason::StepFailed, Some(failed));
        }
        let was_kept_from_success = |held: &StepRecord| {
            held.state == StepState::Cancelled
                || (held.state == StepState::Skipped
                    && matches!(held.reason, Reason::RunStopped(_)))
        };
        if let Some((stopped, held)) = records().find(|(_, held)| was_kept_from_success(held)) {
            return (StepState::Cancelled, held.reason, Some(stopped));
        }
        let is_choice = matches!(self.layout.kind(step), NodeKind::Choice(_));
        if is_choice && records().all(|(_, held)| held.state == StepState::Skipped) {
            return (StepState::Skipped, Reason::ConditionFalse, None);
        }
        (StepState::Succeeded, Reason::None, None)
    }

    /// What a group or a choice holds.
    pub(super) fn held(&self, step: StepIndex) -> Vec<StepIndex> {
        match self.layout.kind(step) {
            NodeKind::Group(_) | NodeKind::Choice(_) => self.layout.held(step).collect(),
            NodeKind::Task | NodeKind::Approval | NodeKind::Loop { .. } => Vec::new(),
        }
    }
}
