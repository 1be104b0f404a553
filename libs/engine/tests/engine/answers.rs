//! What the conditions and lists of random graphs come to, and what their tasks put out: drawn from a seed, the step's path,
//! and all that the step may refer to.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
};

use windlass_engine::{
    graph::{Graph, NodeIndex, Place},
    logic::{Facts, Logic},
    record::{RunState, StepIndex, StepState},
};

use super::paths::{Path, path, upwards};

/// What a step may refer to.
#[derive(Debug, Default, Hash)]
pub(crate) struct Seen {
    /// What the step and each that holds it wait for, from the inside out: where it is, and what it put out.
    pub(crate) steps: Vec<(StepState, Option<u64>)>,
    /// Seen by exit steps.
    pub(crate) run: Option<RunState>,
}

/// Whether a step's condition holds: mostly it does.
pub(crate) fn condition(seed: u64, path: &Path, view: &Seen) -> Result<bool, String> {
    match draw((seed, "condition", path, view), 12) {
        0 => Err("no value".to_owned()),
        draw => Ok(draw < 8),
    }
}

/// How many items a loop has: as many as a step says that it sees, where one is that puts out anything.
pub(crate) fn items(seed: u64, path: &Path, view: &Seen) -> Result<u32, String> {
    let said = view.steps.iter().find_map(|(_, output)| *output);
    match draw((seed, "items", path, view), 12) {
        0 => Err("no list".to_owned()),
        draw => Ok(said.map_or(draw as u32 % 4, |said| said as u32 % 5)),
    }
}

/// What a task's n-th attempt (from 0) puts out, if it succeeds.
pub(crate) fn output(path: &Path, attempt: u32) -> u64 {
    draw((path, attempt), 1000)
}

pub(crate) fn draw(from: impl Hash, below: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    from.hash(&mut hasher);
    hasher.finish() % below
}

/// Gives these answers to a run.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) seed: u64,
}

impl Logic for Drawn {
    fn condition(&self, step: StepIndex, facts: &dyn Facts) -> Result<bool, String> {
        condition(self.seed, &path(facts.layout(), step), &seen(step, facts))
    }

    fn items(&self, step: StepIndex, facts: &dyn Facts) -> Result<u32, String> {
        items(self.seed, &path(facts.layout(), step), &seen(step, facts))
    }
}

fn seen(step: StepIndex, facts: &dyn Facts) -> Seen {
    let layout = facts.layout();
    let look = |step| {
        let output = facts.outputs(step).and_then(|outputs| outputs["n"].as_u64());
        (facts.state(step), output)
    };
    let levels = upwards(layout, step);
    let mut steps: Vec<_> = levels.flat_map(|level| layout.dependencies(level)).map(look).collect();
    let mut run = None;
    if layout.graph().is_exit(layout.node(step)) {
        steps.extend(layout.graph().main_nodes().map(StepIndex).map(look));
        run = Some(facts.run_state());
    }
    for (state, _) in &steps {
        assert!(state.is_final(), "{step:?} is asked for before all is known that it refers to");
    }
    Seen { steps, run }
}

/// The nodes that a loop has for each of its items.
pub(crate) fn body(graph: &Graph, of: NodeIndex) -> Vec<NodeIndex> {
    let is_of = |node: &NodeIndex| graph.place(*node) == Place::Items(of);
    graph.nodes().filter(is_of).collect()
}
