//! One acknowledged subject: a queue whose messages stay until they are acknowledged.
//!
//! A message is in exactly one of three places: ready, delayed, or taken by a consumer. What is given back takes its
//! old place among the ready ones, before all that was published after it.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, Semaphore, TryAcquireError},
    time::Instant,
};

use super::lock;
use crate::{BusError, Consumer, Delivery, Message, Receipt, Settle};

#[derive(Debug)]
pub(super) struct Queue {
    contents: Mutex<Contents>,
    /// Told when a message becomes ready, and all are told when the next time to look changes.
    ready: Notify,
    /// One permit for each message that may still be put in.
    room: Semaphore,
    next_consumer: AtomicU64,
}

#[derive(Debug, Default)]
struct Contents {
    next_sequence: u64,
    /// By ascending sequence.
    ready: VecDeque<Held>,
    delayed: BTreeMap<(Instant, u64), Held>,
    taken: BTreeMap<u64, Taken>,
}

#[derive(Debug)]
struct Held {
    sequence: u64,
    /// How often it was delivered so far.
    deliveries: u32,
    message: Message,
}

#[derive(Debug)]
struct Taken {
    consumer: u64,
    held: Held,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            contents: Mutex::default(),
            ready: Notify::new(),
            room: Semaphore::new(capacity.min(Semaphore::MAX_PERMITS)),
            next_consumer: AtomicU64::new(0),
        }
    }

    /// Puts a message at the end, as soon as there is room.
    pub(super) async fn put(&self, message: Message) -> Result<(), BusError> {
        let room =
            self.room.acquire().await.map_err(|_| BusError::Unavailable("it was closed".into()))?;
        room.forget();
        lock(&self.contents).append(message);
        self.ready.notify_one();
        Ok(())
    }

    /// Puts a message at the end at once, where there is room.
    pub(super) fn put_where_there_is_room(&self, message: Message) -> Result<(), TryAcquireError> {
        self.room.try_acquire()?.forget();
        lock(&self.contents).append(message);
        self.ready.notify_one();
        Ok(())
    }

    /// Puts a message at the end at once; where there is no room, the oldest one makes it.
    pub(super) fn put_over_the_oldest(&self, message: Message) {
        let mut contents = lock(&self.contents);
        match self.room.try_acquire() {
            Ok(room) => room.forget(),
            Err(_full) => contents.drop_oldest(),
        }
        contents.append(message);
        drop(contents);
        self.ready.notify_one();
    }

    /// Takes what is ready, or tells when the next message will be, if that is known.
    fn take(
        self: &Arc<Self>,
        consumer: u64,
        limit: usize,
    ) -> Result<Vec<Delivery>, Option<Instant>> {
        let mut contents = lock(&self.contents);
        contents.end_delays(Instant::now());
        if contents.ready.is_empty() {
            return Err(contents.delayed.first_key_value().map(|((due, _), _)| *due));
        }
        let count = limit.min(contents.ready.len());
        let deliveries = (0..count).map_while(|_| self.deliver(&mut contents, consumer)).collect();
        let more = !contents.ready.is_empty();
        drop(contents);
        if more {
            // One notification may have stood for many messages: it is passed on.
            self.ready.notify_one();
        }
        Ok(deliveries)
    }

    fn deliver(self: &Arc<Self>, contents: &mut Contents, consumer: u64) -> Option<Delivery> {
        let mut held = contents.ready.pop_front()?;
        held.deliveries = held.deliveries.saturating_add(1);
        let Message { payload, headers } = held.message.clone();
        let delivery = Delivery {
            payload,
            headers,
            deliveries: held.deliveries,
            receipt: Receipt::new(QueueReceipt {
                queue: Arc::clone(self),
                sequence: held.sequence,
                deliveries: held.deliveries,
            }),
        };
        contents.taken.insert(held.sequence, Taken { consumer, held });
        Some(delivery)
    }

    fn give_back(&self, sequence: u64, deliveries: u32) {
        let mut contents = lock(&self.contents);
        let Some(held) = contents.claim(sequence, deliveries) else {
            return;
        };
        contents.make_ready(held);
        drop(contents);
        self.ready.notify_one();
    }

    fn give_back_all_of(&self, consumer: u64) {
        let mut contents = lock(&self.contents);
        let taken: Vec<_> =
            contents.taken.extract_if(.., |_, taken| taken.consumer == consumer).collect();
        for (_, Taken { held, .. }) in taken {
            contents.make_ready(held);
        }
        drop(contents);
        self.ready.notify_one();
    }
}

