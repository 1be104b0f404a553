//! A bus at its worst that is still a bus: everything twice, and in the wrong order.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use async_trait::async_trait;
use windlass_bus::{Bus, BusError, Consumer, Delivery, Listener, MemoryBus, Message};
use windlass_engine::record::RunState;
use windlass_proto::subject::Subject;
use windlass_scheduler::Ownership;

use crate::support::{Cluster, assert_started_once, diamond, taking};

/// Sends every message twice, and delivers what is there in reverse order.
#[derive(Debug)]
struct Mangled(Arc<MemoryBus>);

#[derive(Debug)]
struct Reversed {
    inner: Box<dyn Consumer>,
    held: VecDeque<Delivery>,
}

#[async_trait]
impl Bus for Mangled {
    async fn publish(&self, subject: Subject, message: Message) -> Result<(), BusError> {
        self.0.publish(subject, message.clone()).await?;
        self.0.publish(subject, message).await
    }

    async fn offer(&self, subject: Subject, message: Message) -> Result<(), BusError> {
        self.0.offer(subject, message.clone()).await?;
        self.0.offer(subject, message).await
    }

    async fn consume(&self, subject: Subject) -> Result<Box<dyn Consumer>, BusError> {
        let inner = self.0.consume(subject).await?;
        Ok(Box::new(Reversed { inner, held: VecDeque::new() }))
    }

    async fn listen(&self, subject: Subject) -> Result<Box<dyn Listener>, BusError> {
        self.0.listen(subject).await
    }

    async fn check(&self) -> Result<(), BusError> {
        self.0.check().await
    }
}

#[async_trait]
impl Consumer for Reversed {
    async fn fetch(&mut self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        if self.held.is_empty() {
            self.held = self.inner.fetch(1000).await?.into_iter().rev().collect();
        }
        Ok(self.held.drain(..limit.min(self.held.len())).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_twice_and_in_reverse_order_changes_nothing() {
    let cluster = Cluster::on(Arc::new(Mangled(Arc::default())));
    let _scheduler = cluster.scheduler(Ownership::All);
    let (_launcher, runtime) = cluster.launcher(taking(Duration::from_millis(2)));
    let mut runs = Vec::new();
    for _ in 0..10 {
        runs.push(cluster.submit(diamond(40)).await);
    }
    for run in runs {
        assert_eq!(cluster.end_of(run).await.state, RunState::Succeeded);
        assert_started_once(&[&runtime], run, 42);
    }
}
