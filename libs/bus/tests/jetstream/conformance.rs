//! The bus over NATS has all properties of a bus.

use windlass_bus::{JetStreamBus, Limits, conformance::Fixture, jetstream::Streams};
use windlass_servers::NatsServer;

use crate::fixture::config;

windlass_bus::conformance_tests!(async || {
    let limits = Limits { queue: 50, dead_letters: 20, backlog: 64 };
    let server = NatsServer::shared().await;
    let mut config = config(&server);
    config.backlog = limits.backlog;
    config.streams = Streams { subject_messages: 50, dead_letters: 20, ..config.streams };
    let bus = JetStreamBus::connect(config).await.expect("connected");
    (server, Fixture::new(bus, limits))
});
