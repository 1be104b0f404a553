//! What launchers report of attempts: which reports count, and how an attempt comes to run. How it ends is in `ended`.

use super::{Refusal, Run};
use crate::{
    event::{AttemptPhase, AttemptReport},
    graph::NodeKind,
    output::{AttemptRef, Effect, Output},
    reason::Reason,
    record::{StepIndex, StepRecord, StepState},
    time::Timestamp,
};

/// The highest number of an attempt that is believed: so far from the end of numbers that a step never gets there.
const HIGHEST_ATTEMPT: u32 = u32::MAX / 2;

impl Run {
    pub(super) fn report(
        &mut self,
        report: &AttemptReport,
        now: Timestamp,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let step = report.step;
        self.refuse_nonsense(report)?;
        // A report of a run that has not begun proves that a commit was lost.
        self.begin(now, out);
        self.adopt_if_ahead(report, now, out);
        let record = self.steps[step.at()];
        if report.attempt != record.attempt || !record.state.is_in_flight() {
            return Ok(());
        }
        match &report.phase {
            AttemptPhase::Starting => {
                self.started(step, StepState::Starting, report.created_at, now, out);
            }
            AttemptPhase::Running => {
                self.started(step, StepState::Running, report.started_at, now, out);
            }
            AttemptPhase::Succeeded(_)
            | AttemptPhase::Failed(_)
            | AttemptPhase::Stopped
            | AttemptPhase::NotCreated
            | AttemptPhase::Cached(..) => self.ended(report, now, out),
        }
        Ok(())
    }

    fn refuse_nonsense(&self, report: &AttemptReport) -> Result<(), Refusal> {
        let step = report.step.0;
        match report.attempt {
            _ if report.step.at() >= self.layout.len() => {
                let steps = self.layout.len();
                Err(Refusal::UnknownStep { step, steps })
            }
            _ if *self.layout.kind(report.step) != NodeKind::Task => {
                Err(Refusal::NotATask { step })
            }
            0 => Err(Refusal::AttemptZero { step }),
            1..=HIGHEST_ATTEMPT => Ok(()),
            attempt => Err(Refusal::AttemptTooHigh { step, attempt }),
        }
    }

    /// A report of an attempt that was never ordered proves that the commit which ordered it was lost: it is adopted,
    /// in place of the one that the step had.
    fn adopt_if_ahead(&mut self, report: &AttemptReport, now: Timestamp, out: &mut Output) {
        let step = report.step;
        let record = self.steps[step.at()];
        let is_ahead = match record.state {
            // Nobody has ordered it yet.
            StepState::Blocked => report.attempt >= record.attempt,
            _ => report.attempt > record.attempt,
        };
        if !is_ahead || record.state.is_final() {
            return;
        }
        // All that is known to have begun does so, before anything follows from that.
        let begun = self.open_around(step, now, out);
        let adopted = StepRecord {
            state: StepState::Queued,
            reason: Reason::None,
            cause: None,
            attempt: report.attempt,
            queued_at: report.created_at.map_or(now, |at| at.min(now)),
            started_at: Timestamp(0),
            until: Timestamp(0),
            ..record
        };
        let unwanted = self.unwanted(&record);
        self.set(step, adopted, out);
        if self.limits(step).is_some() && report.attempt == record.attempt {
            // It stood in line, and is there: nobody knows whether it was granted.
            out.effects.push(Effect::Hold(AttemptRef { step, attempt: report.attempt }));
        }
        if let Some(cause) = unwanted {
            self.give_up(step, Reason::RunStopped(cause), out);
        }
        for item in begun {
            self.release_item(item, now, out);
        }
    }

    fn started(
        &mut self,
        step: StepIndex,
        state: StepState,
        at: Option<Timestamp>,
        now: Timestamp,
        out: &mut Output,
    ) {
        let record = self.steps[step.at()];
        // States are in the order an attempt goes through them: a later report may have overtaken this one.
        if record.state < state {
            // Clocks of several machines differ: what came after the order is not dated before it, nor in the future.
            let started_at = at.unwrap_or(now).clamp(record.queued_at.min(now), now);
            let new = StepRecord { state, started_at, ..record };
            self.set(step, new, out);
        }
    }
}
