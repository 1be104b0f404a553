//! What holds of the subjects that are acknowledged.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::{
    collections::BTreeSet,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::mpsc;
use windlass_proto::subject::Subject;

use super::fixture::{EVENT, Fixture, ack, fetch, fetch_all, fetch_one, number_of, soon, traced};
use crate::{BusError, Message};

/// What is published before anybody consumes is there when somebody does.
pub async fn a_message_waits_for_its_consumer(fixture: Fixture) {
    fixture.publish(EVENT, 1).await;
    let mut consumer = fixture.consume(EVENT).await;
    let delivery = fetch_one(&mut *consumer).await;
    assert_eq!((number_of(&delivery.payload), delivery.deliveries), (1, 1));
}

/// What is done with is gone.
pub async fn an_acknowledged_message_does_not_come_again(fixture: Fixture) {
    let mut consumer = fixture.consume(EVENT).await;
    for number in 0..3 {
        fixture.publish(EVENT, number).await;
        assert_eq!(ack(fetch_one(&mut *consumer).await).await, number);
    }
    drop(consumer);
    fixture.publish(EVENT, 3).await;
    let mut consumer = fixture.consume(EVENT).await;
    assert_eq!(ack(fetch_one(&mut *consumer).await).await, 3);
}

/// What goes with a message comes with it, also when it comes again.
pub async fn headers_come_with_their_message(fixture: Fixture) {
    let headers = traced();
    let message = Message { payload: Bytes::from_static(b"traced"), headers: headers.clone() };
    soon(fixture.bus.publish(EVENT, message)).await.expect("published");
    fixture.publish(EVENT, 1).await;
    let mut consumer = fixture.consume(EVENT).await;
    for _ in 0..2 {
        let deliveries = fetch_all(&mut *consumer, 2).await;
        let traced = deliveries.iter().find(|delivery| delivery.payload == "traced");
        assert_eq!(traced.expect("it is one of the two").headers, headers);
        assert!(deliveries.iter().any(|delivery| delivery.headers.is_empty()));
    }
}

/// Work that goes on leaves the message where it is.
pub async fn progress_neither_acknowledges_nor_gives_back(fixture: Fixture) {
    let mut first = fixture.consume(EVENT).await;
    let mut second = fixture.consume(EVENT).await;
    fixture.publish(EVENT, 1).await;
    let delivery = fetch_one(&mut *first).await;
    soon(delivery.receipt.progress()).await.expect("told");
    fixture.publish(EVENT, 2).await;
    assert_eq!(ack(fetch_one(&mut *second).await).await, 2);
    soon(delivery.receipt.progress()).await.expect("told");
    drop(delivery);
    let again = fetch_one(&mut *second).await;
    assert_eq!((number_of(&again.payload), again.deliveries), (1, 2));
    ack(again).await;
}

/// However many dead letters nobody takes, another one finds its place, and the last one is there.
pub async fn a_dead_letter_never_waits(fixture: Fixture) {
    let letters = fixture.dead_letters * 2;
    for number in 0..letters {
        fixture.publish(Subject::DeadLetter, number).await;
    }
    let mut consumer = fixture.consume(Subject::DeadLetter).await;
    let mut taken = Vec::new();
    while taken.last() != Some(&(letters - 1)) {
        taken.push(ack(fetch_one(&mut *consumer).await).await);
    }
    assert!(taken.len() <= fixture.dead_letters as usize, "{taken:?}");
    assert!(taken.iter().copied().eq(taken[0]..letters), "the oldest were dropped: {taken:?}");
}

/// The order of publication is the order of delivery, while nothing is given back.
pub async fn one_consumer_gets_messages_in_order(fixture: Fixture) {
    let publisher = fixture.publish_all(EVENT, 0..1000);
    let mut consumer = fixture.consume(EVENT).await;
    let mut taken = Vec::new();
    while taken.len() < 1000 {
        for delivery in fetch(&mut *consumer, 64).await {
            taken.push(ack(delivery).await);
        }
    }
    assert!(taken.into_iter().eq(0..1000));
    publisher.await.expect("all were published");
}

