//! Keeps this launcher's share of a cluster's shards: whose attempts it looks after, and whose part of the cluster's limits it has.
//!
//! **Invariant:** leases are for speed and for limits. That no attempt is created twice follows from its name.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;
use windlass_service::{recurring::Recurring, shares};
use windlass_store::{ShareRequest, Store, StoreError};

use crate::runtime::Shards;

/// How long shards stay with a launcher that says nothing.
const LEASE: Duration = Duration::from_secs(10);

/// The most exchanges with the store in a row: shares have settled before, unless others come and go all the time.
const EXCHANGES: usize = 4;

/// Holds as many shards as are this launcher's share of `count`, until `stop`; then gives them up.
pub(crate) async fn keep(
    shards: &dyn Shards,
    count: u32,
    store: &Arc<dyn Store>,
    stop: CancellationToken,
) {
    let mut troubles = Recurring::default();
    let mut held_until = Instant::now();
    let mut request = ShareRequest {
        group: format!("pods.{}", shards.cluster()),
        member: Uuid::new_v4().to_string(),
        leaving: false,
        ttl: LEASE,
        acquire: Vec::new(),
        release: Vec::new(),
    };
    while !stop.is_cancelled() {
        let asked = Instant::now();
        match renew(shards, count, &**store, &mut request).await {
            Ok(()) => held_until = asked + LEASE,
            Err(error) => {
                if let Some(untold) = troubles.came(&error.to_string(), Instant::now().into()) {
                    warn!(%error, untold, "leases on pods are not renewed");
                }
                if Instant::now() >= held_until {
                    shards.hold(BTreeSet::new()).await;
                }
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(LEASE / 10)).await;
    }
    shards.hold(BTreeSet::new()).await;
    request.leaving = true;
    request.release = (0..count).collect();
    if let Err(error) = store.share(&request).await {
        warn!(%error, "leases on pods were not given up; they expire");
    }
}

async fn renew(
    shards: &dyn Shards,
    count: u32,
    store: &dyn Store,
    request: &mut ShareRequest,
) -> Result<(), StoreError> {
    for _ in 0..EXCHANGES {
        let group = store.share(request).await?;
        (request.acquire, request.release) = (Vec::new(), Vec::new());
        let mut held = shares::held_by(&group, &request.member);
        let plan = shares::plan(&group, &request.member, count);
        for shard in &plan.release {
            held.remove(shard);
        }
        shards.hold(held).await;
        if plan.is_empty() {
            break;
        }
        info!(members = group.members.len(), acquire = ?plan.acquire, release = ?plan.release, "shares of pods change");
        (request.acquire, request.release) = (plan.acquire, plan.release);
    }
    Ok(())
}
