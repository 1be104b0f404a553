//! The names of steps, kept for the runs that were asked for last.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use windlass_engine::record::StepIndex;
use windlass_pipeline::outline::RunSteps;
use windlass_proto::{encoded::EncodedPipeline, id::RunId};
use windlass_service::error::{ApiError, ErrorReason};
use windlass_store::Store;

/// How many runs' names are kept.
const RUNS: usize = 64;

/// Names of steps by run. Pipelines never change, so nothing in here goes stale.
#[derive(Debug, Default)]
pub(crate) struct NamesCache(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    names: BTreeMap<RunId, (u64, Arc<RunSteps>)>,
    uses: u64,
}

impl NamesCache {
    /// The steps of a run: at least those up to `last`.
    pub(crate) async fn of(
        &self,
        store: &dyn Store,
        run: RunId,
        last: Option<StepIndex>,
    ) -> Result<Arc<RunSteps>, ApiError> {
        let steps = match self.with(|inner| inner.find(run)) {
            Some(steps) => steps,
            None => Arc::new(read(store, run).await?),
        };
        if last.is_none_or(|last| steps.contains(last)) {
            self.with(|inner| inner.keep(run, steps.clone()));
            return Ok(steps);
        }
        self.grown(store, run, &steps).await
    }

    /// The step of a path, and what it is one of.
    pub(crate) async fn find(
        &self,
        store: &dyn Store,
        run: RunId,
        path: &str,
    ) -> Result<StepIndex, ApiError> {
        let steps = self.of(store, run, None).await?;
        if let Some(step) = steps.find(path) {
            return Ok(step);
        }
        // It may be of an item that has been there for a moment only.
        let steps = self.grown(store, run, &steps).await?;
        steps.find(path).ok_or_else(|| ApiError::step_not_found(run, path))
    }

    async fn grown(
        &self,
        store: &dyn Store,
        run: RunId,
        known: &RunSteps,
    ) -> Result<Arc<RunSteps>, ApiError> {
        let expansions = store.read_expansions(run, known.expansions()).await?;
        let mut steps = known.clone();
        steps
            .add(expansions.ok_or_else(|| ApiError::run_not_found(run))?)
            .map_err(|error| ApiError::new(ErrorReason::Damaged, error.to_string()))?;
        let steps = Arc::new(steps);
        self.with(|inner| inner.keep(run, steps.clone()));
        Ok(steps)
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Inner) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn read(store: &dyn Store, run: RunId) -> Result<RunSteps, ApiError> {
    let bytes = store.read_pipeline(run).await?.ok_or_else(|| ApiError::run_not_found(run))?;
    let steps = EncodedPipeline::new(bytes).and_then(|pipeline| RunSteps::of_encoded(&pipeline));
    steps.map_err(|error| {
        ApiError::new(
            ErrorReason::Damaged,
            format!("the stored pipeline of run {run} cannot be decoded: {error}; restore the store from a copy, or delete the run"),
        )
    })
}

impl Inner {
    fn find(&mut self, run: RunId) -> Option<Arc<RunSteps>> {
        self.uses += 1;
        let (used, names) = self.names.get_mut(&run)?;
        *used = self.uses;
        Some(names.clone())
    }

    fn keep(&mut self, run: RunId, names: Arc<RunSteps>) {
        self.names.insert(run, (self.uses, names));
        if self.names.len() > RUNS
            && let Some(oldest) =
                self.names.iter().min_by_key(|(_, (used, _))| *used).map(|(run, _)| *run)
        {
            self.names.remove(&oldest);
        }
    }
}
