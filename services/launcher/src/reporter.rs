//! Tells schedulers what a runtime reports: what came in while the messages before were on their way goes into the next ones.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::future;
use prost::Message as _;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use windlass_bus::{Bus, BusError};
use windlass_proto::{convert, id::RunId, subject::Subject, v1};
use windlass_service::{fail_point, recurring::Recurring};

use crate::runtime::Report;

/// The most reports taken at once.
const REPORTS: usize = 8192;

/// The size, in bytes, at which a message is full; its last report may be larger. Keeps it below the megabyte that buses take.
const MESSAGE_BYTES: usize = 256 << 10;

/// How long to wait after the bus has failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(250);

/// How long a launcher that ends tries to tell what it still knows.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Publishes reports until nobody can report any more, or until `stop`: then what is there is told, and no more.
pub(crate) async fn run(
    mut reports: mpsc::UnboundedReceiver<Report>,
    partitions: u32,
    bus: Arc<dyn Bus>,
    stop: CancellationToken,
) {
    let mut batch = Vec::new();
    loop {
        let received = tokio::select! {
            received = reports.recv_many(&mut batch, REPORTS) => received,
            () = stop.cancelled() => break,
        };
        if received == 0 {
            return;
        }
        tell(&mut batch, partitions, &bus, &stop).await;
    }
    while let Ok(report) = reports.try_recv() {
        batch.push(report);
    }
    let never = CancellationToken::new();
    if timeout(LAST_WORDS, tell(&mut batch, partitions, &bus, &never)).await.is_err() {
        warn!("the last reports were not told; schedulers will ask for them");
    }
}

/// Publishes what is in a batch: partitions beside each other, the messages of one in order.
async fn tell(
    batch: &mut Vec<Report>,
    partitions: u32,
    bus: &Arc<dyn Bus>,
    stop: &CancellationToken,
) {
    let messages = by_partition(batch.drain(..), partitions);
    let told = messages.into_iter().map(|(partition, messages)| {
        publish(Subject::Event { partition }, messages.into(), bus, stop)
    });
    fail_point::reach("launcher.reporting");
    future::join_all(told).await;
    fail_point::reach("launcher.reported");
}

