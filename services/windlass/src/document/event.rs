//! What happens in a run, one line of JSON each, told apart by `type`.

use serde::Serialize;
use windlass_client::v1;

use super::{RunDocument, StepDocument};
use crate::render::{time::rfc3339, words};

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum EventDocument {
    /// The run is in another state than before.
    Run {
        /// As it is now.
        run: Box<RunDocument>,
    },
    /// A step is other than before.
    Step {
        /// As it is now.
        step: Box<StepDocument>,
    },
    /// A step wrote a line.
    Log {
        /// The line.
        line: LogDocument,
    },
    /// The run has ended; always the last.
    End {
        /// As it ended.
        run: Box<RunDocument>,
    },
}

#[derive(Debug, Serialize)]
pub(crate) struct LogDocument {
    step: String,
    attempt: u32,
    sequence: u64,
    time: Option<String>,
    /// `stdout`, `stderr` or `system`.
    stream: String,
    /// Bytes that are not UTF-8 are replaced; `windlass logs --download` has them as they were.
    text: String,
    /// The line goes on in the next one of the same stream.
    partial: bool,
}

impl From<&v1::LogLine> for LogDocument {
    fn from(line: &v1::LogLine) -> Self {
        Self {
            step: line.step.clone(),
            attempt: line.attempt,
            sequence: line.sequence,
            time: rfc3339(line.time),
            stream: words::log_stream(line.stream()),
            text: String::from_utf8_lossy(&line.content).into_owned(),
            partial: line.partial,
        }
    }
}
