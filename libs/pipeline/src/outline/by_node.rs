//! What is known of each node, where mostly many nodes in a row have the same.

use std::{collections::HashMap, hash::Hash};

use windlass_engine::graph::NodeIndex;

/// A value for each node: 8 bytes for each node whose value differs from that of the node before, and each distinct value
/// twice.
#[derive(Debug, Clone)]
pub(super) struct ByNode<T> {
    /// The distinct ones.
    kinds: Vec<T>,
    known: HashMap<T, u32>,
    /// Nodes where another one begins, and which.
    begins: Vec<(NodeIndex, u32)>,
}

impl<T> Default for ByNode<T> {
    fn default() -> Self {
        Self { kinds: Vec::new(), known: HashMap::new(), begins: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> ByNode<T> {
    /// Adds that of the next node.
    pub(super) fn push(&mut self, node: NodeIndex, value: T) {
        let next = self.kinds.len() as u32;
        let kind = self.known.get(&value).copied().unwrap_or(next);
        if kind == next {
            self.kinds.push(value.clone());
            self.known.insert(value, kind);
        }
        if self.begins.last().is_none_or(|(_, last)| *last != kind) {
            self.begins.push((node, kind));
        }
    }

    /// That of a node; none of one that was not added.
    pub(super) fn of(&self, node: NodeIndex) -> Option<&T> {
        let after = self.begins.partition_point(|(first, _)| *first <= node);
        let (_, kind) = self.begins.get(after.checked_sub(1)?)?;
        self.kinds.get(*kind as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_in_a_row_with_one_value_are_kept_once_and_equal_values_too() {
        let mut values = ByNode::default();
        for (node, value) in ["a", "a", "b", "b", "a"].into_iter().enumerate() {
            values.push(NodeIndex(node as u32), value);
        }
        let told: Vec<_> = (0..5).filter_map(|node| values.of(NodeIndex(node))).collect();
        assert_eq!(told, [&"a", &"a", &"b", &"b", &"a"]);
        assert_eq!((values.kinds.len(), values.begins.len()), (2, 3));
        assert_eq!(ByNode::<u8>::default().of(NodeIndex(0)), None);
    }
}
