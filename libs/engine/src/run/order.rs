//! What users ask of a run.

use super::Run;
use crate::{event::Order, output::Output, reason::StopCause, record::RunState, time::Timestamp};

impl Run {
    /// Follows an order; one that makes no sense in the run's present state changes nothing.
    pub(super) fn order(&mut self, order: &Order, now: Timestamp, out: &mut Output) {
        // An order may overtake the news that the run exists.
        self.begin(now, out);
        match order {
            Order::Cancel if !self.record.state.is_final() => {
                self.stop(StopCause::Cancelled, now, out);
            }
            Order::Pause
                if self.record.state == RunState::Running && self.record.paused_at.is_none() =>
            {
                self.record.paused_at = Some(now);
                self.record.launch_generation = self.record.launch_generation.wrapping_add(1);
                self.unblock(now, out);
                out.delta.run = true;
            }
            Order::Resume if self.record.paused_at.is_some() => {
                self.end_pause(now);
                out.delta.run = true;
            }
            Order::Retry { from, changes: _ } if self.may_retry(*from) => {
                self.retry(*from, now, out);
            }
            Order::Decide(decision) => self.decide(decision, now, out),
            Order::Cancel | Order::Pause | Order::Resume | Order::Retry { .. } => {}
        }
    }

    pub(super) fn end_pause(&mut self, now: Timestamp) {
        if let Some(since) = self.record.paused_at.take() {
            self.record.paused_ms = self.record.paused_ms.saturating_add(now.since(since));
        }
    }
}
