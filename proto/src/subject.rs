//! The one place that spells subjects: where on the bus a message travels.

use std::fmt;

use crate::id::RunId;

/// A subject of the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Events of the runs of one partition, to the scheduler that serves it. Acknowledged.
    Event {
        /// The partition.
        partition: u32,
    },
    /// Commands to launchers. Acknowledged.
    Launch,
    /// Changes of one run, to whoever watches it. Not acknowledged.
    Change {
        /// The run.
        run: RunId,
    },
}

impl Subject {
    /// Whether every message is kept until a consumer has acknowledged it.
    pub fn is_acknowledged(self) -> bool {
        match self {
            Self::Event { .. } | Self::Launch => true,
            Self::Change { .. } => false,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { partition } => write!(f, "windlass.event.{partition}"),
            Self::Launch => f.write_str("windlass.launch"),
            Self::Change { run } => write!(f, "windlass.change.{run}"),
        }
    }
}
