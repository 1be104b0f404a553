//! Finds out what became of pods that are watched no more although nothing said that they end: somebody has changed their labels,
//! or they were deleted while nobody looked.
//!
//! What runs on is ended before anything is told: nobody would see its end, and the next attempt would run beside it.

use std::{sync::Arc, time::Instant};

use tokio::time::sleep;

use super::{
    Shared,
    backoff::Backoff,
    pods::{Unseen, Vanished, is_dead_now},
};
use crate::clock;

impl Shared {
    /// Tells of a pod when it is certain that it is gone, however long that takes.
    pub(super) async fn settle(self: &Arc<Self>, mut vanished: Vanished) {
        let found = vanished.found.clone();
        let mut unseen = Unseen::Gone(vanished.last.take());
        let (mut was_there, mut waits) = (false, Backoff::default());
        while self.state().pods.is_settling(&vanished) {
            let trouble = match self.look_up(&found.namespace, &found.name).await {
                Ok(Some(pod)) if pod.metadata.uid.as_deref() == Some(&*found.uid) => {
                    if self.api.is_of_shards(&pod, &self.held.borrow()) {
                        return self.state().pods.is_back(vanished.key);
                    }
                    let is_leaving = pod.is_being_deleted();
                    if !was_there {
                        was_there = true;
                        unseen = if is_dead_now(&pod) {
                            Unseen::Gone(Some(Box::new(pod)))
                        } else {
                            Unseen::Relabelled
                        };
                    }
                    if is_leaving { None } else { self.api.delete(&found).await.err() }
                }
                Ok(_) => {
                    let mut state = self.state();
                    let (now, at) = (clock::now(), Instant::now());
                    let acts = state.pods.settled(vanished.key, unseen, now, at);
                    self.room_changed(&state);
                    drop(state);
                    return self.act(acts);
                }
                Err(error) => Some(error),
            };
            if let Some(error) = trouble {
                self.complain(&found.namespace, &error, "it is not known what became of a pod");
            }
            sleep(waits.next()).await;
        }
    }
}
