//! When a turn waits for more reports: a turn and its commit cost as much for one report as for many, and nothing waits for most
//! of the ends in a wide run.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use windlass_bus::{BusError, Consumer, Delivery};
use windlass_engine::event::{AttemptReport, Event};

use crate::{
    cache::Demand,
    inbox::{self, Inbox, RunWork, Work},
    partition::Partition,
};

/// How long reports wait for which nothing waits. Far less than a person sees.
const COMPANY: Duration = Duration::from_millis(50);

/// How many bytes of messages have company enough, and are not looked at again and again.
const ENOUGH: usize = 8 << 10;

impl Partition {
    /// Adds to messages what else comes within a little, until something waits for what they say; not for longer than `until`.
    pub(crate) async fn gather(
        &mut self,
        deliveries: &mut Vec<Delivery>,
        consumer: &mut dyn Consumer,
        until: Instant,
    ) -> Result<(), BusError> {
        let until = until.min(Instant::now() + COMPANY);
        while !self.are_urgent(deliveries) {
            let room = self.config.batch.get().saturating_sub(deliveries.len());
            match timeout_at(until, consumer.fetch(room.max(1))).await {
                Ok(more) => deliveries.extend(more?),
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Whether anything may follow from messages that somebody waits for.
    fn are_urgent(&mut self, deliveries: &[Delivery]) -> bool {
        let bytes: usize = deliveries.iter().map(|delivery| delivery.payload.len()).sum();
        if deliveries.is_empty() || bytes >= ENOUGH {
            return true;
        }
        // What ends makes room for others, and who takes what was ordered is ordered more.
        if self.cache.demands().values().any(Demand::is_hungry) {
            return true;
        }
        let mut work = Work::new();
        for delivery in deliveries {
            let inbox = Inbox::read(&delivery.payload);
            if inbox.newer || !inbox.refused.is_empty() {
                return true;
            }
            inbox::add(&mut work, inbox.work);
        }
        work.into_iter().any(|(id, work)| match (reports(&work), self.cache.get_mut(id)) {
            (Some(reports), Some(cached)) => cached.run.is_urgent(&reports),
            _ => true,
        })
    }
}

/// The reports that a run's work consists of; none where there is anything else.
fn reports(work: &RunWork) -> Option<Vec<&AttemptReport>> {
    if work.orders || work.lines {
        return None;
    }
    work.events
        .iter()
        .map(|event| match event {
            Event::Report(report) => Some(report),
            _ => None,
        })
        .collect()
}
