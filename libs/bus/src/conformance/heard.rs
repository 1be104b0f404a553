//! What holds of the subjects that are not acknowledged, and between subjects.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::time::Duration;

use bytes::Bytes;
use windlass_proto::subject::Subject;

use super::fixture::{EVENT, Fixture, ack, change, fetch_one, hear};
use crate::BusError;

/// Each hears all in order, and nothing from before.
pub async fn every_listener_hears_all_from_then_on(fixture: Fixture) {
    fixture.publish(change(1), 0).await;
    let mut first = fixture.listen(change(1)).await;
    fixture.publish(change(1), 1).await;
    let mut second = fixture.listen(change(1)).await;
    for number in 2..5 {
        fixture.publish(change(1), number).await;
    }
    for number in 1..5 {
        assert_eq!(hear(&mut *first).await, Some(number));
    }
    for number in 2..5 {
        assert_eq!(hear(&mut *second).await, Some(number));
    }
    drop(first);
    fixture.publish(change(1), 5).await;
    assert_eq!(hear(&mut *second).await, Some(5), "the other one's end is not this one's");
}

/// One that is too far behind hears of a gap, and then goes on in order to the last message.
pub async fn a_lagging_listener_is_told(fixture: Fixture) {
    let mut listener = fixture.listen(change(1)).await;
    let last = fixture.backlog * 2;
    for number in 0..=last {
        fixture.publish(change(1), number).await;
    }
    let (mut gaps, mut heard) = (0, Vec::new());
    while heard.last() != Some(&last) {
        match hear(&mut *listener).await {
            Some(number) => heard.push(number),
            None => gaps += 1,
        }
    }
    assert!(gaps > 0, "{heard:?} were heard, and no gap");
    assert!(heard.is_sorted_by(|one, next| one < next), "{heard:?}");
}

/// A message that nobody hears costs its sender nothing.
pub async fn a_message_to_nobody_does_not_wait(fixture: Fixture) {
    for number in 0..fixture.backlog.max(fixture.capacity) * 2 {
        fixture.publish(change(1), number).await;
    }
}

/// Neither kind is taken for the other.
pub async fn a_subject_of_the_other_kind_is_refused(fixture: Fixture) {
    let consumed = fixture.bus.consume(change(1)).await.err();
    assert!(matches!(consumed, Some(BusError::WrongKind { verb: "consume", .. })), "{consumed:?}");
    for subject in [EVENT, Subject::Launch] {
        let heard = fixture.bus.listen(subject).await.err();
        assert!(matches!(heard, Some(BusError::WrongKind { verb: "listen to", .. })), "{heard:?}");
    }
}

/// What is full, held or heard on one subject is nothing to another one.
pub async fn subjects_do_not_disturb_each_other(fixture: Fixture) {
    for number in 0..fixture.capacity {
        fixture.publish(EVENT, number).await;
    }
    let one_more = fixture.bus.publish(EVENT, Bytes::new());
    let waits = tokio::time::timeout(Duration::from_millis(50), one_more).await.is_err();
    assert!(waits, "it is full, and nobody consumes it");
    let mut listener = fixture.listen(change(1)).await;
    fixture.publish(change(2), 2).await;
    fixture.publish(change(1), 1).await;
    assert_eq!(hear(&mut *listener).await, Some(1));
    let others = (1..20).map(|partition| Subject::Event { partition }).chain([Subject::Launch]);
    let mut consumers = Vec::new();
    for (number, subject) in (1000..).zip(others) {
        fixture.publish(subject, number).await;
        consumers.push((number, fixture.consume(subject).await));
    }
    for (number, mut consumer) in consumers {
        assert_eq!(ack(fetch_one(&mut *consumer).await).await, number);
    }
    let mut consumer = fixture.consume(EVENT).await;
    assert_eq!(ack(fetch_one(&mut *consumer).await).await, 0);
}
