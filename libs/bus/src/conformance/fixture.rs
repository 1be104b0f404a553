//! A bus to try, and the messages to try it with: numbers.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::task::JoinHandle;
use windlass_proto::{id::RunId, subject::Subject};

use crate::{Bus, Consumer, Delivery, Headers, Heard, Limits, Listener};

/// How long anything may take that is to happen: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bus to try.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub(super) bus: Arc<dyn Bus>,
    pub(super) capacity: u32,
    pub(super) dead_letters: u32,
    pub(super) backlog: u32,
}

impl Fixture {
    /// Takes a bus that holds nothing, and its limits; a queue holds at least 10 messages. Of the backlog it need only be
    /// true that a listener cannot be further behind.
    ///
    /// # Panics
    ///
    /// If a limit is too small or too large to try.
    pub fn new(bus: impl Bus, limits: Limits) -> Self {
        let number = |count| u32::try_from(count).expect("small enough to be tried");
        assert!(limits.queue >= 10, "a queue of {} is too small for these tests", limits.queue);
        Self {
            bus: Arc::new(bus),
            capacity: number(limits.queue),
            dead_letters: number(limits.dead_letters),
            backlog: number(limits.backlog),
        }
    }

    pub(super) async fn publish(&self, subject: Subject, number: u32) {
        let payload = Bytes::copy_from_slice(&number.to_le_bytes());
        soon(self.bus.publish(subject, payload.into())).await.expect("published");
    }

    /// Publishes numbers in a task of its own, waiting where it must.
    pub(super) fn publish_all(&self, subject: Subject, numbers: Range<u32>) -> JoinHandle<()> {
        let fixture = self.clone();
        tokio::spawn(async move {
            for number in numbers {
                fixture.publish(subject, number).await;
            }
        })
    }

    pub(super) async fn consume(&self, subject: Subject) -> Box<dyn Consumer> {
        soon(self.bus.consume(subject)).await.expect("a consumer")
    }

    pub(super) async fn listen(&self, subject: Subject) -> Box<dyn Listener> {
        soon(self.bus.listen(subject)).await.expect("a listener")
    }
}

/// Waits for what is to happen.
pub(super) async fn soon<T>(happens: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, happens).await.expect("it happens in time")
}

pub(super) async fn fetch(consumer: &mut dyn Consumer, limit: usize) -> Vec<Delivery> {
    soon(consumer.fetch(limit)).await.expect("fetched")
}

/// Takes one message.
pub(super) async fn fetch_one(consumer: &mut dyn Consumer) -> Delivery {
    fetch(consumer, 1).await.pop().expect("a fetch brings something")
}

/// Takes so many messages and acknowledges none.
pub(super) async fn fetch_all(consumer: &mut dyn Consumer, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(fetch(consumer, count - taken.len()).await);
    }
    taken
}

pub(super) async fn ack(delivery: Delivery) -> u32 {
    let number = number_of(&delivery.payload);
    soon(delivery.receipt.ack()).await.expect("acknowledged");
    number
}

pub(super) fn number_of(payload: &Bytes) -> u32 {
    u32::from_le_bytes(payload[..].try_into().expect("a number was sent"))
}

/// Hears a number, or none where there was a gap.
pub(super) async fn hear(listener: &mut dyn Listener) -> Option<u32> {
    match soon(listener.next()).await.expect("something is heard") {
        Heard::Message(message) => Some(number_of(&message.payload)),
        Heard::Gap => None,
    }
}

/// The context of a trace.
pub(super) fn traced() -> Headers {
    let mut headers = Headers::default();
    for (name, value) in [
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("tracestate", "a=1, b=some: thing"),
        ("baggage", ""),
    ] {
        headers.insert(name, value).expect("it can be sent");
    }
    headers
}

/// A subject that is acknowledged.
pub(super) const EVENT: Subject = Subject::Event { partition: 0 };

/// A subject that is not.
pub(super) fn change(number: u32) -> Subject {
    let run: RunId = format!("run_{number:026}").parse().expect("26 digits");
    Subject::Change { run }
}
