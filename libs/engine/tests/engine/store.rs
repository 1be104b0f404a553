//! A store that takes from each commit what its delta names, and nothing else.

use std::{collections::BTreeMap, sync::Arc};

use windlass_engine::{
    graph::Graph,
    layout::Layout,
    output::Delta,
    record::{StepIndex, StepRecord},
    run::{Run, Stored, kept},
};

/// What was committed of a run.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    layout: Layout,
    stored: Stored,
    outputs: BTreeMap<StepIndex, Arc<str>>,
}

impl Store {
    /// Of a run that has not begun.
    pub(crate) fn new(graph: &Arc<Graph>) -> Self {
        let run = Run::new(graph.clone());
        let (record, steps) = (run.record().clone(), run.steps().to_vec());
        let stored = Stored { record, steps, ..Stored::default() };
        Self { layout: Layout::new(graph.clone()), stored, outputs: BTreeMap::new() }
    }

    /// Commits what the engine decided, and has it loaded: what the delta names is all that changed, and what the run
    /// derived on its way is what a load derives.
    #[track_caller]
    pub(crate) fn commit(&mut self, run: &Run, delta: &Delta) {
        if delta.run {
            self.stored.record = run.record().clone();
        }
        assert_eq!(&self.stored.record, run.record(), "a change that the delta does not name");
        if !delta.expansions.is_empty() {
            self.stored.expansions.extend(&delta.expansions);
            let expansions = self.stored.expansions.iter().copied();
            self.layout =
                Layout::with(self.layout.graph().clone(), expansions).expect("they are its own");
            self.stored.steps.resize(self.layout.len(), StepRecord::default());
        }
        for step in &delta.steps {
            self.stored.steps[step.0 as usize] = *run.step(*step);
        }
        self.outputs.extend(delta.outputs.iter().cloned());
        assert_eq!(&self.load(), run, "what was derived on the way is what a load derives");
    }

    /// The run as it was committed.
    pub(crate) fn load(&self) -> Run {
        let graph = self.layout.graph().clone();
        Run::load(graph, self.stored()).expect("its records are its own")
    }

    /// What a load is given.
    pub(crate) fn stored(&self) -> Stored {
        let needed = kept(&self.layout, &self.stored.steps).into_iter();
        let outputs = needed.filter_map(|step| self.outputs.get_key_value(&step));
        let outputs = outputs.map(|(step, outputs)| (*step, outputs.clone())).collect();
        Stored { outputs, ..self.stored.clone() }
    }
}
