//! From what is stored of a run to the run that the engine decides upon: the scheduler's way to load a run, and the submitter's
//! to explain one.
//!
//! ```text
//!   StoredRun ──▶ Compiled::of ── kept ──▶ Store::read_outputs ──▶ load ──▶ Run
//! ```
//!
//! Nothing here does I/O: what takes long where a run is large can be done where it holds nobody up.

use std::{collections::BTreeMap, sync::Arc};

use windlass_engine::{
    graph::Graph,
    layout::Layout,
    record::StepIndex,
    run::{self, Mismatch, Run, Stored},
};
use windlass_pipeline::compile::{self, CompileError};
use windlass_proto::encoded::EncodedPipeline;
use windlass_store::StoredRun;

/// Why a stored run cannot be brought to life.
#[derive(Debug, thiserror::Error)]
pub enum ReviveError {
    /// Its pipeline does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Its arguments are none.
    #[error("the run's arguments are no JSON object: {0}; the store is damaged")]
    Arguments(#[from] serde_json::Error),
    /// Its records are not those of its pipeline.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
}

/// The graph of a stored run, and how its steps are numbered.
#[derive(Debug)]
pub struct Compiled {
    graph: Arc<Graph>,
    layout: Layout,
}

impl Compiled {
    /// Compiles the pipeline of a stored run.
    pub fn of(stored: &StoredRun) -> Result<Self, ReviveError> {
        let view = &stored.view;
        let pipeline = EncodedPipeline::new(stored.pipeline.clone()).map_err(CompileError::from)?;
        let arguments = serde_json::from_str(view.arguments_json())?;
        let (run, limits) = (view.submission.id, view.limit_changes());
        let graph = Arc::new(compile::graph_of_run(&pipeline, run, arguments, limits)?);
        let layout = Layout::with(graph.clone(), stored.expansions.iter().copied())
            .map_err(Mismatch::from)?;
        Ok(Self { graph, layout })
    }

    /// The steps whose outputs the run needs to be loaded.
    pub fn kept(&self, stored: &StoredRun) -> Vec<StepIndex> {
        run::kept(&self.layout, &stored.steps)
    }

    /// Brings the run to life, with the outputs of the steps that it [keeps](Self::kept).
    pub fn load(
        self,
        stored: &StoredRun,
        outputs: BTreeMap<StepIndex, Arc<str>>,
    ) -> Result<Run, ReviveError> {
        let parts = Stored {
            record: stored.view.record.clone(),
            steps: stored.steps.clone(),
            expansions: stored.expansions.clone(),
            outputs: outputs.into_iter().collect(),
        };
        Ok(Run::load(self.graph, parts)?)
    }
}
