//! What a consumer has: what has arrived and was not fetched, and what was fetched and is not settled.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::jetstream::AckKind;
use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};

use super::{header, link::Link};
use crate::{BusError, Delivery, Receipt, Settle};

/// Where a message is acknowledged.
pub(super) type Reply = async_nats::Subject;

/// Shared by a consumer, the task that pulls for it, and the receipts of what was fetched.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) link: Arc<Link>,
    contents: Mutex<Contents>,
    /// Told when there is something to fetch.
    pub(super) arrived: Notify,
    /// Told when a fetch begins or is given up, and when the consumer ends.
    pub(super) asked: Notify,
    /// Takes what is to be given back from where nobody can wait.
    returns: mpsc::UnboundedSender<Reply>,
}

#[derive(Debug, Default)]
struct Contents {
    held: VecDeque<Held>,
    /// No more is to be expected for the moment: what is held is all there is.
    complete: bool,
    /// How many a fetch waits for; 0 where none does.
    wanted: usize,
    failed: Option<BusError>,
    /// By the order in which they were fetched.
    outstanding: BTreeMap<u64, Reply>,
    fetched: u64,
    ended: bool,
}

#[derive(Debug)]
struct Held {
    message: async_nats::Message,
    reply: Reply,
    deliveries: u32,
}

/// What a fetch finds.
#[derive(Debug)]
pub(super) enum Found {
    Deliveries(Vec<Delivery>),
    Failure(BusError),
    NotYet,
}

/// What the task that pulls has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wishes {
    /// How many a fetch waits for that nothing was held for; 0 where there is none.
    pub(super) wanted: usize,
    /// Whether something is held and not known to be complete.
    pub(super) incomplete: bool,
    /// Whether something is held that no fetch waits for.
    pub(super) abandoned: bool,
    /// Whether the consumer has ended.
    pub(super) ended: bool,
}

impl Desk {
    pub(super) fn new(link: Arc<Link>) -> (Arc<Self>, mpsc::UnboundedReceiver<Reply>) {
        let (returns, returned) = mpsc::unbounded_channel();
        let contents = Mutex::default();
        let (arrived, asked) = (Notify::new(), Notify::new());
        (Arc::new(Self { link, contents, arrived, asked, returns }), returned)
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fetch begins, or goes on after something arrived.
    pub(super) fn take(self: &Arc<Self>, limit: usize) -> Found {
        let mut contents = self.lock();
        contents.wanted = limit;
        if contents.held.is_empty() {
            return contents.failed.take().map_or(Found::NotYet, Found::Failure);
        }
        if contents.held.len() < limit && !contents.complete {
            return Found::NotYet;
        }
        let count = limit.min(contents.held.len());
        let taken: Vec<Held> = contents.held.drain(..count).collect();
        Found::Deliveries(taken.into_iter().map(|held| self.deliver(&mut contents, held)).collect())
    }

    fn deliver(self: &Arc<Self>, contents: &mut Contents, held: Held) -> Delivery {
        let key = contents.fetched;
        contents.fetched += 1;
        contents.outstanding.insert(key, held.reply);
        Delivery {
            headers: header::from_nats(held.message.headers.as_ref()),
            payload: held.message.payload,
            deliveries: held.deliveries,
            receipt: Receipt::new(DeskReceipt { desk: Arc::clone(self), key }),
        }
    }

    /// A fetch has ended, one way or the other.
    pub(super) fn stop_waiting(&self) {
        self.lock().wanted = 0;
        self.asked.notify_one();
    }

    pub(super) fn wishes(&self) -> Wishes {
        let contents = self.lock();
        let empty = contents.held.is_empty();
        Wishes {
            wanted: if empty { contents.wanted } else { 0 },
            incomplete: !empty && !contents.complete,
            abandoned: !empty && contents.wanted == 0,
            ended: contents.ended,
        }
    }

    /// Puts down what has arrived; `last` if the server says that there is no more. Where the consumer has ended it goes back.
    pub(super) fn put(
        &self,
        message: async_nats::Message,
        reply: Reply,
        deliveries: u32,
        last: bool,
    ) {
        let mut contents = self.lock();
        if contents.ended {
            self.give_back(reply);
            return;
        }
        if contents.held.is_empty() {
            contents.complete = false;
        }
        contents.held.push_back(Held { message, reply, deliveries });
        contents.complete |= last;
        if contents.complete || contents.held.len() >= contents.wanted {
            drop(contents);
            self.arrived.notify_one();
        }
    }

    /// What is held is all there is.
    pub(super) fn complete(&self) {
        let mut contents = self.lock();
        contents.complete = true;
        if !contents.held.is_empty() {
            drop(contents);
            self.arrived.notify_one();
        }
    }

    pub(super) fn fail(&self, error: BusError) {
        self.lock().failed = Some(error);
        self.arrived.notify_one();
    }

    /// Takes away what is held, to be given back.
    pub(super) fn clear_held(&self) -> Vec<Reply> {
        self.lock().held.drain(..).map(|held| held.reply).collect()
    }

    /// The consumer is gone: gives back all it has.
    pub(super) fn end(&self) {
        let mut contents = self.lock();
        contents.ended = true;
        let outstanding = std::mem::take(&mut contents.outstanding).into_values();
        let held = std::mem::take(&mut contents.held).into_iter().map(|held| held.reply);
        outstanding.chain(held).for_each(|reply| self.give_back(reply));
        drop(contents);
        self.asked.notify_one();
    }

    /// Has the task give a message back. Called under the lock: the task ends once the consumer has, and nothing is left.
    fn give_back(&self, reply: Reply) {
        // Nobody takes it only where the runtime has ended, and the server finds out by itself then.
        let _ = self.returns.send(reply);
    }

    fn settle(&self, key: u64) -> Option<Reply> {
        self.lock().outstanding.remove(&key)
    }

    fn reply(&self, key: u64) -> Option<Reply> {
        self.lock().outstanding.get(&key).cloned()
    }
}

/// Settles one delivery. Says nothing any more once the consumer has given it back.
#[derive(Debug)]
struct DeskReceipt {
    desk: Arc<Desk>,
    key: u64,
}

impl DeskReceipt {
    async fn say(&self, reply: Option<Reply>, kind: AckKind) -> Result<(), BusError> {
        match reply {
            Some(reply) => self.desk.link.send(reply, kind.into()).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Settle for DeskReceipt {
    async fn ack(self: Box<Self>) -> Result<(), BusError> {
        self.say(self.desk.settle(self.key), AckKind::Ack).await
    }

    async fn nak(self: Box<Self>, delay: Duration) -> Result<(), BusError> {
        let delay = (!delay.is_zero()).then_some(delay);
        self.say(self.desk.settle(self.key), AckKind::Nak(delay)).await
    }

    async fn progress(&self) -> Result<(), BusError> {
        self.say(self.desk.reply(self.key), AckKind::Progress).await
    }
}

impl Drop for DeskReceipt {
    /// After `ack` or `nak` the message is no longer this receipt's, and nothing happens here.
    fn drop(&mut self) {
        let mut contents = self.desk.lock();
        if let Some(reply) = contents.outstanding.remove(&self.key) {
            self.desk.give_back(reply);
        }
    }
}
