//! The bus over NATS: acknowledged subjects are kept in streams of JetStream, the others are told to whoever has subscribed.
//!
//! - A subject's messages are in one of three streams ([`shape`]), and all its consumers share one durable consumer there.
//! - A message is published under an id of its own until the stream has acknowledged it ([`publish`]).
//! - A consumer asks for messages while a fetch waits for them ([`pull`]), and keeps what is fetched and not settled on its
//!   desk ([`desk`]), to give it back when it ends.
//! - Everything is made anew when the servers have lost it: publishing makes the streams, and a fetch fails so that its
//!   caller consumes again, which makes stream and consumer.

mod config;
mod desk;
mod error;
mod header;
mod link;
mod listen;
mod publish;
mod pull;
mod shape;

use std::{fmt, sync::Arc, time::Duration};

use async_nats::jetstream::stream;
use async_trait::async_trait;
use windlass_proto::subject::Subject;

use crate::{Bus, BusError, Consumer, Listener, Message};
pub use config::{
    ClientCertificate, Credentials, JetStreamConfig, SecretString, Storage, StreamLimits, Streams,
    Tls,
};
pub use error::{ConnectError, ShapeError};
use link::Link;
use listen::SubscribedListener;
use publish::WhenFull;
use pull::PullConsumer;
use shape::{StreamKind, ensure_stream};

/// How long the servers may take to say that they are there.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// The bus over NATS `JetStream`. Cloning it is cheap, and the clones share one connection.
#[derive(Clone)]
pub struct JetStreamBus {
    link: Arc<Link>,
}

impl JetStreamBus {
    /// Connects, and sees to it that the streams are there and as they must be.
    ///
    /// From then on the connection is made again whenever it is lost, for ever.
    pub async fn connect(config: JetStreamConfig) -> Result<Self, ConnectError> {
        let link = Link::connect(config).await?;
        for kind in StreamKind::ALL {
            ensure_stream(&link, kind).await?;
        }
        Ok(Self { link: Arc::new(link) })
    }
}

#[async_trait]
impl Bus for JetStreamBus {
    async fn publish(&self, subject: Subject, message: Message) -> Result<(), BusError> {
        match StreamKind::of(subject) {
            Some(kind) => publish::keep(&self.link, subject, kind, message, WhenFull::Wait).await,
            None => publish::tell(&self.link, subject, message).await,
        }
    }

    async fn offer(&self, subject: Subject, message: Message) -> Result<(), BusError> {
        match StreamKind::of(subject) {
            Some(kind) => publish::keep(&self.link, subject, kind, message, WhenFull::Refuse).await,
            None => publish::tell(&self.link, subject, message).await,
        }
    }

    async fn consume(&self, subject: Subject) -> Result<Box<dyn Consumer>, BusError> {
        let Some(kind) = StreamKind::of(subject) else {
            return Err(BusError::WrongKind { subject: subject.to_string(), verb: "consume" });
        };
        Ok(Box::new(PullConsumer::new(Arc::clone(&self.link), subject, kind).await?))
    }

    async fn listen(&self, subject: Subject) -> Result<Box<dyn Listener>, BusError> {
        if StreamKind::of(subject).is_some() {
            return Err(BusError::WrongKind { subject: subject.to_string(), verb: "listen to" });
        }
        Ok(Box::new(SubscribedListener::new(Arc::clone(&self.link), subject).await?))
    }

    /// Asks JetStream for one of the streams; that it is missing is no harm, since publishing makes it.
    async fn check(&self) -> Result<(), BusError> {
        let link = &*self.link;
        if !link.is_connected() {
            return Err(link.not_connected());
        }
        let name = StreamKind::Event.name(&link.config.prefix);
        let request = format!("STREAM.INFO.{name}");
        let answer = link.ask::<stream::Info>(&request, &());
        match tokio::time::timeout(CHECK_TIMEOUT, answer).await {
            Ok(Err(error)) if !error.is_not_found() => {
                Err(error.about(&format!("stream {name}"), &link.config).into())
            }
            Ok(_) => Ok(()),
            Err(_) => Err(BusError::Unavailable("NATS does not answer in time".into())),
        }
    }
}

impl fmt::Debug for JetStreamBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamBus").field("config", &self.link.config).finish_non_exhaustive()
    }
}
