//! In which order steps could start.

use std::collections::VecDeque;

use windlass_engine::graph::{Graph, NodeIndex, Place};

use crate::outline::Outline;

/// When each node could start, by node, from 0: one later than the last one that it waits for, where each task takes one. What a
/// node holds starts with it, and it takes as long as that does. Exit steps start when all others have ended.
pub(super) fn levels(graph: &Graph, outline: &Outline) -> Vec<u32> {
    let scopes: Vec<_> = outline.scopes().collect();
    // From the start of what holds a node to the node's own.
    let mut after = vec![0; outline.len()];
    let mut lengths = vec![1; scopes.len()];
    // What nodes hold comes after them.
    for (at, (_, nodes)) in scopes.iter().enumerate().rev() {
        let length = |node| outline.held_by(node).map_or(1, |held| lengths[held]);
        lengths[at] = order(graph, nodes.clone(), length, &mut after).max(1);
    }
    let mut levels = after;
    for (place, nodes) in &scopes {
        let begin = match place {
            Place::Run => 0,
            Place::Exit => lengths[0],
            Place::In(holder) | Place::Items(holder) => levels[holder.0 as usize],
        };
        levels[nodes.start as usize..nodes.end as usize]
            .iter_mut()
            .for_each(|level| *level += begin);
    }
    levels
}

/// When the nodes of a scope could start, counted from its own start; tells when all have ended.
fn order(
    graph: &Graph,
    nodes: std::ops::Range<u32>,
    length: impl Fn(NodeIndex) -> u32,
    starts: &mut [u32],
) -> u32 {
    let first = nodes.start;
    let mut waits_for: Vec<usize> =
        nodes.clone().map(|node| graph.dependencies(NodeIndex(node)).len()).collect();
    let mut next: VecDeque<NodeIndex> =
        nodes.map(NodeIndex).filter(|node| waits_for[(node.0 - first) as usize] == 0).collect();
    let mut ended = 0;
    while let Some(node) = next.pop_front() {
        let end = starts[node.0 as usize].saturating_add(length(node));
        ended = ended.max(end);
        for dependent in graph.dependents(node) {
            let start = &mut starts[dependent.0 as usize];
            *start = end.max(*start);
            let waits_for = &mut waits_for[(dependent.0 - first) as usize];
            *waits_for -= 1;
            if *waits_for == 0 {
                next.push_back(*dependent);
            }
        }
    }
    ended
}

/// All nodes, each followed by what it holds.
pub(super) fn nested_order(outline: &Outline) -> Vec<NodeIndex> {
    let tops = outline.scopes().filter(|(place, _)| matches!(place, Place::Run | Place::Exit));
    let mut next: Vec<u32> = tops.flat_map(|(_, nodes)| nodes).collect();
    next.reverse();
    let mut order = Vec::with_capacity(outline.len());
    while let Some(node) = next.pop().map(NodeIndex) {
        order.push(node);
        if let Some(held) = outline.held_by(node) {
            next.extend(outline.range(held).rev());
        }
    }
    order
}
