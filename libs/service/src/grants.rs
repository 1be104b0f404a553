//! How attempts that were granted their limits are told so: through the schedulers of their runs.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use windlass_proto::{subject::Subject, v1};
use windlass_store::Holder;

/// The events that tell grants, one message for each partition that they concern.
pub fn events(granted: &[Holder], partitions: u32) -> Vec<(Subject, Bytes)> {
    let mut by_partition: BTreeMap<u32, Vec<Holder>> = BTreeMap::new();
    for holder in granted {
        by_partition.entry(holder.run.partition(partitions)).or_default().push(*holder);
    }
    let message = |(partition, mut holders): (u32, Vec<Holder>)| {
        holders.sort_unstable();
        let of_runs = holders.chunk_by(|one, next| one.run == next.run);
        let batch = v1::EventBatch { runs: of_runs.map(of_run).collect() };
        (Subject::Event { partition }, batch.encode_to_vec().into())
    };
    by_partition.into_iter().map(message).collect()
}

/// Of holders of one run, of which there is at least one.
fn of_run(holders: &[Holder]) -> v1::RunEvents {
    let granted = holders.iter().map(|holder| v1::Event {
        event: Some(v1::event::Event::LimitsGranted(v1::LimitsGranted {
            step: holder.step.0,
            attempt: holder.attempt,
        })),
    });
    v1::RunEvents { run_id: holders[0].run.to_string(), events: granted.collect() }
}
