//! Attempts that ran, and of which there is no log where this streamer looks: on a host whose directory it does not have.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use windlass_engine::{record::StepIndex, time::Timestamp};
use windlass_proto::holder;
use windlass_service::error::{ApiError, ErrorReason};
use windlass_store::Store;

use crate::{merge::Unseen, places::LogPlaces, targets::Targets};

/// Steps of whose earlier attempts it is found out whether they ran.
const STEPS: usize = 100;
/// Attempts of which it is found out where they ran.
const ATTEMPTS: usize = 1000;
/// Hosts that are named.
const HOSTS: usize = 5;

/// Why nothing was read of these attempts; none where there is nothing to read of them. An attempt that never ran has no log,
/// nor has one that ran on no host.
pub(crate) async fn out_of_reach(
    store: &dyn Store,
    targets: &Targets,
    unseen: Vec<Unseen>,
) -> Result<Option<ApiError>, ApiError> {
    let mut ran = began(store, targets, unseen).await?;
    let count = ran.len();
    ran.truncate(ATTEMPTS);
    let holders = store.read_claims(targets.run, &ran).await?;
    let hosts = holders.iter().map(|holder| holder.as_deref().and_then(holder::host));
    let mut on_hosts = ran.iter().zip(hosts).filter_map(|(attempt, host)| Some((*attempt, host?)));
    let Some(((step, attempt), host)) = on_hosts.next() else { return Ok(None) };
    let others: BTreeSet<&str> = on_hosts.map(|(_, host)| host).collect();
    let name = targets.name(step);
    let mut message = format!(
        "the log of step `{name}`, attempt {attempt}, is not where the streamer looks: it was written on host `{host}`, and {}; \
         share or mount the directory of that host's launcher (`launcher.directory`) where this streamer looks \
         (`streamer.directory`), or ask a streamer that has it",
        absence(&targets.places, host)
    );
    if !others.is_empty() {
        let named: Vec<_> = others.iter().take(HOSTS).map(|host| format!("`{host}`")).collect();
        let more = if others.len() > HOSTS { ", …" } else { "" };
        let (rest, named) = (count - 1, named.join(", "));
        // Writing to a text cannot fail.
        let _ = write!(message, "; neither are those of {rest} more, on {named}{more}");
    }
    let error = ApiError::new(ErrorReason::LogOutOfReach, message);
    Ok(Some(error.with("run_id", &targets.run).with("step", &name).with("host", &host)))
}

/// Those that ran, in order.
async fn began(
    store: &dyn Store,
    targets: &Targets,
    unseen: Vec<Unseen>,
) -> Result<Vec<(StepIndex, u32)>, ApiError> {
    let mut ran = Vec::new();
    // Of an earlier attempt than the latest, the state of its step does not tell.
    let mut in_doubt: BTreeMap<StepIndex, Vec<u32>> = BTreeMap::new();
    for Unseen { key, began } in unseen {
        if began {
            ran.push((StepIndex(key.step), key.attempt));
        } else {
            in_doubt.entry(StepIndex(key.step)).or_default().push(key.attempt);
        }
    }
    for (step, attempts) in in_doubt.into_iter().take(STEPS) {
        let over = store.read_attempts(targets.run, step).await?.into_iter();
        let over = over.filter(|over| over.started_at > Timestamp(0));
        ran.extend(
            over.filter(|over| attempts.contains(&over.attempt)).map(|it| (step, it.attempt)),
        );
    }
    ran.sort_unstable();
    Ok(ran)
}

/// What is not there.
fn absence(places: &LogPlaces, host: &str) -> String {
    let (root, of_host) = match places {
        LogPlaces::OneHost(dir) => (dir, dir.clone()),
        LogPlaces::Hosts(root) => (root, root.join(host)),
    };
    if !root.is_dir() {
        return format!("there is no directory {} where the streamer runs", root.display());
    }
    if !of_host.is_dir() {
        return format!("there is no directory {} where the streamer runs", of_host.display());
    }
    format!("there is no such log in {} where the streamer runs", of_host.display())
}
