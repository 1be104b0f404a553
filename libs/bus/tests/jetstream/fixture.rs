//! What the tests share.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, timeout};
use windlass_bus::{Bus, BusError, Consumer, Delivery, JetStreamBus, jetstream::JetStreamConfig};
use windlass_proto::subject::Subject;
use windlass_servers::NatsServer;

/// How long anything may take that is to happen: far longer than it does.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const EVENT: Subject = Subject::Event { partition: 0 };

/// How to reach a server, with a prefix of its own: many tests share one.
pub(crate) fn config(server: &NatsServer) -> JetStreamConfig {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut config = JetStreamConfig::default();
    // The streams of all tests have room on one server.
    config.streams.event.max_bytes = 16 << 20;
    config.streams.launch.max_bytes = 16 << 20;
    config.streams.dead_letter.max_bytes = 1 << 20;
    JetStreamConfig {
        servers: vec![server.url()],
        prefix: format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        ..config
    }
}

pub(crate) async fn connect(config: JetStreamConfig) -> JetStreamBus {
    JetStreamBus::connect(config).await.expect("connected")
}

pub(crate) async fn soon<T>(happens: impl Future<Output = T>) -> T {
    timeout(PATIENCE, happens).await.expect("it happens in time")
}

pub(crate) async fn publish(bus: &JetStreamBus, number: u32) -> Result<(), BusError> {
    soon(bus.publish(EVENT, Bytes::copy_from_slice(&number.to_le_bytes()).into())).await
}

pub(crate) fn number(delivery: &Delivery) -> u32 {
    u32::from_le_bytes(delivery.payload[..].try_into().expect("a number was sent"))
}

pub(crate) async fn fetch_one(consumer: &mut dyn Consumer) -> Delivery {
    soon(consumer.fetch(1)).await.expect("fetched").pop().expect("a fetch brings something")
}

pub(crate) async fn ack(delivery: Delivery) -> u32 {
    let number = number(&delivery);
    delivery.receipt.ack().await.expect("acknowledged");
    number
}

/// Tries until it works.
pub(crate) async fn until_ok<T, E: std::fmt::Display>(
    mut attempt: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(Instant::now() < limit, "it still does not work: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Fetches and acknowledges until so many different numbers have come, consuming anew where that is asked for.
pub(crate) async fn drain(bus: &JetStreamBus, count: usize) -> std::collections::BTreeSet<u32> {
    let mut numbers = std::collections::BTreeSet::new();
    while numbers.len() < count {
        let mut consumer = until_ok(async || bus.consume(EVENT).await).await;
        while let Ok(deliveries) = soon(consumer.fetch(64)).await {
            for delivery in deliveries {
                numbers.insert(ack(delivery).await);
            }
            if numbers.len() >= count {
                break;
            }
        }
    }
    numbers
}
