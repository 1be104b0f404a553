//! The bus between the services: one trait, its implementations, and the conformance suite that each of them passes.
//!
//! Two kinds of subjects ([`Subject::is_acknowledged`]): on *acknowledged* ones every message is delivered to one consumer of
//! the subject, and again until it is acknowledged; on the others it is handed to all who listen at that moment, or lost.
//!
//! **Invariant:** a bus knows nothing of what its messages say.

pub mod conformance;
mod memory;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_proto::subject::Subject;

pub use memory::{Limits, MemoryBus};

/// The bus between the services.
#[async_trait]
pub trait Bus: Send + Sync + fmt::Debug + 'static {
    /// Sends a message. On an acknowledged subject it is safe once this returns, and waits while the subject is full.
    async fn publish(&self, subject: Subject, payload: Bytes) -> Result<(), BusError>;

    /// Takes part in consuming an acknowledged subject. All consumers of a subject share its messages.
    async fn consume(&self, subject: Subject) -> Result<Box<dyn Consumer>, BusError>;

    /// Listens to a subject that is not acknowledged, from now on.
    async fn listen(&self, subject: Subject) -> Result<Box<dyn Listener>, BusError>;
}

/// One of those who consume a subject. What it has taken and not acknowledged goes back when it is dropped.
#[async_trait]
pub trait Consumer: Send + fmt::Debug {
    /// Waits for messages and takes at most `limit` of them: what is there, without waiting for more. Dropping the future
    /// loses nothing.
    async fn fetch(&mut self, limit: usize) -> Result<Vec<Delivery>, BusError>;
}

/// One of those who hear a subject.
#[async_trait]
pub trait Listener: Send + fmt::Debug {
    /// Waits for the next message.
    async fn next(&mut self) -> Result<Heard, BusError>;
}

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message(Bytes),
    /// Messages were lost: read anew what they spoke of.
    Gap,
}

/// A message taken from an acknowledged subject. Dropping it without a word gives it back at once.
#[derive(Debug)]
pub struct Delivery {
    /// What was sent.
    pub payload: Bytes,
    /// How often it was delivered, this time included; more than 1 means that somebody took it and did not acknowledge.
    pub deliveries: u32,
    /// Says what became of it.
    pub receipt: Receipt,
}

/// Says what became of a delivery.
#[derive(Debug)]
pub struct Receipt(Box<dyn Settle>);

/// What an implementation does when a delivery is settled.
#[async_trait]
pub trait Settle: Send + Sync + fmt::Debug {
    /// The message is done with.
    async fn ack(self: Box<Self>) -> Result<(), BusError>;

    /// The message is to be delivered again, not before this time has passed.
    async fn nak(self: Box<Self>, delay: Duration) -> Result<(), BusError>;
}

impl Receipt {
    /// Wraps an implementation's own.
    pub fn new(settle: impl Settle + 'static) -> Self {
        Self(Box::new(settle))
    }

    /// Says that the message is done with: its effect is durable.
    pub async fn ack(self) -> Result<(), BusError> {
        self.0.ack().await
    }

    /// Has the message delivered again, not before `delay` has passed.
    pub async fn nak(self, delay: Duration) -> Result<(), BusError> {
        self.0.nak(delay).await
    }
}

/// Why the bus could not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// It cannot be reached: a later try may work.
    #[error("the bus cannot be reached: {0}")]
    Unavailable(String),
    /// The subject is of the other kind.
    #[error(
        "`{subject}` is not a subject to {verb}: this is a defect of Windlass, please report it"
    )]
    WrongKind {
        /// The subject.
        subject: String,
        /// What was asked of it.
        verb: &'static str,
    },
}

impl BusError {
    /// Whether the same call may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::WrongKind { .. } => false,
        }
    }
}