/// At most as many as asked for, at once where there are fewer, and nothing where nothing is asked for.
pub async fn a_fetch_takes_what_is_there(fixture: Fixture) {
    let mut consumer = fixture.consume(EVENT).await;
    assert!(fetch(&mut *consumer, 0).await.is_empty());
    for number in 0..5 {
        fixture.publish(EVENT, number).await;
    }
    let mut taken = Vec::new();
    while taken.len() < 5 {
        let deliveries = fetch(&mut *consumer, 3).await;
        assert!((1..=3).contains(&deliveries.len()), "{deliveries:?}");
        for delivery in deliveries {
            taken.push(ack(delivery).await);
        }
    }
    assert_eq!(taken, [0, 1, 2, 3, 4]);
    fixture.publish(EVENT, 5).await;
    assert_eq!(fetch(&mut *consumer, 100).await.len(), 1);
}

/// A delivery that is dropped is delivered again, and says so.
pub async fn a_message_dropped_without_a_word_comes_again(fixture: Fixture) {
    let mut consumer = fixture.consume(EVENT).await;
    fixture.publish(EVENT, 1).await;
    for deliveries in 1..=3 {
        let delivery = fetch_one(&mut *consumer).await;
        assert_eq!((number_of(&delivery.payload), delivery.deliveries), (1, deliveries));
    }
    // The receipt alone is as good as the whole delivery.
    let receipt = fetch_one(&mut *consumer).await.receipt;
    drop(receipt);
    let delivery = fetch_one(&mut *consumer).await;
    assert_eq!(delivery.deliveries, 5);
    ack(delivery).await;
}

/// Others go before it meanwhile, and another consumer may get it.
pub async fn a_message_put_off_comes_again_and_not_before_its_time(fixture: Fixture) {
    const DELAY: Duration = Duration::from_millis(300);
    let mut consumer = fixture.consume(EVENT).await;
    fixture.publish(EVENT, 1).await;
    let delivery = fetch_one(&mut *consumer).await;
    let put_off = Instant::now();
    soon(delivery.receipt.nak(DELAY)).await.expect("put off");
    fixture.publish(EVENT, 2).await;
    assert_eq!(ack(fetch_one(&mut *consumer).await).await, 2);
    let mut other = fixture.consume(EVENT).await;
    let waiting = tokio::spawn(async move { fetch_one(&mut *other).await.deliveries });
    drop(consumer);
    assert_eq!(waiting.await.expect("it came"), 2);
    assert!(put_off.elapsed() >= DELAY, "it came too early");
    // Dropped unacknowledged by the one that got it.
    let mut consumer = fixture.consume(EVENT).await;
    let delivery = fetch_one(&mut *consumer).await;
    soon(delivery.receipt.nak(Duration::ZERO)).await.expect("put off");
    assert_eq!(ack(fetch_one(&mut *consumer).await).await, 1);
}

/// A consumer that ends gives back what it took, even what somebody still holds.
pub async fn what_a_consumer_had_goes_to_another_one(fixture: Fixture) {
    let mut first = fixture.consume(EVENT).await;
    let mut second = fixture.consume(EVENT).await;
    for number in 0..4 {
        fixture.publish(EVENT, number).await;
    }
    let mut held = fetch_all(&mut *first, 4).await;
    assert_eq!(ack(held.remove(1)).await, 1);
    drop(first);
    let mut again = BTreeSet::new();
    for delivery in fetch_all(&mut *second, 3).await {
        assert!(delivery.deliveries > 1);
        again.insert(ack(delivery).await);
    }
    assert_eq!(again, BTreeSet::from([0, 2, 3]));
    // Dropping what is somebody else's by now does not bring it again.
    drop(held);
    fixture.publish(EVENT, 4).await;
    assert_eq!(ack(fetch_one(&mut *second).await).await, 4);
}

