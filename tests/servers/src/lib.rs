//! Real servers for tests: each on a free port of 127.0.0.1 with a directory of its own, ended when it is dropped and when
//! the process of the test ends, however that happens. And what befalls servers: kills, restarts, pauses, partitions.
//!
//! The programs are found in the environment, in `PATH`, or where `tests/servers/install` puts them; see [`Program`].
//! Everything in here panics where it does not work: a test without its server is a test that failed.

mod certificates;
mod gate;
mod kubernetes;
mod nats;
mod process;
mod program;
mod redis;

pub use certificates::Certificates;
pub use gate::TcpGate;
pub use kubernetes::{
    Call, Calls, FakeNodes, Fault, Kubernetes, KubernetesGate, RealNode, Rule, StartedAttempt, Verb,
};
pub use nats::{NatsBuilder, NatsServer};
pub use process::processor_seconds;
pub use program::Program;
pub use redis::{RedisBuilder, RedisServer, SavedState};
