//! When a message comes again, and to whom.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use windlass_bus::{Bus as _, BusError, Heard, Message};
use windlass_proto::subject::Subject;
use windlass_servers::NatsServer;

use crate::fixture::{EVENT, ack, config, connect, fetch_one, number, publish, soon};

#[tokio::test]
async fn a_message_not_acknowledged_in_time_comes_again_and_progress_holds_that_off() {
    const ACK_WAIT: Duration = Duration::from_secs(2);
    let server = NatsServer::shared().await;
    let mut config = config(&server);
    config.ack_wait = ACK_WAIT;
    let bus = connect(config).await;
    let mut consumer = bus.consume(EVENT).await.unwrap();
    publish(&bus, 1).await.unwrap();
    publish(&bus, 2).await.unwrap();
    let idle = fetch_one(&mut *consumer).await;
    let worked_on = fetch_one(&mut *consumer).await;
    assert_eq!((number(&idle), number(&worked_on)), (1, 2));
    let again = async {
        // The second one would come here as well, were it not for the progress.
        let mut seen = Vec::new();
        for _ in 0..3 {
            let delivery = fetch_one(&mut *consumer).await;
            seen.push((number(&delivery), delivery.deliveries));
            // Not settled: it comes again after its time.
            std::mem::forget(delivery.receipt);
        }
        seen
    };
    let progress = async {
        let mut ticks = tokio::time::interval(ACK_WAIT / 8);
        loop {
            ticks.tick().await;
            worked_on.receipt.progress().await.unwrap();
        }
    };
    let seen = tokio::select! {
        seen = again => seen,
        () = progress => unreachable!("it never ends"),
    };
    assert_eq!(seen, [(1, 2), (1, 3), (1, 4)]);
    ack(worked_on).await;
}

#[tokio::test]
async fn two_connections_share_a_subject_and_all_hear_a_bell() {
    let server = NatsServer::shared().await;
    let config = config(&server);
    let (one, other) = (connect(config.clone()).await, connect(config).await);
    let mut first = one.consume(EVENT).await.unwrap();
    let mut second = other.consume(EVENT).await.unwrap();
    let mut bells =
        [one.listen(Subject::Leases).await.unwrap(), other.listen(Subject::Leases).await.unwrap()];
    let bell = Message::from(Bytes::from_static(b"ring"));
    one.publish(Subject::Leases, bell.clone()).await.unwrap();
    for listener in &mut bells {
        assert_eq!(soon(listener.next()).await.unwrap(), Heard::Message(bell.clone()));
    }
    for number in 0..100 {
        publish(&one, number).await.unwrap();
    }
    let mut numbers = BTreeSet::new();
    while numbers.len() < 100 {
        let fetched = tokio::select! {
            fetched = first.fetch(3) => fetched,
            fetched = second.fetch(3) => fetched,
        };
        for delivery in fetched.unwrap() {
            numbers.insert(ack(delivery).await);
        }
    }
    // What one has and gives back, the other one gets.
    publish(&one, 100).await.unwrap();
    drop(fetch_one(&mut *first).await);
    drop(first);
    assert_eq!(ack(fetch_one(&mut *second).await).await, 100);
}

#[tokio::test]
async fn what_comes_for_a_fetch_that_was_given_up_goes_to_others_soon() {
    let server = NatsServer::shared().await;
    let config = config(&server);
    let (one, other) = (connect(config.clone()).await, connect(config).await);
    let mut idle = one.consume(EVENT).await.unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(50), idle.fetch(10)).await;
    assert!(given_up.is_err(), "nothing is there");
    publish(&other, 1).await.unwrap();
    let mut busy = other.consume(EVENT).await.unwrap();
    assert_eq!(ack(fetch_one(&mut *busy).await).await, 1);
    // The next one finds nobody's request but this one's.
    publish(&other, 2).await.unwrap();
    let delivery = fetch_one(&mut *busy).await;
    assert_eq!((number(&delivery), delivery.deliveries), (2, 1));
    drop(idle);
}

#[tokio::test]
async fn a_message_larger_than_the_server_takes_is_refused_for_ever() {
    let server = NatsServer::builder().config("max_payload: 64KB").start().await;
    let bus = connect(config(&server)).await;
    let limit = 64 * 1024;
    for subject in [EVENT, Subject::Leases] {
        let refused = bus.publish(subject, vec![0; limit + 1].into()).await.unwrap_err();
        assert!(
            matches!(refused, BusError::TooLarge { limit: told, .. } if told == limit),
            "{refused}"
        );
        assert!(!refused.is_retryable());
    }
    // The largest that is let through is taken.
    let mut payload = vec![0; limit];
    while let Err(error) = bus.publish(EVENT, payload.clone().into()).await {
        let BusError::TooLarge { bytes, limit } = error else { panic!("{error}") };
        payload.truncate(payload.len() - (bytes - limit));
    }
    let mut consumer = bus.consume(EVENT).await.unwrap();
    assert_eq!(fetch_one(&mut *consumer).await.payload.len(), payload.len());
}
