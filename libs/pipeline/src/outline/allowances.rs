//! What attempts of each node may take. Mostly many nodes in a row have the same.

use std::collections::HashMap;

use windlass_engine::graph::NodeIndex;

use crate::allowance::Allowance;

/// The allowances of all nodes: 8 bytes for each node whose allowance differs from that of the node before.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowances {
    /// The distinct ones.
    kinds: Vec<Option<Allowance>>,
    known: HashMap<Option<Allowance>, u32>,
    /// Nodes where another one begins, and which.
    begins: Vec<(NodeIndex, u32)>,
}

impl Allowances {
    /// Adds that of the next node.
    pub(super) fn push(&mut self, node: NodeIndex, allowance: Option<Allowance>) {
        let next = self.kinds.len() as u32;
        let kind = *self.known.entry(allowance).or_insert(next);
        if kind == next {
            self.kinds.push(allowance);
        }
        if self.begins.last().is_none_or(|(_, last)| *last != kind) {
            self.begins.push((node, kind));
        }
    }

    /// That of a node; none where no attempts are made of it.
    pub(super) fn of(&self, node: NodeIndex) -> Option<Allowance> {
        let after = self.begins.partition_point(|(first, _)| *first <= node);
        let (_, kind) = self.begins.get(after.checked_sub(1)?)?;
        self.kinds[*kind as usize]
    }
}
