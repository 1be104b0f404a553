//! The steps of one run, as those know them who show it or carry it out.

use std::sync::Arc;

use prost::DecodeError;
use windlass_engine::{
    layout::{Expansion, ImpossibleExpansion, Layout},
    record::StepIndex,
};
use windlass_proto::encoded::EncodedPipeline;

use super::Outline;
use crate::compile;

/// The steps of a run by number and by path, as far as its expansions are known.
#[derive(Debug, Clone)]
pub struct RunSteps {
    outline: Arc<Outline>,
    layout: Layout,
}

impl RunSteps {
    /// Those that a run of this pipeline begins with.
    pub fn of_encoded(pipeline: &EncodedPipeline) -> Result<Self, DecodeError> {
        let outline = Outline::of_encoded(pipeline)?;
        let layout = Layout::new(Arc::new(compile::shape(&outline)));
        Ok(Self { outline: Arc::new(outline), layout })
    }

    /// The nodes that they come from.
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// How they are numbered.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How many expansions are known: from where on to read more.
    pub fn expansions(&self) -> usize {
        self.layout.expansions().len()
    }

    /// Takes in more expansions, in order.
    pub fn add(
        &mut self,
        expansions: impl IntoIterator<Item = Expansion>,
    ) -> Result<(), ImpossibleExpansion> {
        expansions.into_iter().try_for_each(|expansion| self.layout.add(expansion))
    }

    /// Whether a step is known.
    pub fn contains(&self, step: StepIndex) -> bool {
        (step.0 as usize) < self.layout.len()
    }

    /// The path of a step; empty where it is not known.
    pub fn path(&self, step: StepIndex) -> String {
        self.outline.path(step, &self.layout)
    }

    /// The step of a path, of loops that of their latest expansion; none where it is not known.
    pub fn find(&self, path: &str) -> Option<StepIndex> {
        self.outline.find(path, &self.layout)
    }
}
