//! Has attempts removed that are over as the store says: nobody tells launchers that they may. Most have ended; a few may have been
//! begun by a create that came late, when nobody wanted them any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::warn;
use windlass_engine::record::{StepIndex, StepRecord};
use windlass_proto::id::RunId;
use windlass_service::recurring::Recurring;
use windlass_store::{Store, StoreError};

use crate::runtime::{AttemptKey, Shards};

/// How often it is looked what has been kept for long enough.
const LOOK: Duration = Duration::from_secs(2);

/// How often it is looked whether attempts go on that the store knows to be over: a create that came late may have made some.
const COMPARE: Duration = Duration::from_mins(1);

/// The most steps of a run that are read at once.
const READ_AT_ONCE: usize = 1024;

/// Has attempts removed, until `stop`.
pub(crate) async fn run(shards: &dyn Shards, store: &Arc<dyn Store>, stop: CancellationToken) {
    let mut troubles = Recurring::default();
    let mut unknown = BTreeSet::new();
    let mut compared = Instant::now();
    while !stop.is_cancelled() {
        let mut keys = shards.expired();
        if compared.elapsed() >= COMPARE {
            keys.extend(shards.lingering());
            compared = Instant::now();
        }
        let looked = stop.run_until_cancelled(look(shards, &**store, keys, &mut unknown)).await;
        if let Some(Err(error)) = looked
            && let Some(untold) = troubles.came(&error.to_string(), Instant::now().into())
        {
            warn!(%error, untold, "pods that have ended stay for now");
        }
        stop.run_until_cancelled(tokio::time::sleep(LOOK)).await;
    }
}

async fn look(
    shards: &dyn Shards,
    store: &dyn Store,
    keys: Vec<AttemptKey>,
    unknown: &mut BTreeSet<RunId>,
) -> Result<(), StoreError> {
    let mut runs: BTreeMap<RunId, Vec<AttemptKey>> = BTreeMap::new();
    for key in keys {
        runs.entry(key.run).or_default().push(key);
    }
    let (mut safe, mut ended_runs) = (Vec::new(), BTreeSet::new());
    for (run, attempts) in runs {
        for attempts in attempts.chunks(READ_AT_ONCE) {
            let steps: Vec<_> = attempts.iter().map(|key| StepIndex(key.step)).collect();
            let (view, records) = match store.read_steps(run, &steps).await {
                Ok(Some(read)) => read,
                Ok(None) => {
                    if unknown.insert(run) {
                        warn!(%run, "there are pods of a run that nobody knows: they stay until somebody removes them with `windlass cluster orphans`");
                    }
                    continue;
                }
                // One run that cannot be read is no reason to keep the pods of others.
                Err(StoreError::Damaged(_)) => continue,
                Err(error) => return Err(error),
            };
            let known =
                attempts.iter().zip(&records).filter(|(key, record)| is_known(**key, record));
            safe.extend(known.map(|(key, _)| *key));
            if view.record.state.is_final() {
                ended_runs.insert(run);
            }
        }
    }
    if !safe.is_empty() {
        shards.discard(safe, ended_runs).await;
    }
    Ok(())
}

/// Whether the end of an attempt is in the store: nothing that the pod could tell would matter any more.
fn is_known(key: AttemptKey, record: &StepRecord) -> bool {
    record.attempt > key.attempt || (record.attempt == key.attempt && !record.state.is_in_flight())
}
