//! Edges in one direction, and the search for circles among them.

use super::{NodeIndex, to_u32};

/// The edges in one direction: one list of targets, cut into a slice per node.
#[derive(Debug, Clone)]
pub(super) struct Edges {
    /// One entry per node and one more; a node's slice goes from its entry to the next one.
    offsets: Vec<u32>,
    targets: Vec<NodeIndex>,
}

/// The dependencies go round in a circle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the dependencies of {} steps go round in a circle", .nodes.len())]
pub struct Cycle {
    /// Each step waits for the next one, and the last one for the first.
    pub nodes: Vec<NodeIndex>,
}

impl Edges {
    /// From (source, target) pairs in order.
    pub(super) fn new(nodes: usize, sorted: &[(NodeIndex, NodeIndex)]) -> Self {
        let mut offsets = vec![0; nodes + 1];
        for (source, _) in sorted {
            offsets[source.at() + 1] += 1;
        }
        for at in 0..nodes {
            offsets[at + 1] += offsets[at];
        }
        Self { offsets, targets: sorted.iter().map(|(_, target)| *target).collect() }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(self.offsets.as_slice()) + size_of_val(self.targets.as_slice())
    }

    pub(super) fn of(&self, node: NodeIndex) -> &[NodeIndex] {
        &self.targets[self.offsets[node.at()] as usize..self.offsets[node.at() + 1] as usize]
    }
}

/// Kahn's algorithm (Communications of the ACM 5, 1962): takes away nodes that wait for nothing until none is left.
pub(super) fn refuse_cycles(dependencies: &Edges, dependents: &Edges) -> Result<(), Cycle> {
    let nodes = dependencies.offsets.len() - 1;
    let all = (0..to_u32(nodes)).map(NodeIndex);
    let mut waiting: Vec<u32> =
        all.clone().map(|node| to_u32(dependencies.of(node).len())).collect();
    let mut free: Vec<NodeIndex> = all.clone().filter(|node| waiting[node.at()] == 0).collect();
    let mut taken = 0;
    while let Some(node) = free.pop() {
        taken += 1;
        for dependent in dependents.of(node) {
            waiting[dependent.at()] -= 1;
            if waiting[dependent.at()] == 0 {
                free.push(*dependent);
            }
        }
    }
    if taken == nodes {
        return Ok(());
    }
    let start =
        all.into_iter().find(|node| waiting[node.at()] > 0).expect("some node was not taken");
    Err(find_cycle(dependencies, &waiting, start))
}

/// Follows dependencies among the nodes that are left, each of which waits for another one that is left, until one
/// comes up again.
fn find_cycle(dependencies: &Edges, waiting: &[u32], start: NodeIndex) -> Cycle {
    let mut seen_at = std::collections::HashMap::new();
    let mut path = Vec::new();
    let mut node = start;
    loop {
        if let Some(first) = seen_at.insert(node, path.len()) {
            return Cycle { nodes: path.split_off(first) };
        }
        path.push(node);
        node = *dependencies
            .of(node)
            .iter()
            .find(|on| waiting[on.at()] > 0)
            .expect("a node that was not taken waits for another one");
    }
}
