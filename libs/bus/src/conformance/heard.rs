//! What holds of the subjects that are not acknowledged, and between subjects.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::time::Duration;

use bytes::Bytes;
use windlass_proto::subject::{ClusterToken, HostToken, Subject};

use super::fixture::{EVENT, Fixture, ack, change, fetch_one, hear, soon, traced};
use crate::{BusError, Headers, Heard, Message};

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

/// What goes with a message is heard with it.
pub async fn headers_are_heard_with_their_message(fixture: Fixture) {
    let mut listener = fixture.listen(Subject::Leases).await;
    for headers in [traced(), Headers::default()] {
        let message = Message { payload: Bytes::from_static(b"something"), headers };
        soon(fixture.bus.publish(Subject::Leases, message.clone())).await.expect("published");
        let heard = soon(listener.next()).await.expect("something is heard");
        assert_eq!(heard, Heard::Message(message));
    }
}

/// One that is too far behind hears of a gap, and then goes on in order to the last message.
pub async fn a_lagging_listener_is_told(fixture: Fixture) {
    let mut listener = fixture.listen(change(1)).await;
    let (mut next, mut heard) = (0, Vec::new());
    // Messages may be on their way for a while: more are sent until there are too many.
    loop {
        let round = next..next + fixture.backlog * 2;
        next = round.end;
        for number in round {
            fixture.publish(change(1), number).await;
        }
        match hear(&mut *listener).await {
            Some(number) => heard.push(number),
            None => break,
        }
        assert!(heard.len() < 1000, "{next} were sent, few heard, and no gap was told");
    }
    while heard.last() != Some(&(next - 1)) {
        heard.extend(hear(&mut *listener).await);
    }
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
    for subject in [EVENT, launch(1), Subject::Control, host(1), Subject::DeadLetter] {
        let heard = fixture.bus.listen(subject).await.err();
        assert!(matches!(heard, Some(BusError::WrongKind { verb: "listen to", .. })), "{heard:?}");
    }
}

/// What is full, held or heard on one subject is nothing to another one.
pub async fn subjects_do_not_disturb_each_other(fixture: Fixture) {
    for number in 0..fixture.capacity {
        fixture.publish(EVENT, number).await;
    }
    let one_more = fixture.bus.publish(EVENT, Message::default());
    let waits = tokio::time::timeout(Duration::from_millis(50), one_more).await.is_err();
    assert!(waits, "it is full, and nobody consumes it");
    let mut listener = fixture.listen(change(1)).await;
    fixture.publish(change(2), 2).await;
    fixture.publish(change(1), 1).await;
    assert_eq!(hear(&mut *listener).await, Some(1));
    let others = (1..20).map(|partition| Subject::Event { partition });
    let others = others.chain([launch(1), launch(2), Subject::Control, host(1), host(2)]);
    let others = others.chain([Subject::DeadLetter]);
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
    assert_eq!(fixture.bus.check().await, Ok(()), "a bus that does all this is reached");
}

fn launch(number: u64) -> Subject {
    Subject::Launch { cluster: ClusterToken(number) }
}

fn host(number: u64) -> Subject {
    Subject::Host { host: HostToken(number) }
}
