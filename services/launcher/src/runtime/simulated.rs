//! Attempts that only take time: for tests and benchmarks.
//!
//! Inside: a plan that says how long each attempt takes and how it ends, carried out by tokio's clock. What takes no time
//! is reported at once, for a whole batch, without a task or a timer.
//!
//! Never inside: processes, files.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::task::AbortHandle;
use windlass_engine::{
    event::{AttemptPhase, AttemptReport},
    reason::Failure,
    record::StepIndex,
    time::Timestamp,
};
use windlass_proto::id::RunId;

use super::{AttemptKey, AttemptSpec, CachedResult, KeepResult, Report, ReportSender, Runtime};
use crate::clock;

/// What an attempt does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedAttempt {
    /// How long it takes.
    pub duration: Duration,
    /// How it ends then.
    pub end: SimulatedEnd,
}

/// How a simulated attempt ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SimulatedEnd {
    /// Well, with these outputs: a JSON object.
    Succeed(Option<Arc<str>>),
    /// Not well.
    Fail(Failure),
    /// Not until it is stopped.
    Hang,
}

/// Says what each attempt does. It is called while the runtime is locked, and must not call it.
pub type Plan = Arc<dyn Fn(&AttemptSpec) -> SimulatedAttempt + Send + Sync>;

/// A runtime whose attempts do as planned. Clones share everything.
#[derive(Clone)]
pub struct SimulatedRuntime {
    reports: ReportSender,
    plan: Plan,
    world: Arc<Mutex<World>>,
}

impl fmt::Debug for SimulatedRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedRuntime").finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct World {
    runs: HashMap<RunId, HashMap<(u32, u32), Known>>,
    /// How often each attempt was created; kept when its run is removed.
    starts: Option<HashMap<AttemptKey, u32>>,
}

/// An attempt that exists, or never will. Small, since there may be millions.
#[derive(Debug)]
enum Known {
    Running(Option<AbortHandle>),
    Succeeded(Option<Arc<str>>, Option<Box<KeepResult>>),
    Cached(Box<CachedResult>),
    Failed(Arc<Failure>),
    Stopped,
    NotCreated,
}

impl Known {
    fn phase(&self) -> AttemptPhase {
        match self {
            Self::Running(_) => AttemptPhase::Running,
            Self::Succeeded(outputs, _) => AttemptPhase::Succeeded(outputs.clone()),
            Self::Cached(cached) => {
                AttemptPhase::Cached(cached.outputs.clone(), cached.source.clone())
            }
            Self::Failed(failure) => AttemptPhase::Failed(Failure::clone(failure)),
            Self::Stopped => AttemptPhase::Stopped,
            Self::NotCreated => AttemptPhase::NotCreated,
        }
    }
}

impl SimulatedRuntime {
    /// A runtime without attempts.
    pub fn new(reports: ReportSender, plan: Plan) -> Self {
        Self { reports, plan, world: Arc::default() }
    }

    /// Counts from now on how often each attempt is created.
    #[must_use]
    pub fn counting_starts(self) -> Self {
        self.world().starts = Some(HashMap::new());
        self
    }

    /// How often the attempt was created, also by clones and in runs that were removed since; 0 unless
    /// [counted](Self::counting_starts). More than 1 means that work was done twice.
    pub fn starts(&self, key: AttemptKey) -> u32 {
        let world = self.world();
        world.starts.as_ref().and_then(|starts| starts.get(&key)).copied().unwrap_or(0)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, world: &mut World, attempt: &AttemptSpec, now: Timestamp) {
        let World { runs, starts } = world;
        let key = attempt.key;
        let entry = match runs.entry(key.run).or_default().entry((key.step, key.attempt)) {
            Entry::Occupied(known) => return self.report(key, known.get(), None, None),
            Entry::Vacant(entry) => entry,
        };
        if let Some(cached) = &attempt.cached {
            let known = Known::Cached(Box::new(cached.clone()));
            self.report(key, &known, None, Some(now));
            entry.insert(known);
            return;
        }
        if let Some(starts) = starts {
            *starts.entry(key).or_default() += 1;
        }
        let SimulatedAttempt { duration, end } = (self.plan)(attempt);
        let end = match end {
            SimulatedEnd::Succeed(outputs) => Some(Known::Succeeded(outputs, keep(attempt))),
            SimulatedEnd::Fail(failure) => Some(Known::Failed(Arc::new(failure))),
            SimulatedEnd::Hang => None,
        };
        let (known, ended_at) = match end {
            Some(end) if duration.is_zero() => (end, Some(now)),
            Some(end) => (Known::Running(Some(self.end_later(key, duration, end, now))), None),
            None => (Known::Running(None), None),
        };
        self.report(key, &known, Some(now), ended_at);
        entry.insert(known);
    }

    fn end_later(
        &self,
        key: AttemptKey,
        duration: Duration,
        end: Known,
        started_at: Timestamp,
    ) -> AbortHandle {
        let runtime = self.clone();
        let task = tokio::spawn(async move {
            tokio::time::sleep(duration).await;
            runtime.end(key, end, Some(started_at));
        });
        task.abort_handle()
    }

    /// Ends an attempt that runs.
    fn end(&self, key: AttemptKey, end: Known, started_at: Option<Timestamp>) {
        let mut world = self.world();
        let known =
            world.runs.get_mut(&key.run).and_then(|run| run.get_mut(&(key.step, key.attempt)));
        if let Some(known @ Known::Running(_)) = known {
            self.report(key, &end, started_at, Some(clock::now()));
            *known = end;
        }
    }

    fn report(
        &self,
        key: AttemptKey,
        known: &Known,
        started_at: Option<Timestamp>,
        ended_at: Option<Timestamp>,
    ) {
        let report = AttemptReport {
            step: StepIndex(key.step),
            attempt: key.attempt,
            phase: known.phase(),
            created_at: started_at,
            started_at,
            ended_at,
        };
        // Who no longer listens asks again when it does.
        let keep = match known {
            Known::Succeeded(_, keep) => keep.as_deref().cloned(),
            _ => None,
        };
        let _ = self.reports.send(Report { run: key.run, report, keep });
    }
}

fn keep(attempt: &AttemptSpec) -> Option<Box<KeepResult>> {
    let cache = attempt.cache?;
    Some(Box::new(KeepResult { key: cache.key.0, step: attempt.step.clone() }))
}

#[async_trait]
impl Runtime for SimulatedRuntime {
    async fn start(&self, attempts: Vec<AttemptSpec>, _: Instant) -> Vec<AttemptKey> {
        let now = clock::now();
        let mut world = self.world();
        for attempt in &attempts {
            self.create(&mut world, attempt, now);
        }
        Vec::new()
    }

    async fn stop(&self, key: AttemptKey) {
        let mut world = self.world();
        let run = world.runs.entry(key.run).or_default();
        let known = run.entry((key.step, key.attempt)).or_insert(Known::NotCreated);
        let mut ended_at = None;
        if let Known::Running(task) = known {
            if let Some(task) = task {
                task.abort();
            }
            *known = Known::Stopped;
            ended_at = Some(clock::now());
        }
        self.report(key, known, None, ended_at);
    }

    async fn probe(&self, key: AttemptKey) -> bool {
        let world = self.world();
        let known = world.runs.get(&key.run).and_then(|run| run.get(&(key.step, key.attempt)));
        if let Some(known) = known {
            self.report(key, known, None, None);
        }
        known.is_some()
    }

    async fn remove(&self, run: RunId) {
        self.world().runs.remove(&run);
    }
}
