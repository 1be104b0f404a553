//! Servers that are killed, restarted, emptied, parted from, and full.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use windlass_bus::{Bus as _, BusError, Heard, jetstream::Streams};
use windlass_proto::subject::{ClusterToken, Subject};
use windlass_servers::{NatsServer, TcpGate};

use crate::fixture::{
    EVENT, PATIENCE, ack, config, connect, drain, fetch_one, number, publish, soon, until_ok,
};

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed_and_all_goes_on() {
    let server = NatsServer::start().await;
    let bus = connect(config(&server)).await;
    for number in 0..100 {
        publish(&bus, number).await.unwrap();
    }
    let mut consumer = bus.consume(EVENT).await.unwrap();
    let taken = ack(fetch_one(&mut *consumer).await).await;
    assert_eq!(taken, 0);
    let held = fetch_one(&mut *consumer).await;
    // Taken by the server before it is killed.
    until_ok(async || bus.check().await).await;
    server.kill();
    until_ok(async || match bus.check().await {
        Ok(()) => Err("it is still reached"),
        Err(_) => Ok(()),
    })
    .await;
    tokio::join!(server.start_again(), until_ok(async || publish(&bus, 100).await));
    assert_eq!(number(&held), 1);
    ack(held).await;
    let rest = async {
        let mut numbers = BTreeSet::new();
        while numbers.len() < 99 {
            match consumer.fetch(64).await {
                Ok(deliveries) => {
                    for delivery in deliveries {
                        numbers.insert(ack(delivery).await);
                    }
                }
                Err(error) => {
                    assert!(error.is_retryable(), "{error}");
                    consumer = until_ok(async || bus.consume(EVENT).await).await;
                }
            }
        }
        numbers
    };
    let mut rest = soon(rest).await;
    // Its acknowledgement may have been given to the server that was killed.
    rest.remove(&1);
    assert!(rest.into_iter().eq(2..=100));
}

#[tokio::test]
async fn a_server_that_lost_everything_is_made_up_again() {
    let server = NatsServer::start().await;
    let bus = connect(config(&server)).await;
    let mut consumer = bus.consume(EVENT).await.unwrap();
    publish(&bus, 1).await.unwrap();
    let held = fetch_one(&mut *consumer).await;
    server.wipe().await;
    let failed = tokio::time::timeout(PATIENCE, consumer.fetch(1)).await.expect("it answers");
    let failed = failed.expect_err("its consumer is gone");
    assert!(failed.is_retryable(), "{failed}");
    until_ok(async || publish(&bus, 2).await).await;
    // What it was is nothing to the new one.
    held.receipt.ack().await.unwrap();
    drop(consumer);
    assert_eq!(drain(&bus, 1).await, BTreeSet::from([2]));
    for subject in [Subject::Launch { cluster: ClusterToken::DEFAULT }, Subject::DeadLetter] {
        soon(bus.publish(subject, Bytes::new().into())).await.unwrap();
    }
    assert_eq!(bus.check().await, Ok(()));
}

#[tokio::test]
async fn publishing_to_a_full_subject_ends_and_says_so() {
    let server = NatsServer::shared().await;
    let mut config = config(&server);
    config.streams = Streams { subject_messages: 3, ..config.streams };
    config.publish_timeout = Duration::from_millis(300);
    let bus = connect(config).await;
    for number in 0..3 {
        publish(&bus, number).await.unwrap();
    }
    let refused = publish(&bus, 3).await.unwrap_err();
    let BusError::Full { reason, .. } = &refused else { panic!("{refused}") };
    assert!(reason.contains("maximum messages per subject exceeded"), "{reason}");
    let mut consumer = bus.consume(EVENT).await.unwrap();
    let waiting = until_ok(async || publish(&bus, 4).await);
    let ((), first) = tokio::join!(waiting, async { ack(fetch_one(&mut *consumer).await).await });
    assert_eq!(first, 0);
    let rest = async {
        let mut rest = Vec::new();
        while rest.len() < 3 {
            rest.push(ack(fetch_one(&mut *consumer).await).await);
        }
        rest
    };
    assert_eq!(
        rest.await,
        [1, 2, 4],
        "what was refused was not kept, and what waited is there once"
    );
}

#[tokio::test]
async fn a_full_stream_says_so() {
    let server = NatsServer::shared().await;
    let mut config = config(&server);
    config.streams.event.max_bytes = 10_000;
    config.publish_timeout = Duration::from_millis(300);
    let bus = connect(config).await;
    let refused = loop {
        if let Err(error) = bus.publish(EVENT, vec![0; 1000].into()).await {
            break error.to_string();
        }
    };
    assert!(refused.contains("maximum bytes exceeded"), "{refused}");
}

#[tokio::test]
async fn what_was_missed_while_parted_from_the_server_is_told_as_a_gap() {
    let server = NatsServer::start().await;
    let gate = TcpGate::to(server.address()).await;
    let config = config(&server);
    let near = connect(config.clone()).await;
    let mut far_config = config;
    far_config.servers = vec![format!("nats://{}", gate.address())];
    far_config.publish_timeout = Duration::from_millis(300);
    let far = connect(far_config).await;
    let mut listener = far.listen(Subject::Leases).await.unwrap();
    let tell = async |text: &'static str| {
        let message = Bytes::from_static(text.as_bytes()).into();
        near.publish(Subject::Leases, message).await.unwrap();
    };
    tell("before").await;
    assert_eq!(
        soon(listener.next()).await.unwrap(),
        Heard::Message(Bytes::from_static(b"before").into())
    );
    let mut consumer = far.consume(EVENT).await.unwrap();
    gate.cut();
    until_ok(async || far.check().await.err().ok_or("it is still reached")).await;
    let refused = publish(&far, 1).await.unwrap_err();
    assert!(refused.to_string().contains("there is no connection to NATS"), "{refused}");
    tell("missed").await;
    publish(&near, 2).await.unwrap();
    gate.open();
    assert_eq!(soon(listener.next()).await.unwrap(), Heard::Gap);
    tell("after").await;
    assert_eq!(
        soon(listener.next()).await.unwrap(),
        Heard::Message(Bytes::from_static(b"after").into())
    );
    // What could not be sent may arrive after all, as its publisher was told.
    let mut numbers = BTreeSet::new();
    while !numbers.contains(&2) {
        numbers.insert(ack(fetch_one(&mut *consumer).await).await);
    }
    assert!(numbers.is_subset(&BTreeSet::from([1, 2])), "{numbers:?}");
    assert_eq!(far.check().await, Ok(()));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_reached() {
    let server = NatsServer::start().await;
    let bus = connect(config(&server)).await;
    assert_eq!(bus.check().await, Ok(()));
    server.pause();
    let refused = soon(bus.check()).await.unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    server.resume();
    until_ok(async || bus.check().await).await;
}
