//! Beside what is measured: a watch of a namespace, which notes when pods were made and when they ended, and tells when all
//! are gone.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams},
    core::PartialObjectMeta,
    runtime::watcher::{self, Event, watcher},
};
use tokio::{sync::watch, task::JoinHandle, time::timeout};
use windlass_pod::observed::{ObservedPod, PodKey};

/// How long removal may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// A step: its run's id and its index.
type Step = (String, u32);

/// A pod: when it was first seen, and when it was seen to have ended.
#[derive(Debug, Clone)]
struct Seen {
    made: Instant,
    ended: Option<Instant>,
}

#[derive(Debug, Default)]
struct Book {
    pods: HashMap<Step, Seen>,
    there: usize,
    failed: Option<String>,
}

/// The watch. Dropping it ends it.
pub(crate) struct Observer {
    book: watch::Receiver<Book>,
    watching: JoinHandle<()>,
}

impl Observer {
    /// Begins to watch a namespace without pods; returns when it does.
    pub(crate) async fn start(client: Client, namespace: &str) -> anyhow::Result<Self> {
        let pods: Api<ObservedPod> = Api::namespaced(client, namespace);
        let (note, book) = watch::channel(Book::default());
        let mut events = watcher(pods, watcher::Config::default()).boxed();
        while !matches!(events.next().await.context("the watch goes on")??, Event::InitDone) {}
        let watching = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                let now = Instant::now();
                note.send_modify(|book| book.note(event, now));
            }
        });
        Ok(Self { book, watching })
    }

    /// Waits until no pod is there.
    pub(crate) async fn until_none(&mut self) -> anyhow::Result<()> {
        let none = self.book.wait_for(|book| book.there == 0 || book.failed.is_some());
        let book = timeout(PATIENCE, none).await.context("pods stay")??;
        book.failed.clone().map_or(Ok(()), |error| Err(anyhow::anyhow!(error)))
    }

    /// From the end of each pod to the creation of the one that waited for it.
    pub(crate) fn gaps(&self) -> Vec<Duration> {
        let book = self.book.borrow();
        let gap = |((run, step), seen): (&Step, &Seen)| {
            let before = book.pods.get(&(run.clone(), step.checked_sub(1)?))?;
            // Where both come with one message, either may be noted first.
            Some(seen.made.saturating_duration_since(before.ended?))
        };
        book.pods.iter().filter_map(gap).collect()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Book {
    fn note(&mut self, event: watcher::Result<Event<ObservedPod>>, now: Instant) {
        match event {
            Ok(Event::Apply(pod)) => {
                let Some(key) = pod.key() else { return };
                let there = &mut self.there;
                let seen = self.pods.entry(step(&key)).or_insert_with(|| {
                    *there += 1;
                    Seen { made: now, ended: None }
                });
                if pod.status.phase.as_deref() == Some("Succeeded") {
                    seen.ended.get_or_insert(now);
                }
            }
            Ok(Event::Delete(_)) => self.there -= 1,
            Ok(Event::Init | Event::InitApply(_) | Event::InitDone) => {
                self.failed = Some("the watch began anew: times are lost".into());
            }
            Err(error) => self.failed = Some(error.to_string()),
        }
    }
}

fn step(key: &PodKey) -> Step {
    (key.run.to_string(), key.attempt.step.0)
}

/// Has all pods of a namespace removed.
pub(crate) async fn remove_all(client: Client, namespace: &str) -> anyhow::Result<()> {
    let pods: Api<PartialObjectMeta<Pod>> = Api::namespaced(client, namespace);
    pods.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    Ok(())
}
