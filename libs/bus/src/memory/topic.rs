//! The subjects that are not acknowledged. One exists while somebody listens to it: what nobody hears costs nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tokio::sync::broadcast::{self, error::RecvError};
use windlass_proto::subject::Subject;

use super::lock;
use crate::{BusError, Heard, Listener, Message};

#[derive(Debug)]
pub(super) struct Topics {
    /// How many messages a listener may be behind.
    backlog: usize,
    heard: Mutex<HashMap<Subject, Topic>>,
}

#[derive(Debug)]
struct Topic {
    sender: broadcast::Sender<Message>,
    /// Counted under the same lock as the topic is made and dropped.
    listeners: usize,
}

impl Topics {
    pub(super) fn new(backlog: usize) -> Self {
        Self { backlog, heard: Mutex::default() }
    }

    /// Hands a message to all who listen now.
    pub(super) fn tell(&self, subject: Subject, message: Message) {
        if let Some(topic) = lock(&self.heard).get(&subject) {
            // A topic has a listener; one that is just leaving need not hear it.
            let _ = topic.sender.send(message);
        }
    }

    pub(super) fn listen(self: &Arc<Self>, subject: Subject) -> TopicListener {
        let mut heard = lock(&self.heard);
        let topic = heard.entry(subject).or_insert_with(|| Topic {
            sender: broadcast::Sender::new(self.backlog),
            listeners: 0,
        });
        topic.listeners += 1;
        let receiver = topic.sender.subscribe();
        TopicListener { topics: Arc::clone(self), subject, receiver }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.heard).len()
    }
}

#[derive(Debug)]
pub(super) struct TopicListener {
    topics: Arc<Topics>,
    subject: Subject,
    receiver: broadcast::Receiver<Message>,
}

#[async_trait]
impl Listener for TopicListener {
    async fn next(&mut self) -> Result<Heard, BusError> {
        match self.receiver.recv().await {
            Ok(message) => Ok(Heard::Message(message)),
            Err(RecvError::Lagged(_)) => Ok(Heard::Gap),
            Err(RecvError::Closed) => Err(BusError::Unavailable("it was closed".into())),
        }
    }
}

impl Drop for TopicListener {
    /// The last one to leave takes the subject along.
    fn drop(&mut self) {
        let mut heard = lock(&self.topics.heard);
        let Some(topic) = heard.get_mut(&self.subject) else {
            return;
        };
        topic.listeners -= 1;
        if topic.listeners == 0 {
            heard.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_exists_while_somebody_listens() {
        let topics = Arc::new(Topics::new(4));
        let run = "run_0123456789abcdefghijklmnop".parse().unwrap();
        let subject = Subject::Change { run };
        topics.tell(subject, Message::default());
        assert_eq!(topics.len(), 0);
        let (one, other) = (topics.listen(subject), topics.listen(subject));
        drop(one);
        assert_eq!(topics.len(), 1);
        drop(other);
        assert_eq!(topics.len(), 0);
    }
}