impl Contents {
    fn append(&mut self, message: Message) {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.ready.push_back(Held { sequence, deliveries: 0, message });
    }

    /// Drops one of the oldest messages: of those that nobody has if there is any. One that was taken cannot be given back then.
    fn drop_oldest(&mut self) {
        if self.ready.pop_front().is_none() && self.delayed.pop_first().is_none() {
            self.taken.pop_first();
        }
    }

    /// Takes a message out of the hands of its consumer, unless it was given back since and may be somebody else's now.
    fn claim(&mut self, sequence: u64, deliveries: u32) -> Option<Held> {
        self.taken.get(&sequence).filter(|taken| taken.held.deliveries == deliveries)?;
        self.taken.remove(&sequence).map(|taken| taken.held)
    }

    /// Puts a message where its sequence belongs: near the front, since what is given back is among the oldest.
    fn make_ready(&mut self, held: Held) {
        let place = self.ready.partition_point(|other| other.sequence < held.sequence);
        self.ready.insert(place, held);
    }

    fn end_delays(&mut self, now: Instant) {
        while let Some(entry) = self.delayed.first_entry().filter(|entry| entry.key().0 <= now) {
            let held = entry.remove();
            self.make_ready(held);
        }
    }
}

#[derive(Debug)]
pub(super) struct QueueConsumer {
    queue: Arc<Queue>,
    id: u64,
}

impl QueueConsumer {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        let id = queue.next_consumer.fetch_add(1, Ordering::Relaxed);
        Self { queue, id }
    }
}

#[async_trait]
impl Consumer for QueueConsumer {
    async fn fetch(&mut self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        loop {
            // Made before the look, so that nothing that happens after the look is missed.
            let mut told = pin!(self.queue.ready.notified());
            told.as_mut().enable();
            match self.queue.take(self.id, limit) {
                Ok(deliveries) => return Ok(deliveries),
                Err(Some(due)) => {
                    let _ = tokio::time::timeout_at(due, told).await;
                }
                Err(None) => told.await,
            }
        }
    }
}

impl Drop for QueueConsumer {
    fn drop(&mut self) {
        self.queue.give_back_all_of(self.id);
    }
}

/// Settles one delivery of one message. Says nothing any more once the message was given back by its consumer's end.
#[derive(Debug)]
struct QueueReceipt {
    queue: Arc<Queue>,
    sequence: u64,
    deliveries: u32,
}

#[async_trait]
impl Settle for QueueReceipt {
    async fn ack(self: Box<Self>) -> Result<(), BusError> {
        let mut contents = lock(&self.queue.contents);
        if contents.claim(self.sequence, self.deliveries).is_some() {
            // Under the lock: whoever holds it and finds no room finds a message to drop.
            self.queue.room.add_permits(1);
        }
        Ok(())
    }

    async fn nak(self: Box<Self>, delay: Duration) -> Result<(), BusError> {
        let now = Instant::now();
        let due = now.checked_add(delay).unwrap_or(now + Duration::from_hours(24 * 365));
        let mut contents = lock(&self.queue.contents);
        if let Some(held) = contents.claim(self.sequence, self.deliveries) {
            contents.delayed.insert((due, held.sequence), held);
        }
        drop(contents);
        // Every waiting consumer keeps its own time, so that none depends on another one's life.
        self.queue.ready.notify_waiters();
        Ok(())
    }

    /// There is no time by which a message must be acknowledged.
    async fn progress(&self) -> Result<(), BusError> {
        Ok(())
    }
}

impl Drop for QueueReceipt {
    /// After `ack` or `nak` the message is no longer this receipt's, and nothing happens here.
    fn drop(&mut self) {
        self.queue.give_back(self.sequence, self.deliveries);
    }
}
