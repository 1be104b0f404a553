//! The graph of a run: which step follows which, and what each obeys. Immutable, and compact: 4 bytes per edge and
//! direction, 12 bytes per step.
//!
//! Never inside: names, commands, anything that a launcher needs. Steps are numbers here.

use std::collections::HashMap;

use crate::{
    policy::{RunPolicy, StepPolicy},
    record::StepIndex,
};

/// A directed acyclic graph of steps.
#[derive(Debug, Clone)]
pub struct Graph {
    policy: RunPolicy,
    /// The distinct policies of steps; most graphs have a handful.
    policies: Vec<StepPolicy>,
    /// For each step, its place in `policies`.
    policy_of: Vec<u32>,
    dependencies: Edges,
    dependents: Edges,
}

impl Graph {
    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.policy_of.len()
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.policy_of.is_empty()
    }

    /// All steps, in order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = StepIndex> + use<> {
        (0..to_u32(self.len())).map(StepIndex)
    }

    /// Whether a step is in the graph.
    pub fn contains(&self, step: StepIndex) -> bool {
        step.at() < self.len()
    }

    /// What the run obeys.
    pub fn policy(&self) -> &RunPolicy {
        &self.policy
    }

    /// What a step obeys.
    pub fn step_policy(&self, step: StepIndex) -> &StepPolicy {
        &self.policies[self.policy_of[step.at()] as usize]
    }

    /// The steps that a step waits for, ascending.
    pub fn dependencies(&self, step: StepIndex) -> &[StepIndex] {
        self.dependencies.of(step)
    }

    /// The steps that wait for a step, ascending.
    pub fn dependents(&self, step: StepIndex) -> &[StepIndex] {
        self.dependents.of(step)
    }

    /// Bytes that the graph takes; allocations counted as they are used.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(self.policies.as_slice())
            + size_of_val(self.policy_of.as_slice())
            + self.dependencies.heap_bytes()
            + self.dependents.heap_bytes()
    }
}

/// Puts a [`Graph`] together.
#[derive(Debug)]
pub struct GraphBuilder {
    policy: RunPolicy,
    policies: Vec<StepPolicy>,
    known: HashMap<StepPolicy, u32>,
    policy_of: Vec<u32>,
    /// (step, the step it waits for)
    edges: Vec<(StepIndex, StepIndex)>,
}

/// The dependencies go round in a circle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the dependencies of {} steps go round in a circle", .steps.len())]
pub struct Cycle {
    /// Each step waits for the next one, and the last one for the first.
    pub steps: Vec<StepIndex>,
}

impl GraphBuilder {
    /// A graph without steps.
    pub fn new(policy: RunPolicy) -> Self {
        Self {
            policy,
            policies: Vec::new(),
            known: HashMap::new(),
            policy_of: Vec::new(),
            edges: Vec::new(),
        }
    }

    /// Adds a step and tells its index: steps are numbered in the order they are added.
    pub fn add_step(&mut self, policy: StepPolicy) -> StepIndex {
        let next = to_u32(self.policies.len());
        let place = *self.known.entry(policy).or_insert(next);
        if place == next {
            self.policies.push(policy);
        }
        self.policy_of.push(place);
        StepIndex(to_u32(self.policy_of.len() - 1))
    }

    /// Has `step` wait for `on`. Said twice, it counts once.
    ///
    /// # Panics
    ///
    /// If one of the two was not added before.
    pub fn add_dependency(&mut self, step: StepIndex, on: StepIndex) {
        let known = self.policy_of.len();
        assert!(
            step.at() < known && on.at() < known,
            "{step:?} or {on:?} is not a step of this graph"
        );
        self.edges.push((step, on));
    }

    /// Ends the building; refuses a graph that no order of its steps satisfies.
    pub fn build(mut self) -> Result<Graph, Cycle> {
        self.edges.sort_unstable();
        self.edges.dedup();
        let steps = self.policy_of.len();
        let dependencies = Edges::new(steps, &self.edges);
        for edge in &mut self.edges {
            *edge = (edge.1, edge.0);
        }
        self.edges.sort_unstable();
        let dependents = Edges::new(steps, &self.edges);
        refuse_cycles(&dependencies, &dependents)?;
        Ok(Graph {
            policy: self.policy,
            policies: self.policies,
            policy_of: self.policy_of,
            dependencies,
            dependents,
        })
    }
}

