//! Attempts that ran, and of which there is no log where this streamer looks: on a host whose directory it does not have, or as
//! pods, whose logs Kubernetes has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use windlass_engine::{record::StepIndex, time::Timestamp};
use windlass_pod::{label, manifest::label_value};
use windlass_proto::holder;
use windlass_service::error::{ApiError, ErrorReason};
use windlass_store::Store;

use crate::{merge::Unseen, places::LogPlaces, targets::Targets};

/// Steps of whose earlier attempts it is found out whether they ran.
const STEPS: usize = 100;
/// Attempts of which it is found out where they ran.
const ATTEMPTS: usize = 1000;
/// Hosts and clusters that are named.
const NAMED: usize = 5;

/// Where an attempt ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'a> {
    Host(&'a str),
    Cluster(&'a str),
}

impl<'a> Place<'a> {
    /// None for attempts that never ran.
    fn of(holder: &'a str) -> Option<Self> {
        let name = holder::host(holder)?;
        Some(if holder::is_cluster(holder) { Self::Cluster(name) } else { Self::Host(name) })
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => write!(f, "`{name}`"),
            Self::Cluster(name) => write!(f, "cluster `{name}`"),
        }
    }
}

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
    let at = holders.iter().map(|holder| holder.as_deref().and_then(Place::of));
    let mut placed = ran.iter().zip(at).filter_map(|(attempt, place)| Some((*attempt, place?)));
    let Some(((step, attempt), place)) = placed.next() else { return Ok(None) };
    let others: BTreeSet<Place<'_>> = placed.map(|(_, place)| place).collect();
    let name = targets.name(step);
    let mut message = match place {
        Place::Host(host) => format!(
            "the log of step `{name}`, attempt {attempt}, is not where the streamer looks: it was written on host `{host}`, and {}; \
             share or mount the directory of that host's launcher (`launcher.directory`) where this streamer looks \
             (`streamer.directory`), or ask a streamer that has it",
            absence(&targets.places, host)
        ),
        Place::Cluster(cluster) => format!(
            "the log of step `{name}`, attempt {attempt}, is with Kubernetes: it is a pod of cluster `{cluster}`; as long as that is \
             there, `{}` reads it, where NAMESPACE is the cluster's `namespace`, or the step's `pod.namespace`",
            kubectl(&targets.run.to_string(), &name, attempt)
        ),
    };
    if !others.is_empty() {
        let named: Vec<_> = others.iter().take(NAMED).map(ToString::to_string).collect();
        let more = if others.len() > NAMED { ", …" } else { "" };
        let (rest, named) = (count - 1, named.join(", "));
        // Writing to a text cannot fail.
        let _ = write!(message, "; neither are those of {rest} more, on {named}{more}");
    }
    let error = ApiError::new(ErrorReason::LogOutOfReach, message);
    let error = error.with("run_id", &targets.run).with("step", &name);
    Ok(Some(match place {
        Place::Host(host) => error.with("host", &host),
        Place::Cluster(cluster) => error.with("cluster", &cluster),
    }))
}

/// What reads the log of an attempt's pod. Unless it is told otherwise, kubectl shows the last lines alone of what it finds by labels.
fn kubectl(run: &str, step: &str, attempt: u32) -> String {
    format!(
        "kubectl logs -n NAMESPACE -l {}={},{}={},{}={attempt} -c {} --tail=-1",
        label::RUN,
        label_value(run),
        label::STEP,
        label_value(step),
        label::ATTEMPT,
        label::MAIN_CONTAINER
    )
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
