//! The one place that spells subjects: where on the bus a message travels.

use std::fmt;

use crate::{
    cluster,
    id::{RunId, stable_hash},
};

/// A subject of the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Events of the runs of one partition, to the scheduler that serves it. Acknowledged.
    Event {
        /// The partition.
        partition: u32,
    },
    /// Commands to create attempts, to whichever launcher of a cluster has room. Acknowledged.
    Launch {
        /// The cluster.
        cluster: ClusterToken,
    },
    /// Commands about attempts that were ordered before, to any launcher, which passes them on to the host that holds the
    /// attempt. Acknowledged. Apart from `Launch`, so that nothing waits for room that frees it.
    Control,
    /// Commands to the launcher of one host. Acknowledged.
    Host {
        /// The host.
        host: HostToken,
    },
    /// Messages that could not be used, for operators to look at. Acknowledged by their tools, and dropped when there are
    /// too many or they are too old: publishing never waits.
    DeadLetter,
    /// Changes of one run, to whoever watches it. Not acknowledged.
    Change {
        /// The run.
        run: RunId,
    },
    /// The bell that a scheduler has given up leases. Not acknowledged.
    Leases,
    /// How much a scheduler has in flight, to the other ones. Not acknowledged.
    Load,
    /// Runs that were removed, to all who keep something of them. Not acknowledged.
    Removal,
    /// What somebody wants to know of attempts that wait, to all launchers of a cluster. Not acknowledged.
    Question {
        /// The cluster.
        cluster: ClusterToken,
    },
    /// What launchers know, to whoever asked that question. Not acknowledged.
    Answer {
        /// The question: a number that was drawn for it.
        question: u64,
    },
}

impl Subject {
    /// Whether a consumer acknowledges what it takes; where none does, a message is told to those who listen.
    pub fn is_acknowledged(self) -> bool {
        match self {
            Self::Event { .. }
            | Self::Launch { .. }
            | Self::Control
            | Self::Host { .. }
            | Self::DeadLetter => true,
            Self::Change { .. }
            | Self::Leases
            | Self::Load
            | Self::Removal
            | Self::Question { .. }
            | Self::Answer { .. } => false,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Event { partition } => write!(f, "windlass.event.{partition}"),
            Self::Launch { cluster } => write!(f, "windlass.launch.{cluster}"),
            Self::Control => f.write_str("windlass.control"),
            Self::Host { host } => write!(f, "windlass.host.{host}"),
            Self::DeadLetter => f.write_str("windlass.dead"),
            Self::Change { run } => write!(f, "windlass.change.{run}"),
            Self::Leases => f.write_str("windlass.leases"),
            Self::Load => f.write_str("windlass.load"),
            Self::Removal => f.write_str("windlass.removal"),
            Self::Question { cluster } => write!(f, "windlass.question.{cluster}"),
            Self::Answer { question } => write!(f, "windlass.answer.{question:016x}"),
        }
    }
}

/// Names a host where its own name cannot stand: a hash of it, the same in every program and for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostToken(pub u64);

impl HostToken {
    /// The token of the host with this name.
    pub fn of(name: &str) -> Self {
        Self(stable_hash(name.as_bytes()))
    }
}

impl fmt::Display for HostToken {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Names a cluster where its own name cannot stand: a hash of it, the same in every program and for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterToken(pub u64);

impl ClusterToken {
    /// The token of the cluster of steps that name none.
    pub const DEFAULT: Self = Self(stable_hash(cluster::DEFAULT.as_bytes()));

    /// The token of the cluster with this name; an empty one means the default.
    pub fn of(name: &str) -> Self {
        Self(stable_hash(cluster::or_default(name).as_bytes()))
    }
}

impl fmt::Display for ClusterToken {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_is_spelled_as_other_programs_know_it() {
        let run = "run_0123456789abcdefghijklmnop".parse().unwrap();
        let host = HostToken::of("node-7.example");
        let spelled = [
            (Subject::Event { partition: 63 }, "windlass.event.63"),
            (
                Subject::Launch { cluster: ClusterToken::DEFAULT },
                "windlass.launch.ebada5168620c5fe",
            ),
            (Subject::Launch { cluster: ClusterToken::of("") }, "windlass.launch.ebada5168620c5fe"),
            (Subject::Launch { cluster: ClusterToken(0xab) }, "windlass.launch.00000000000000ab"),
            (Subject::Control, "windlass.control"),
            (Subject::Host { host }, "windlass.host.51afb76f8af4c635"),
            (Subject::Host { host: HostToken(0xab) }, "windlass.host.00000000000000ab"),
            (Subject::DeadLetter, "windlass.dead"),
            (Subject::Change { run }, "windlass.change.run_0123456789abcdefghijklmnop"),
            (Subject::Leases, "windlass.leases"),
            (Subject::Load, "windlass.load"),
            (Subject::Removal, "windlass.removal"),
            (
                Subject::Question { cluster: ClusterToken(0xab) },
                "windlass.question.00000000000000ab",
            ),
            (Subject::Answer { question: 0xab }, "windlass.answer.00000000000000ab"),
        ];
        for (subject, text) in spelled {
            assert_eq!(subject.to_string(), text);
        }
    }
}
