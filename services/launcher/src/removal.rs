//! Removes what is kept of runs that are no more.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use windlass_bus::{Bus, BusError, Heard};
use windlass_proto::{id::RunId, removal, subject::Subject};
use windlass_store::{Installation, Store, StoreError};

use crate::{launch::Launches, runtime::Runtime};

/// How often all runs of which something is kept are looked up: the word of a removal may be missed.
const SWEEP: Duration = Duration::from_mins(10);

/// How long to wait after the bus or the store has failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(1);

/// Why removal begins anew.
#[derive(Debug, thiserror::Error)]
enum RemovalError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes what is kept of removed runs, until `stop`.
pub(crate) async fn run<R: Runtime>(
    launches: Arc<Launches<R>>,
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
    partitions: u32,
    stop: CancellationToken,
) {
    loop {
        let ended = tokio::select! {
            ended = listen(&launches, &*bus, &*store, partitions) => ended,
            () = stop.cancelled() => return,
        };
        if let Err(error) = ended {
            warn!(%error, "files of removed runs stay for now");
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE_AFTER_ERROR) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn listen<R: Runtime>(
    launches: &Launches<R>,
    bus: &dyn Bus,
    store: &dyn Store,
    partitions: u32,
) -> Result<(), RemovalError> {
    let mut removals = bus.listen(Subject::Removal).await?;
    let mut next_sweep = Instant::now();
    loop {
        let heard = tokio::select! {
            heard = removals.next() => Some(heard?),
            () = sleep_until(next_sweep) => None,
        };
        match heard {
            Some(Heard::Message(message)) => {
                if let Some(run) = removal::decode(&message.payload) {
                    remove_all(launches, store, partitions, [run]).await?;
                }
            }
            // Where launchers share what they see, pods of runs that nobody knows stay until somebody is told to remove them.
            Some(Heard::Gap) | None if launches.attempts.runtime.shards().is_some() => {
                next_sweep = Instant::now() + SWEEP;
            }
            Some(Heard::Gap) | None => {
                let known = launches.attempts.runtime.known().await;
                let runs: BTreeSet<RunId> = known.into_iter().map(|key| key.run).collect();
                remove_all(launches, store, partitions, runs).await?;
                next_sweep = Instant::now() + SWEEP;
            }
        }
    }
}

/// Removes what is kept of those of the runs that are no more.
async fn remove_all<R: Runtime>(
    launches: &Launches<R>,
    store: &dyn Store,
    partitions: u32,
    runs: impl IntoIterator<Item = RunId>,
) -> Result<(), StoreError> {
    // Looked at each time: a store may be emptied, or replaced, while this program runs. In such a one no run is to be found,
    // which does not mean that it was removed.
    let installation = store.install(Installation::new(partitions)).await?;
    if !launches.attempts.runtime.belongs_to(&installation.id).await {
        warn!(
            store = installation.id,
            "what is kept here is of another store, or of one that was emptied: it stays until somebody removes it by hand"
        );
        return Ok(());
    }
    for run in runs {
        match store.read_run(run).await {
            Ok(None) => {
                launches.forget(run);
                launches.attempts.runtime.remove(run).await;
            }
            // One that cannot be read was not removed, and is no reason to keep others.
            Ok(Some(_)) | Err(StoreError::Damaged(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
