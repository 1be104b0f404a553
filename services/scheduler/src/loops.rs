//! The partitions that this process serves: one loop for each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::future;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use windlass_bus::Bus;
use windlass_store::Store;

use windlass_service::dead_letters::DeadLetters;

use crate::{SchedulerConfig, load::Board, partition::Partition};

/// The loops that run.
#[derive(Debug)]
pub(crate) struct Loops {
    config: SchedulerConfig,
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
    dead_letters: Arc<DeadLetters>,
    board: Arc<Board>,
    /// Its value changes when all that is in memory has to be read anew.
    reload: watch::Sender<()>,
    running: BTreeMap<u32, Loop>,
}

#[derive(Debug)]
struct Loop {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Loops {
    pub(crate) fn new(
        config: SchedulerConfig,
        bus: Arc<dyn Bus>,
        store: Arc<dyn Store>,
        board: Arc<Board>,
    ) -> Self {
        let dead_letters = Arc::new(DeadLetters::new(bus.clone()));
        let reload = watch::Sender::new(());
        Self { config, bus, store, dead_letters, board, reload, running: BTreeMap::new() }
    }

    /// Serves these partitions from now on, and no others. Those that are served no more end their turn on their own.
    pub(crate) fn serve(&mut self, partitions: &BTreeSet<u32>) {
        let Self { running, .. } = self;
        for (partition, ended) in running.extract_if(.., |number, _| !partitions.contains(number)) {
            info!(partition, "the partition is served here no longer");
            ended.stop.cancel();
        }
        for number in partitions {
            // A loop ends on its own only by a panic.
            if running.get(number).is_some_and(|it| it.task.is_finished()) {
                error!(
                    partition = number,
                    "the partition's loop has ended and is started again; please report this"
                );
                running.remove(number);
            }
            running.entry(*number).or_insert_with(|| {
                let stop = CancellationToken::new();
                let partition = Partition::new(
                    *number,
                    self.config.clone(),
                    self.bus.clone(),
                    self.store.clone(),
                    self.dead_letters.clone(),
                    self.board.clone(),
                );
                let task = tokio::spawn(partition.serve(stop.clone(), self.reload.subscribe()));
                Loop { stop, task }
            });
        }
    }

    /// Ends the loops of these partitions; returns when each has ended its turn.
    pub(crate) async fn end(&mut self, partitions: &[u32]) {
        let ended: Vec<Loop> =
            partitions.iter().filter_map(|partition| self.running.remove(partition)).collect();
        for it in &ended {
            it.stop.cancel();
        }
        // One that panicked has said so.
        let _ = future::join_all(ended.into_iter().map(|it| it.task)).await;
    }

    /// Has every loop drop what it holds in memory and read it anew.
    pub(crate) fn reload(&self) {
        self.reload.send_replace(());
    }

    /// The partitions that are served.
    pub(crate) fn served(&self) -> Vec<u32> {
        self.running.keys().copied().collect()
    }
}
