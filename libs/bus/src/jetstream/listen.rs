//! Listening: a task takes what comes at once, so that a slow listener loses the oldest messages and is told, where a
//! subscription alone would lose the newest ones and say nothing.

use std::sync::Arc;

use async_nats::Subscriber;
use async_trait::async_trait;
use futures::StreamExt as _;
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    task::AbortHandle,
};
use windlass_proto::subject::Subject;

use super::{header, link::Link};
use crate::{BusError, Heard, Listener, Message};

/// One who hears a subject.
#[derive(Debug)]
pub(super) struct SubscribedListener {
    heard: broadcast::Receiver<Heard>,
    task: AbortHandle,
}

impl SubscribedListener {
    pub(super) async fn new(link: Arc<Link>, subject: Subject) -> Result<Self, BusError> {
        let (connected, dropped) = (link.connected(), link.dropped());
        let subject = link.spell(subject);
        let messages = link.client.subscribe(subject).await;
        let messages = messages.map_err(|error| BusError::Unavailable(error.to_string()))?;
        // What others send from now on is heard: the server knows of the subscription.
        link.round_trip().await?;
        let (sender, heard) = broadcast::channel(link.config.backlog.max(1));
        let task = tokio::spawn(pass_on(link, messages, connected, dropped, sender));
        Ok(Self { heard, task: task.abort_handle() })
    }
}

/// Passes on what comes, and tells of gaps.
async fn pass_on(
    link: Arc<Link>,
    mut messages: Subscriber,
    mut connected: watch::Receiver<u64>,
    mut dropped: watch::Receiver<u64>,
    listener: broadcast::Sender<Heard>,
) {
    loop {
        let heard = tokio::select! {
            message = messages.next() => match message {
                Some(message) => Heard::Message(Message {
                    headers: header::from_nats(message.headers.as_ref()),
                    payload: message.payload,
                }),
                // The connection has been closed for good.
                None => return,
            },
            Ok(()) = dropped.changed() => Heard::Gap,
            Ok(()) = connected.changed() => {
                // Told once the server knows of the subscription again: whoever reads anew then misses nothing.
                if link.round_trip().await.is_err() {
                    connected.mark_changed();
                    tokio::task::yield_now().await;
                    continue;
                }
                Heard::Gap
            }
        };
        // The listener may be leaving.
        let _ = listener.send(heard);
    }
}

#[async_trait]
impl Listener for SubscribedListener {
    async fn next(&mut self) -> Result<Heard, BusError> {
        match self.heard.recv().await {
            Ok(heard) => Ok(heard),
            Err(RecvError::Lagged(_)) => Ok(Heard::Gap),
            Err(RecvError::Closed) => {
                Err(BusError::Unavailable("the connection to NATS was closed".into()))
            }
        }
    }
}

impl Drop for SubscribedListener {
    fn drop(&mut self) {
        self.task.abort();
    }
}
