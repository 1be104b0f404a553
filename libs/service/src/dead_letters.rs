//! Records that are refused for a reason that will not change. They are put where an operator finds them, counted, and named in
//! the log.
//!
//! **Invariant:** a server that is away never makes a dead letter, and neither does a record of a kind that a newer program
//! knows.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use prost::Message as _;
use tracing::error;
use windlass_bus::{Bus, BusError};
use windlass_proto::{id::RunId, subject::Subject, v1};

/// The most bytes of a record that are kept: a letter about the largest message there can be must itself be sent.
const RECORD_BYTES: usize = 64 << 10;

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The run it speaks of, where that could be read.
    pub run: Option<RunId>,
    /// Why.
    pub reason: String,
    /// The record as it came.
    pub record: Bytes,
}

/// Where refused records go.
#[derive(Debug)]
pub struct DeadLetters {
    bus: Arc<dyn Bus>,
    count: AtomicU64,
}

impl DeadLetters {
    /// Sends them to a bus.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self { bus, count: AtomicU64::new(0) }
    }

    /// Keeps a record that came on a subject, refused at a time in milliseconds since 1970. It is kept once this returns.
    pub async fn keep(&self, from: Subject, refused: Refused, now_ms: u64) -> Result<(), BusError> {
        let Refused { run, reason, record } = refused;
        let run_id = run.map(|run| run.to_string()).unwrap_or_default();
        let letter = v1::DeadLetter {
            subject: from.to_string(),
            run_id: run_id.clone(),
            reason: reason.clone(),
            record: record.slice(..record.len().min(RECORD_BYTES)),
            time_ms: i64::try_from(now_ms).unwrap_or(i64::MAX),
        };
        self.bus.publish(Subject::DeadLetter, Bytes::from(letter.encode_to_vec()).into()).await?;
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        error!(subject = %from, run = run_id, reason, bytes = record.len(), count, "a record was refused for good");
        Ok(())
    }
}