/// The edges in one direction: one list of targets, cut into a slice per step.
#[derive(Debug, Clone)]
struct Edges {
    /// One entry per step and one more; a step's slice goes from its entry to the next one.
    offsets: Vec<u32>,
    targets: Vec<StepIndex>,
}

impl Edges {
    /// From (source, target) pairs in order.
    fn new(steps: usize, sorted: &[(StepIndex, StepIndex)]) -> Self {
        let mut offsets = vec![0; steps + 1];
        for (source, _) in sorted {
            offsets[source.at() + 1] += 1;
        }
        for at in 0..steps {
            offsets[at + 1] += offsets[at];
        }
        Self { offsets, targets: sorted.iter().map(|(_, target)| *target).collect() }
    }

    fn heap_bytes(&self) -> usize {
        size_of_val(self.offsets.as_slice()) + size_of_val(self.targets.as_slice())
    }

    fn of(&self, step: StepIndex) -> &[StepIndex] {
        &self.targets[self.offsets[step.at()] as usize..self.offsets[step.at() + 1] as usize]
    }
}

/// Kahn's algorithm (Communications of the ACM 5, 1962): takes away steps that wait for nothing until none is left.
fn refuse_cycles(dependencies: &Edges, dependents: &Edges) -> Result<(), Cycle> {
    let steps = dependencies.offsets.len() - 1;
    let all = (0..to_u32(steps)).map(StepIndex);
    let mut waiting: Vec<u32> =
        all.clone().map(|step| to_u32(dependencies.of(step).len())).collect();
    let mut free: Vec<StepIndex> = all.clone().filter(|step| waiting[step.at()] == 0).collect();
    let mut taken = 0;
    while let Some(step) = free.pop() {
        taken += 1;
        for dependent in dependents.of(step) {
            waiting[dependent.at()] -= 1;
            if waiting[dependent.at()] == 0 {
                free.push(*dependent);
            }
        }
    }
    if taken == steps {
        return Ok(());
    }
    let start =
        all.into_iter().find(|step| waiting[step.at()] > 0).expect("some step was not taken");
    Err(find_cycle(dependencies, &waiting, start))
}

/// Follows dependencies among the steps that are left, each of which waits for another one that is left, until one
/// comes up again.
fn find_cycle(dependencies: &Edges, waiting: &[u32], start: StepIndex) -> Cycle {
    let mut seen_at = HashMap::new();
    let mut path = Vec::new();
    let mut step = start;
    loop {
        if let Some(first) = seen_at.insert(step, path.len()) {
            return Cycle { steps: path.split_off(first) };
        }
        path.push(step);
        step = *dependencies
            .of(step)
            .iter()
            .find(|on| waiting[on.at()] > 0)
            .expect("a step that was not taken waits for another one");
    }
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).expect("a graph has fewer steps and edges than 2^32")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(steps: u32, edges: &[(u32, u32)]) -> Result<Graph, Cycle> {
        let mut builder = GraphBuilder::new(RunPolicy::default());
        for _ in 0..steps {
            builder.add_step(StepPolicy::default());
        }
        for (step, on) in edges {
            builder.add_dependency(StepIndex(*step), StepIndex(*on));
        }
        builder.build()
    }

    #[test]
    fn edges_are_known_in_both_directions_and_count_once() {
        let graph = build(4, &[(3, 1), (3, 0), (3, 1), (2, 0)]).unwrap();
        assert_eq!(graph.dependencies(StepIndex(3)), [StepIndex(0), StepIndex(1)]);
        assert_eq!(graph.dependents(StepIndex(0)), [StepIndex(2), StepIndex(3)]);
        assert_eq!(graph.dependents(StepIndex(3)), []);
    }

    #[test]
    fn a_cycle_is_named_without_the_steps_that_lead_to_it_or_hang_on_it() {
        let cycle = build(6, &[(1, 0), (1, 3), (2, 1), (3, 2), (4, 3), (5, 4)]).unwrap_err();
        assert_eq!(cycle.steps, [1, 3, 2].map(StepIndex));
        assert_eq!(build(1, &[(0, 0)]).unwrap_err().steps, [StepIndex(0)]);
    }
}
