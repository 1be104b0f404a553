//! Which hosts there are, and whether the store still knows what this one holds.
//!
//! **Invariant:** a host that is not heard of is taken for lost only where the configuration says after which time, and only by
//! a launcher that has itself been in touch with the store for that long.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use windlass_engine::record::StepIndex;
use windlass_proto::{holder, id::RunId};
use windlass_service::recurring::Recurring;
use windlass_store::{Incarnation, ShareRequest, Store, StoreError};

use crate::runtime::Runtime;

/// By which launchers know each other's hosts in the store.
const GROUP: &str = "host";

/// How long a host is listed where it is never taken for lost.
const LISTED: Duration = Duration::from_mins(1);

/// How often the store is asked whether it lost something. Within the time in which it settles after that.
const LOOK: Duration = Duration::from_secs(1);

/// How long a host must not have been listed, by this machine's monotonic clock: where the store's clock jumps ahead, all hosts
/// cease to be listed at once, and those that live are listed again at their next look.
const UNLISTED: Duration = Duration::from_secs(5);

/// The hosts, as far as they are heard of.
#[derive(Debug)]
pub(crate) struct Hosts {
    /// After which a host that is not heard of counts as lost with all its attempts; none for never.
    lost_after: Option<Duration>,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// When each host was found listed for the last time.
    hosts: BTreeMap<String, Instant>,
    /// Since when the store was reached without a break.
    since: Option<Instant>,
}

impl Hosts {
    pub(crate) fn new(lost_after: Option<Duration>) -> Self {
        Self { lost_after, heard: Mutex::default() }
    }

    /// Whether a host is gone for good, as far as anybody can know.
    pub(crate) fn is_lost(&self, host: &str) -> bool {
        let heard = self.heard();
        match (self.lost_after, heard.since) {
            (Some(limit), Some(since)) => {
                let listed = heard.hosts.get(host);
                since.elapsed() >= limit && listed.is_none_or(|at| at.elapsed() >= UNLISTED)
            }
            _ => false,
        }
    }

    /// Keeps this host listed and its claims known, until `stop`.
    pub(crate) async fn keep<R: Runtime>(
        &self,
        holder: &str,
        runtime: &R,
        store: &Arc<dyn Store>,
        stop: CancellationToken,
    ) {
        let (mut incarnation, mut troubles) = (None, Recurring::default());
        loop {
            if let Err(error) =
                self.look(holder, runtime, &**store, &mut incarnation, &mut troubles).await
            {
                if let Some(untold) = troubles.came(&error.to_string(), Instant::now().into()) {
                    warn!(%error, untold, "this host is not listed");
                }
                self.heard().since = None;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                // The host stays listed for its time: what runs on it goes on without a launcher.
                () = stop.cancelled() => return,
            }
        }
    }

    async fn look<R: Runtime>(
        &self,
        holder: &str,
        runtime: &R,
        store: &dyn Store,
        known: &mut Option<Incarnation>,
        troubles: &mut Recurring,
    ) -> Result<(), StoreError> {
        let present = store.incarnation().await?;
        if known.as_ref() != Some(&present) {
            // At the beginning, too: what was lost while there was no launcher here is known to nobody else.
            if known.is_some() {
                info!("the store was started again or replaced: it is told again what runs here");
            }
            assert_claims(holder, runtime, store).await?;
            *known = Some(present);
        }
        let request = ShareRequest {
            group: GROUP.to_owned(),
            member: holder.to_owned(),
            leaving: false,
            ttl: self.lost_after.unwrap_or(LISTED),
            acquire: Vec::new(),
            release: Vec::new(),
        };
        let shares = store.share(&request).await?;
        let namesake =
            |other: &&String| **other != holder && holder::host(other) == holder::host(holder);
        if let Some(other) = shares.members.iter().find(namesake)
            && let Some(untold) = troubles.came(other, Instant::now().into())
        {
            warn!(
                other,
                this = holder,
                untold,
                "another launcher has, or had a short time ago, the same `launcher.host` and another directory: give each host a name of its own, or logs are not found"
            );
        }
        let mut heard = self.heard();
        let now = Instant::now();
        heard.hosts.retain(|_, at| now.duration_since(*at) < UNLISTED);
        heard.hosts.extend(shares.members.into_iter().map(|host| (host, now)));
        heard.since.get_or_insert(now);
        Ok(())
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells a store that may have lost something which attempts are held here, and the schedulers what these do.
async fn assert_claims<R: Runtime>(
    holder: &str,
    runtime: &R,
    store: &dyn Store,
) -> Result<(), StoreError> {
    let mut runs: BTreeMap<RunId, Vec<(StepIndex, u32)>> = BTreeMap::new();
    let known = runtime.known().await;
    for key in &known {
        runs.entry(key.run).or_default().push((StepIndex(key.step), key.attempt));
    }
    for (run, attempts) in runs {
        let holders = match store.assert_claims(run, holder, &attempts).await {
            // One run's claims that cannot be read are no reason to keep this host, with all that runs here, off the list.
            Err(error @ StoreError::Damaged(_)) => {
                error!(%run, %error, "it cannot be told to the store what runs here of a run");
                continue;
            }
            holders => holders?,
        };
        for ((step, attempt), other) in attempts.iter().zip(holders.into_iter().flatten()) {
            if *other != *holder {
                error!(%run, step = step.0, attempt, %other, "an attempt is held by two hosts");
            }
        }
    }
    for key in known {
        runtime.probe(key).await;
    }
    Ok(())
}
