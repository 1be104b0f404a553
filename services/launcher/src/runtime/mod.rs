//! What attempts run on: one trait, and its implementations.
//!
//! A runtime knows attempts and nothing else: not the graph, not retries, not the bus, not the store.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use windlass_engine::{event::AttemptReport, record::CacheSource};
use windlass_proto::{
    cache_key::CacheKey,
    id::RunId,
    v1::{Pod, SecretKey, Wait},
};

pub mod kubernetes;
pub mod process;
pub mod simulated;

/// Names an attempt: the n-th try of a step in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey {
    /// The run.
    pub run: RunId,
    /// The step's index.
    pub step: u32,
    /// From 1.
    pub attempt: u32,
}

impl fmt::Display for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.run, self.step, self.attempt)
    }
}

/// All that a runtime needs to create an attempt. References are resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptSpec {
    /// Which attempt it is.
    pub key: AttemptKey,
    /// The namespace of the run.
    pub namespace: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The step's path.
    pub step: String,
    /// The image of its container; none where none was given.
    pub image: Option<String>,
    /// The program and its arguments; empty only where there is an image, whose own program runs then.
    pub command: Vec<String>,
    /// Arguments of an image's own program; empty where there is a command.
    pub args: Vec<String>,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// Variables that have what secrets of Kubernetes have; others than those of `env`.
    pub secrets: BTreeMap<String, SecretKey>,
    /// What it asks of its pod, where it asks anything. Not checked again since references became values.
    pub pod: Option<Arc<Pod>>,
    /// Where the program starts, if not where the runtime says.
    pub working_dir: Option<PathBuf>,
    /// Between TERM and KILL.
    pub termination_grace: Duration,
    /// The most resident memory of all its processes together.
    pub memory_bytes: Option<u64>,
    /// Names of the outputs it must write.
    pub outputs: Vec<String>,
    /// How its result is kept; none where it is not.
    pub cache: Option<CacheUse>,
    /// A result that is taken: then nothing is run, and the attempt is over with it.
    pub cached: Option<CachedResult>,
}

/// How the result of an attempt is kept, and which one may be taken instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheUse {
    /// Of all that the result depends on.
    pub key: CacheKey,
    /// How old a result may be to be taken.
    pub max_age: Duration,
}

/// A result that is taken instead of running an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedResult {
    /// A JSON object, where the step wrote any outputs.
    pub outputs: Option<Arc<str>>,
    /// Where it came from.
    pub source: CacheSource,
}

/// How the result of an attempt that succeeded is to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepResult {
    /// The [`CacheKey`].
    pub key: [u8; 32],
    /// The step's path.
    pub step: String,
}

/// A report of one run's attempt, on its way to the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The run.
    pub run: RunId,
    /// What is known.
    pub report: AttemptReport,
    /// Of one that succeeded: how its result is to be kept, where it is.
    pub keep: Option<KeepResult>,
}

/// What attempts wait for that do not run yet, as one runtime knows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Waits {
    /// Of those that were asked about, the ones that it knows.
    pub known: Vec<(AttemptKey, Wait)>,
    /// What another attempt would wait for that it were told to create now; none where nothing is known of.
    pub next: Option<Wait>,
    /// Whether it would create another attempt at once, as far as it knows.
    pub has_room: bool,
}

/// Where a runtime sends its reports. Unbounded, since what it holds is bounded by the attempts in flight.
pub type ReportSender = mpsc::UnboundedSender<Report>;

/// Something that attempts run on.
///
/// Reports go through the [`ReportSender`] that the runtime was made with. Repeated reports do no harm; a missing one does: each attempt that
/// [`start`](Self::start) took is followed by a report of its end, also when creating it failed.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Creates attempts. Returns when they are taken, which may be before they exist: a runtime that is full may keep them
    /// until there is room. An attempt that exists already is not created again; its present phase is reported instead. One with
    /// a result that is taken is over from then on, and never will exist.
    ///
    /// Those that are returned it has not taken: they may exist or not, are created no more, and are to be started again after a
    /// new look at whether they are wanted.
    ///
    /// `wanted_at` is no later than the moment at which the store said that they are wanted. A runtime that forgets attempts which
    /// are over creates none when that is too long ago: another launcher may have seen to it meanwhile.
    async fn start(&self, attempts: Vec<AttemptSpec>, wanted_at: Instant) -> Vec<AttemptKey>;

    /// Ends an attempt. Is followed by a report that it stopped, that it had ended by itself before, or, where it does
    /// not exist and never existed here, that it was not created (and [`start`](Self::start) will not create it later).
    async fn stop(&self, key: AttemptKey);

    /// Has the present phase of an attempt reported. False if the attempt is not known here: then nothing is reported.
    async fn probe(&self, key: AttemptKey) -> bool;

    /// Removes all that is kept of a run whose attempts have all ended.
    async fn remove(&self, run: RunId);

    /// Begins nothing from now on, and waits until nothing is being created: of what is half created when its launcher ends, the
    /// next one can only say that it is lost.
    async fn settle(&self) {}

    /// Names the host on which this runtime's attempts exist, and nowhere else; none where all launchers on such a runtime see
    /// the same attempts under the same names. Where there is one, attempts are claimed for it before they are created.
    fn holder(&self) -> Option<&str> {
        None
    }

    /// Whether what is kept here belongs to runs of this store, as far as can be told. The first store that is named is
    /// remembered with what is kept.
    async fn belongs_to(&self, _store: &str) -> bool {
        true
    }

    /// Waits until attempts could begin at once, and tells how many.
    async fn room(&self) -> usize {
        usize::MAX
    }

    /// How many commands to create attempts may be carried out at once. One, where what they take up of the
    /// [room](Self::room) shows only when they have been.
    fn commands_at_once(&self) -> usize {
        usize::MAX
    }

    /// What launchers on this runtime divide among themselves; none where each looks after its own.
    fn shards(&self) -> Option<&dyn Shards> {
        None
    }

    /// The attempts of which something is kept here, those that have ended included. Only asked of a runtime with a
    /// [`holder`](Self::holder), or for what runs they belong to.
    async fn known(&self) -> Vec<AttemptKey> {
        Vec::new()
    }

    /// What these attempts wait for, and what another one would. Somebody waits for the answer: it takes no second. Nothing, unless
    /// a runtime has words of its own.
    async fn waits(&self, _attempts: Vec<AttemptKey>) -> Waits {
        Waits::default()
    }
}

/// Attempts that all launchers of a cluster can see, and of which each looks after a part: those of the shards that it holds.
#[async_trait]
pub trait Shards: Send + Sync {
    /// The cluster.
    fn cluster(&self) -> &str;

    /// Looks after these shards from now on, and no others: reports what becomes of their attempts. Of those that it did not have
    /// before, it reports all attempts that there are. Returns when nothing is created any more in those that it had, or will be
    /// soon.
    async fn hold(&self, shards: BTreeSet<u32>);

    /// The attempts of these shards that have not ended and have been there for so long that the store should know of them.
    fn lingering(&self) -> Vec<AttemptKey>;

    /// The attempts of these shards that have ended and been kept for as long as they should be.
    fn expired(&self) -> Vec<AttemptKey>;

    /// Removes attempts that have ended, and whose end is safe, and ends those that nobody waits for any more. Of the runs named, no attempt will be created any more.
    async fn discard(&self, attempts: Vec<AttemptKey>, ended_runs: BTreeSet<RunId>);
}
