//! The names of steps, kept for the runs that were asked for last.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use prost::DecodeError;
use windlass_pipeline::compile::StepNames;
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
    names: BTreeMap<RunId, (u64, Arc<StepNames>)>,
    uses: u64,
}

impl NamesCache {
    /// The names of a run's steps.
    pub(crate) async fn of(
        &self,
        store: &dyn Store,
        run: RunId,
    ) -> Result<Arc<StepNames>, ApiError> {
        if let Some(names) = self.with(|inner| inner.find(run)) {
            return Ok(names);
        }
        let bytes = store.read_pipeline(run).await?.ok_or_else(|| ApiError::run_not_found(run))?;
        let names = read_names(bytes).map_err(|error| {
            ApiError::new(
                ErrorReason::Damaged,
                format!("the stored pipeline of run {run} cannot be decoded: {error}; restore the store from a copy, or delete the run"),
            )
        })?;
        let names = Arc::new(names);
        self.with(|inner| inner.keep(run, names.clone()));
        Ok(names)
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Inner) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read_names(pipeline: Bytes) -> Result<StepNames, DecodeError> {
    EncodedPipeline::new(pipeline)?.steps().map(|step| Ok(step?.name)).collect()
}

impl Inner {
    fn find(&mut self, run: RunId) -> Option<Arc<StepNames>> {
        self.uses += 1;
        let (used, names) = self.names.get_mut(&run)?;
        *used = self.uses;
        Some(names.clone())
    }

    fn keep(&mut self, run: RunId, names: Arc<StepNames>) {
        self.names.insert(run, (self.uses, names));
        if self.names.len() > RUNS
            && let Some(oldest) =
                self.names.iter().min_by_key(|(_, (used, _))| *used).map(|(run, _)| *run)
        {
            self.names.remove(&oldest);
        }
    }
}
