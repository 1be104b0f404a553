//! The bus between the services: one trait, its implementations, and the conformance suite that each of them passes.
//!
//! Two kinds of subjects ([`Subject::is_acknowledged`]): on *acknowledged* ones every message is delivered to one consumer of
//! the subject, and again until it is acknowledged; on the others it is handed to all who listen at that moment, or lost.
//!
//! **Invariant:** a bus knows nothing of what its messages say.

pub mod conformance;
mod hold;
pub mod jetstream;
mod memory;
mod message;

use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_proto::subject::Subject;

pub use hold::hold;
pub use jetstream::{JetStreamBus, JetStreamConfig};
pub use memory::{Limits, MemoryBus};
pub use message::{Headers, InvalidHeader, Message};

/// The bus between the services.
#[async_trait]
pub trait Bus: Send + Sync + fmt::Debug + 'static {
    /// Sends a message. On an acknowledged subject it is safe once this returns. While the subject is full this waits, and
    /// where it stays full for long, an implementation may answer [`BusError::Full`]; a subject that drops its oldest
    /// messages ([`Subject::DeadLetter`]) is never full. After an error the message may have been sent all the same.
    async fn publish(&self, subject: Subject, message: Message) -> Result<(), BusError>;

    /// Sends a message as [`Bus::publish`] does, but never waits for room: a full subject is [`BusError::Full`]. For whoever
    /// has to make progress so that there is room again.
    async fn offer(&self, subject: Subject, message: Message) -> Result<(), BusError>;

    /// Takes part in consuming an acknowledged subject. All consumers of a subject share its messages.
    async fn consume(&self, subject: Subject) -> Result<Box<dyn Consumer>, BusError>;

    /// Listens to a subject that is not acknowledged, from now on.
    async fn listen(&self, subject: Subject) -> Result<Box<dyn Listener>, BusError>;

    /// Whether the bus is reached now, and takes messages: asks it, and waits for its answer for a short time only.
    async fn check(&self) -> Result<(), BusError>;
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
    Message(Message),
    /// Messages were lost: read anew what they spoke of.
    Gap,
}

/// A message taken from an acknowledged subject. Dropping it without a word gives it back at once.
#[derive(Debug)]
pub struct Delivery {
    /// What was sent.
    pub payload: Bytes,
    /// What was sent with it.
    pub headers: Headers,
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

    /// The work on the message goes on.
    async fn progress(&self) -> Result<(), BusError>;
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

    /// Says that the work on the message goes on: the time by which it must be acknowledged starts anew, where there is one.
    pub async fn progress(&self) -> Result<(), BusError> {
        self.0.progress().await
    }
}

/// Why the bus could not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// It cannot be reached: a later try may work.
    #[error("the bus cannot be reached: {0}")]
    Unavailable(String),
    /// The subject is full: a later try may work, once something on it was acknowledged.
    #[error("`{subject}` is full: {reason}")]
    Full {
        /// The subject.
        subject: String,
        /// Which limit was reached.
        reason: String,
    },
    /// The message is larger than the bus takes: sending it again is of no use.
    #[error(
        "the message has {bytes} bytes, and the bus takes {limit}: send less at once, or raise `max_payload` of the NATS servers"
    )]
    TooLarge {
        /// The size of the message, in bytes, its headers included.
        bytes: usize,
        /// The most that is taken.
        limit: usize,
    },
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
            Self::Unavailable(_) | Self::Full { .. } => true,
            Self::TooLarge { .. } | Self::WrongKind { .. } => false,
        }
    }
}