/// Publishes messages in their order. One that finds no room is parted: where there is little, small ones find some.
async fn publish(
    subject: Subject,
    mut messages: VecDeque<v1::EventBatch>,
    bus: &Arc<dyn Bus>,
    stop: &CancellationToken,
) {
    let mut troubles = Recurring::default();
    while let Some(message) = messages.pop_front() {
        let payload = Bytes::from(message.encode_to_vec());
        let Err(error) = bus.publish(subject, payload.into()).await else {
            continue;
        };
        if let Some(untold) = troubles.came(&error.to_string(), Instant::now()) {
            warn!(%subject, %error, untold, "reports wait");
        }
        match error {
            BusError::Full { .. } | BusError::TooLarge { .. } if events(&message) > 1 => {
                let (first, second) = halves(message);
                messages.push_front(second);
                messages.push_front(first);
            }
            // What is not told is asked for again by the schedulers, but late: trying on is worth it.
            error if error.is_retryable() => messages.push_front(message),
            _ => continue,
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn events(message: &v1::EventBatch) -> usize {
    message.runs.iter().map(|run| run.events.len()).sum()
}

/// Parts a message; the events of a run stay in order.
fn halves(mut first: v1::EventBatch) -> (v1::EventBatch, v1::EventBatch) {
    let mut second = v1::EventBatch::default();
    if let [only] = &mut first.runs[..] {
        let events = only.events.split_off(only.events.len() / 2);
        second.runs.push(v1::RunEvents { run_id: only.run_id.clone(), events });
    } else {
        second.runs = first.runs.split_off(first.runs.len() / 2);
    }
    (first, second)
}

/// The messages for each partition; the reports of a run stay in order.
fn by_partition(
    reports: impl Iterator<Item = Report>,
    partitions: u32,
) -> BTreeMap<u32, Vec<v1::EventBatch>> {
    let mut drafts: BTreeMap<u32, Draft> = BTreeMap::new();
    for Report { run, report } in reports {
        drafts.entry(run.partition(partitions)).or_default().add(run, &report);
    }
    drafts.into_iter().map(|(partition, draft)| (partition, draft.messages)).collect()
}

/// Messages of one partition being put together.
#[derive(Debug, Default)]
struct Draft {
    messages: Vec<v1::EventBatch>,
    /// Of the last message.
    bytes: usize,
    /// Where runs are in the last message.
    places: HashMap<RunId, usize>,
}

impl Draft {
    fn add(&mut self, run: RunId, report: &windlass_engine::event::AttemptReport) {
        if self.messages.is_empty() || self.bytes >= MESSAGE_BYTES {
            self.messages.push(v1::EventBatch::default());
            self.bytes = 0;
            self.places.clear();
        }
        let message = self.messages.last_mut().expect("one was pushed where there was none");
        let report = v1::event::Event::Report(convert::report_to_proto(report));
        let event = v1::Event { event: Some(report) };
        self.bytes += event.encoded_len();
        let place = *self.places.entry(run).or_insert_with(|| {
            message.runs.push(v1::RunEvents { run_id: run.to_string(), events: Vec::new() });
            message.runs.len() - 1
        });
        message.runs[place].events.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_engine::{
        event::{AttemptPhase, AttemptReport},
        record::StepIndex,
    };

    #[test]
    fn messages_stay_small_and_the_reports_of_a_run_in_order() {
        let run: RunId = "run_0123456789abcdefghijklmnop".parse().unwrap();
        let outputs = "x".repeat(60 << 10);
        let report = |step| Report {
            run,
            report: AttemptReport {
                step: StepIndex(step),
                attempt: 1,
                phase: AttemptPhase::Succeeded(Some(outputs.as_str().into())),
                created_at: None,
                started_at: None,
                ended_at: None,
            },
        };
        let messages = by_partition((0..20).map(report), 4);
        let [(_, messages)] = &messages.into_iter().collect::<Vec<_>>()[..] else {
            panic!("one run is in one partition")
        };
        assert!(messages.iter().all(|it| it.encoded_len() < MESSAGE_BYTES + (64 << 10)));
        let steps = messages.iter().flat_map(|it| &it.runs).flat_map(|it| &it.events);
        let steps: Vec<u32> = steps
            .map(|event| match &event.event {
                Some(v1::event::Event::Report(report)) => report.step,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(steps, (0..20).collect::<Vec<_>>());
        assert!(messages.len() > 1);
    }

    #[test]
    fn a_message_is_parted_down_to_single_events_and_nothing_is_lost_or_out_of_order() {
        let message = |runs: &[&[u32]]| {
            let report = |&step: &u32| v1::Event {
                event: Some(v1::event::Event::Report(v1::AttemptReport {
                    step,
                    ..Default::default()
                })),
            };
            let runs = runs.iter().enumerate().map(|(run, steps)| v1::RunEvents {
                run_id: run.to_string(),
                events: steps.iter().map(report).collect(),
            });
            v1::EventBatch { runs: runs.collect() }
        };
        let mut parts = VecDeque::from([message(&[&[1, 2, 3], &[4], &[5, 6]])]);
        let mut single = Vec::new();
        while let Some(part) = parts.pop_front() {
            if events(&part) == 1 {
                single.push(part);
                continue;
            }
            let (first, second) = halves(part);
            assert!(events(&first) > 0 && events(&second) > 0);
            parts.push_front(second);
            parts.push_front(first);
        }
        let all: Vec<_> = single.into_iter().flat_map(|it| it.runs).collect();
        let expected = [&[&[1_u32][..]][..], &[&[2]], &[&[3]]].map(message);
        assert_eq!(all[..3], expected.map(|it| it.runs.into_iter().next().unwrap()));
        let runs: Vec<&str> = all.iter().map(|it| &*it.run_id).collect();
        assert_eq!(runs, ["0", "0", "0", "1", "2", "2"]);
    }
}
