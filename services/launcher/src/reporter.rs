//! Tells schedulers what a runtime reports: what came in while the message before was on its way goes into the next one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use prost::Message as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use windlass_bus::Bus;
use windlass_proto::{convert, id::RunId, subject::Subject, v1};

use crate::runtime::Report;

/// The most reports of one message: keeps it below the megabyte that buses take.
const MESSAGE_REPORTS: usize = 4096;

/// How long to wait after the bus has failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(250);

/// Publishes reports until `shutdown` or until nobody can report any more.
pub(crate) async fn run(
    mut reports: mpsc::UnboundedReceiver<Report>,
    partitions: u32,
    bus: Arc<dyn Bus>,
    shutdown: CancellationToken,
) {
    let mut batch = Vec::new();
    loop {
        let received = tokio::select! {
            received = reports.recv_many(&mut batch, MESSAGE_REPORTS) => received,
            () = shutdown.cancelled() => return,
        };
        if received == 0 {
            return;
        }
        for (partition, events) in by_partition(batch.drain(..), partitions) {
            let payload = bytes::Bytes::from(events.encode_to_vec());
            // What is not told is asked for again by the schedulers, but late: trying on is worth it.
            while let Err(error) = bus.publish(Subject::Event { partition }, payload.clone()).await
            {
                warn!(partition, %error, "reports wait");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
                    () = shutdown.cancelled() => return,
                }
            }
        }
    }
}

/// One message for each partition; the reports of a run stay in order.
fn by_partition(
    reports: impl Iterator<Item = Report>,
    partitions: u32,
) -> BTreeMap<u32, v1::EventBatch> {
    let mut runs: BTreeMap<RunId, Vec<v1::Event>> = BTreeMap::new();
    for Report { run, report } in reports {
        let report = v1::event::Event::Report(convert::report_to_proto(&report));
        runs.entry(run).or_default().push(v1::Event { event: Some(report) });
    }
    let mut messages: BTreeMap<u32, v1::EventBatch> = BTreeMap::new();
    for (run, events) in runs {
        let run_events = v1::RunEvents { run_id: run.to_string(), events };
        messages.entry(run.partition(partitions)).or_default().runs.push(run_events);
    }
    messages
}