/// None is lost, and none comes twice where all are acknowledged.
pub async fn two_consumers_share_the_messages(fixture: Fixture) {
    const MESSAGES: u32 = 500;
    let (sender, mut taken) = mpsc::unbounded_channel();
    let mut consumers = Vec::new();
    for _ in 0..2 {
        let (mut consumer, sender) = (fixture.consume(EVENT).await, sender.clone());
        consumers.push(tokio::spawn(async move {
            while let Ok(deliveries) = consumer.fetch(7).await {
                for delivery in deliveries {
                    let _ = sender.send(ack(delivery).await);
                }
            }
        }));
    }
    let publishers = [
        fixture.publish_all(EVENT, 0..MESSAGES / 2),
        fixture.publish_all(EVENT, MESSAGES / 2..MESSAGES),
    ];
    let mut numbers = BTreeSet::new();
    while numbers.len() < MESSAGES as usize {
        let number = soon(taken.recv()).await.expect("both consume");
        assert!(numbers.insert(number), "{number} came twice");
    }
    for task in publishers {
        task.await.expect("all were published");
    }
    for task in consumers {
        task.abort();
        let _ = task.await;
    }
    assert_eq!(taken.try_recv().ok(), None, "nothing comes after all have come");
}

/// A fetch that is given up takes nothing with it: neither a message, nor the word that there is one.
pub async fn a_given_up_fetch_loses_nothing(fixture: Fixture) {
    let mut consumers = [fixture.consume(EVENT).await, fixture.consume(EVENT).await];
    for number in 0..50 {
        let [given_up, waiting] = &mut consumers;
        let mut given_up = given_up.fetch(2);
        let mut waiting = waiting.fetch(2);
        assert!(
            is_pending(&mut given_up).await && is_pending(&mut waiting).await,
            "nothing is there"
        );
        fixture.publish(EVENT, number).await;
        drop(given_up);
        let mut deliveries = soon(waiting).await.expect("fetched");
        assert_eq!(ack(deliveries.remove(0)).await, number);
        assert!(deliveries.is_empty());
        // The one that gave up may come first the next time.
        consumers.swap(0, number as usize % 2);
    }
}

async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context).is_pending())).await
}

/// What is offered is accepted while there is room, and refused at once where there is none.
pub async fn a_full_subject_refuses_what_is_offered(fixture: Fixture) {
    let offer = async || soon(fixture.bus.offer(EVENT, Bytes::new().into())).await;
    for _ in 0..fixture.capacity {
        offer().await.expect("there is room");
    }
    let refused = offer().await.expect_err("there is no room");
    assert!(matches!(refused, BusError::Full { .. }) && refused.is_retryable(), "{refused}");
    let mut consumer = fixture.consume(EVENT).await;
    let taken = fetch_one(&mut *consumer).await;
    assert!(offer().await.is_err(), "what is taken and not acknowledged takes up room");
    soon(taken.receipt.ack()).await.expect("acknowledged");
    // An implementation may answer an acknowledgement before it has made room.
    soon(async { while offer().await.is_err() {} }).await;
}

/// No more is accepted than there is room for, and all that waited arrives.
pub async fn a_full_subject_holds_its_publishers_back(fixture: Fixture) {
    let messages = fixture.capacity * 3;
    let count = Arc::new(AtomicU32::new(0));
    let publisher = {
        let (fixture, count) = (fixture.clone(), Arc::clone(&count));
        tokio::spawn(async move {
            for number in 0..messages {
                fixture.publish(EVENT, number).await;
                count.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let mut consumer = fixture.consume(EVENT).await;
    for number in 0..messages {
        let delivery = fetch_one(&mut *consumer).await;
        tokio::task::yield_now().await;
        // So many were acknowledged before this one.
        let (accepted, room) = (count.load(Ordering::SeqCst), number + fixture.capacity);
        assert!(accepted <= room, "{accepted} were accepted where {room} have room");
        assert_eq!(ack(delivery).await, number);
    }
    publisher.await.expect("all were published");
}
