//! Records that are refused for a reason that will not change. They are put where an operator finds them, counted, and named in
//! the log; the run they belong to fails, since it would wait for ever for what they told.
//!
//! **Invariant:** a server that is away never makes poison, and neither does a record of a kind that a newer program knows.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use prost::Message as _;
use tracing::error;
use windlass_bus::{Bus, BusError};
use windlass_engine::time::Timestamp;
use windlass_proto::{id::RunId, subject::Subject, v1};

/// The most bytes of a record that are kept.
const RECORD_BYTES: usize = 64 << 10;

/// A record that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The run it speaks of, where that could be read.
    pub(crate) run: Option<RunId>,
    /// Why.
    pub(crate) reason: String,
    /// The record as it came.
    pub(crate) record: Bytes,
}

impl Refused {
    /// What the run is told that fails because of it.
    pub(crate) fn defect(&self) -> Arc<str> {
        format!(
            "a record about the run was refused for good: {}; it is kept on `{}`",
            self.reason,
            Subject::DeadLetter
        )
        .into()
    }
}

/// Where refused records go.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    bus: Arc<dyn Bus>,
    count: AtomicU64,
}

impl DeadLetters {
    pub(crate) fn new(bus: Arc<dyn Bus>) -> Self {
        Self { bus, count: AtomicU64::new(0) }
    }

    /// Keeps a record that came on a subject.
    pub(crate) async fn keep(
        &self,
        from: Subject,
        refused: Refused,
        now: Timestamp,
    ) -> Result<(), BusError> {
        let Refused { run, reason, record } = refused;
        let run_id = run.map(|run| run.to_string()).unwrap_or_default();
        let letter = v1::DeadLetter {
            subject: from.to_string(),
            run_id: run_id.clone(),
            reason: reason.clone(),
            record: record.slice(..record.len().min(RECORD_BYTES)),
            time_ms: i64::try_from(now.0).unwrap_or(i64::MAX),
        };
        self.bus.publish(Subject::DeadLetter, Bytes::from(letter.encode_to_vec()).into()).await?;
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        error!(subject = %from, run = run_id, reason, bytes = record.len(), count, "a record was refused for good");
        Ok(())
    }
}
