//! The bus within one process: what the embedded services use, and what their tests run on.
//!
//! Acknowledged subjects are queues ([`queue`]), the others are topics ([`topic`]). Nothing is written down: the messages
//! end with the process, which is safe because everything on the bus can be derived again from the store.

mod queue;
mod topic;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use windlass_proto::subject::Subject;

use crate::{Bus, BusError, Consumer, Listener, Message};
use queue::{Queue, QueueConsumer};
use topic::Topics;

/// How much a [`MemoryBus`] holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many messages an acknowledged subject holds that are not acknowledged; further publishers wait.
    pub queue: usize,
    /// How many dead letters are held before the oldest ones are dropped.
    pub dead_letters: usize,
    /// How many messages a listener may be behind before the oldest ones are lost to it.
    pub backlog: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queue: 65_536, dead_letters: 1024, backlog: 1024 }
    }
}

/// A bus within one process.
///
/// There is no time by which a message must be acknowledged: its taker lives in this process, so a message is either in
/// somebody's hands or given back.
#[derive(Debug)]
pub struct MemoryBus {
    limits: Limits,
    queues: Mutex<HashMap<Subject, Arc<Queue>>>,
    topics: Arc<Topics>,
}

impl MemoryBus {
    /// A bus with the default limits.
    pub fn new() -> Self {
        Self::with_limits(Limits::default())
    }

    /// A bus with other limits; each is at least 1.
    pub fn with_limits(limits: Limits) -> Self {
        let Limits { queue, dead_letters, backlog } = limits;
        let limits = Limits {
            queue: queue.max(1),
            dead_letters: dead_letters.max(1),
            backlog: backlog.max(1),
        };
        Self { limits, queues: Mutex::default(), topics: Arc::new(Topics::new(limits.backlog)) }
    }

    fn queue(&self, subject: Subject) -> Arc<Queue> {
        let capacity = match subject {
            Subject::DeadLetter => self.limits.dead_letters,
            _ => self.limits.queue,
        };
        let mut queues = lock(&self.queues);
        Arc::clone(queues.entry(subject).or_insert_with(|| Arc::new(Queue::new(capacity))))
    }
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn publish(&self, subject: Subject, message: Message) -> Result<(), BusError> {
        match subject {
            Subject::DeadLetter => self.queue(subject).put_over_the_oldest(message),
            _ if subject.is_acknowledged() => self.queue(subject).put(message).await?,
            _ => self.topics.tell(subject, message),
        }
        Ok(())
    }

    async fn offer(&self, subject: Subject, message: Message) -> Result<(), BusError> {
        match subject {
            Subject::DeadLetter => self.queue(subject).put_over_the_oldest(message),
            _ if subject.is_acknowledged() => {
                self.queue(subject).put_where_there_is_room(message).map_err(|_full| {
                    let reason = format!("it holds {} messages", self.limits.queue);
                    BusError::Full { subject: subject.to_string(), reason }
                })?;
            }
            _ => self.topics.tell(subject, message),
        }
        Ok(())
    }

    async fn consume(&self, subject: Subject) -> Result<Box<dyn Consumer>, BusError> {
        if !subject.is_acknowledged() {
            return Err(BusError::WrongKind { subject: subject.to_string(), verb: "consume" });
        }
        Ok(Box::new(QueueConsumer::new(self.queue(subject))))
    }

    async fn listen(&self, subject: Subject) -> Result<Box<dyn Listener>, BusError> {
        if subject.is_acknowledged() {
            return Err(BusError::WrongKind { subject: subject.to_string(), verb: "listen to" });
        }
        Ok(Box::new(self.topics.listen(subject)))
    }

    async fn check(&self) -> Result<(), BusError> {
        Ok(())
    }
}

/// Locks state that no panic can leave half changed: nothing in here calls out while it holds a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
