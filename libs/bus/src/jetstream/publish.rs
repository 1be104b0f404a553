//! Sending messages.

use std::{error::Error as _, time::Duration};

use async_nats::{
    header::NATS_MESSAGE_ID,
    jetstream::{
        self, ErrorCode,
        context::{PublishError, PublishErrorKind},
        message::PublishMessage,
    },
};
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;
use windlass_proto::subject::Subject;

use super::{
    header,
    link::Link,
    shape::{StreamKind, ensure_stream},
};
use crate::{BusError, Message};

/// How long one attempt may take before the publication is repeated: it may have been lost with its connection.
const ATTEMPT: Duration = Duration::from_secs(2);

/// How long to wait before the first repeat; twice as long before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest time between two repeats.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// What to do while a stream takes nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenFull {
    Wait,
    Refuse,
}

/// Why an attempt failed.
#[derive(Debug)]
enum Refusal {
    /// A repeat may work once somebody has acknowledged something.
    Full(String),
    /// A repeat may work once the server is well again.
    NotNow(String),
    /// There is no such stream.
    NoStream,
    /// No answer came.
    Silence,
}

/// Publishes to a stream, and waits until the message is safe in it.
pub(super) async fn keep(
    link: &Link,
    subject: Subject,
    kind: StreamKind,
    message: Message,
    when_full: WhenFull,
) -> Result<(), BusError> {
    let id = Uuid::new_v4().simple().to_string();
    header::check_size(&message, id.len(), link.client.max_payload())?;
    let subject = link.spell(subject);
    let mut headers = header::to_nats(&message.headers);
    // Names this publication, so that its repeats are dropped where it had arrived.
    headers.insert(NATS_MESSAGE_ID, id);
    let publication = PublishMessage::build().payload(message.payload).headers(headers);
    let deadline = Instant::now() + link.config.publish_timeout;
    let mut pause = FIRST_PAUSE;
    loop {
        let refusal = match attempt(link, &subject, publication.clone(), deadline).await {
            Ok(()) => return Ok(()),
            Err(refusal) => refusal,
        };
        let reason = match refusal {
            Refusal::Full(reason) => {
                let over = Instant::now() + pause >= deadline;
                if over || when_full == WhenFull::Refuse {
                    return Err(BusError::Full { subject, reason });
                }
                reason
            }
            Refusal::NotNow(reason) => reason,
            Refusal::NoStream => match ensure_stream(link, kind).await {
                Ok(()) => "its stream was missing".into(),
                Err(error) => error.to_string(),
            },
            Refusal::Silence => match link.denial(&subject) {
                Some(reason) => return Err(unavailable(&subject, &reason)),
                None if link.is_connected() => "no acknowledgement came".into(),
                None => link.not_connected().to_string(),
            },
        };
        let again = Instant::now() + pause;
        if again >= deadline {
            return Err(unavailable(&subject, &reason));
        }
        sleep_until(again).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

async fn attempt(
    link: &Link,
    subject: &str,
    publication: PublishMessage,
    deadline: Instant,
) -> Result<(), Refusal> {
    let limit = deadline.min(Instant::now() + ATTEMPT);
    let published =
        async { link.context.send_publish(subject.to_owned(), publication).await?.await };
    match timeout_at(limit, published).await {
        Ok(Ok(_ack)) => Ok(()),
        Ok(Err(error)) => Err(refusal(&error)),
        Err(_) => Err(Refusal::Silence),
    }
}

fn refusal(error: &PublishError) -> Refusal {
    match error.kind() {
        PublishErrorKind::StreamNotFound => Refusal::NoStream,
        PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => Refusal::Silence,
        _ => {
            let source = error.source().and_then(|it| it.downcast_ref::<jetstream::Error>());
            let words = || source.map_or_else(|| error.to_string(), ToString::to_string);
            match source.map(jetstream::Error::error_code) {
                Some(ErrorCode::STREAM_NOT_FOUND) => Refusal::NoStream,
                // The limits of a stream have one code, and each its words.
                Some(ErrorCode::STREAM_STORE_FAILED) => Refusal::Full(words()),
                // Out of resources, or between two leaders.
                _ => Refusal::NotNow(words()),
            }
        }
    }
}

fn unavailable(subject: &str, reason: &str) -> BusError {
    BusError::Unavailable(format!("`{subject}` takes no message: {reason}"))
}

/// Tells those who listen now.
pub(super) async fn tell(link: &Link, subject: Subject, message: Message) -> Result<(), BusError> {
    header::check_size(&message, 0, link.client.max_payload())?;
    let subject = link.spell(subject);
    let Message { payload, headers } = message;
    let client = &link.client;
    let sent = async {
        if headers.is_empty() {
            client.publish(subject, payload).await
        } else {
            client.publish_with_headers(subject, header::to_nats(&headers), payload).await
        }
    };
    match tokio::time::timeout(link.config.publish_timeout, sent).await {
        Ok(sent) => sent.map_err(|error| BusError::Unavailable(error.to_string())),
        Err(_) => Err(link.not_connected()),
    }
}
