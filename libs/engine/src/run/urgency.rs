//! Whether anything waits for what is reported. What nothing waits for may be taken in later, together with more.

use super::Run;
use crate::{
    event::{AttemptPhase, AttemptReport},
    graph::NodeKind,
    layout::Holder,
    record::{RunState, StepIndex, StepState},
};

impl Run {
    /// Whether more may follow from these reports, all of them together, than that the steps which they name have gone on: a step
    /// or the run begins or ends, or somebody is to be told something. Never false where it does; it may be true where it does not.
    pub fn is_urgent(&self, reports: &[&AttemptReport]) -> bool {
        let starts_more = || self.derived.clusters().any(|it| self.derived.has_next(it));
        if self.record.state != RunState::Running || starts_more() {
            return true;
        }
        let ends = reports.iter().filter(|report| !tells_a_start(&report.phase)).count();
        let ends = u32::try_from(ends).unwrap_or(u32::MAX);
        reports.iter().any(|report| !self.changes_one_step(report, ends))
    }

    /// Whether nothing but its own step changes by a report, though so many report ends.
    fn changes_one_step(&self, report: &AttemptReport, ends: u32) -> bool {
        let step = report.step;
        let Some(record) = self.steps.get(step.at()) else { return false };
        let is_expected =
            matches!(record.state, StepState::Queued | StepState::Starting | StepState::Running)
                && record.attempt == report.attempt;
        is_expected
            && (tells_a_start(&report.phase)
                || (matches!(report.phase, AttemptPhase::Succeeded(_))
                    && self.limits(step).is_none()
                    && self.is_one_of_many(step, ends)))
    }

    /// Whether all that waits for a step waits for more than so many others.
    fn is_one_of_many(&self, step: StepIndex, ends: u32) -> bool {
        let mut dependents = (0..).map_while(|at| self.layout.dependent(step, at));
        let open_beside = match self.layout.holder(step) {
            Holder::Run => self.derived.main_open,
            Holder::Exit => self.derived.exit_open,
            Holder::Step(holder) => self.derived.inside(holder).0,
            // The end of an item lets another one begin.
            Holder::Item(item) => match self.layout.kind(item.of) {
                NodeKind::Loop { max_parallelism: Some(_), .. } => 0,
                _ => self.derived.inside(item.of).0,
            },
        };
        open_beside > ends && dependents.all(|it| self.derived.waiting_on[it.at()] > ends)
    }
}

fn tells_a_start(phase: &AttemptPhase) -> bool {
    matches!(phase, AttemptPhase::Starting | AttemptPhase::Running)
}
