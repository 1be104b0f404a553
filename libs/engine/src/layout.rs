//! Which steps a run has: how the nodes of its graph become steps, and how the steps of a loop's items are numbered.
//!
//! ```text
//!   the root block │ item 0 of a loop │ item 1 │ item 2 │ item 0 of another loop │ …
//!   0 ……………………… r-1 │ r …………………………… │        │        │
//! ```
//!
//! The steps of the root block have the numbers of their nodes. When the number of a loop's items becomes known, the loop
//! *expands*: its items get the next free numbers, a block's length each. So a loop costs one [`Expansion`] and the records
//! of its steps; edges and policies are the nodes', moved by a step's distance from its node.
//!
//! A retry of the run may expand a loop anew, since its list may be another one. The steps of the expansion before stay where
//! they are and are *superseded*: they have ended, and count no more.

use std::{collections::HashMap, ops::Range, sync::Arc};

use crate::{
    graph::{Block, Graph, NodeIndex, NodeKind, Place},
    record::{StepIndex, StepRecord},
};

/// The most steps that a run may have, those of its loops' items included.
pub const STEPS_MAX: u32 = 16_000_000;

/// A loop whose number of items is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Expansion {
    /// The loop.
    pub step: StepIndex,
    /// The first step of its first item; the others follow.
    pub first: StepIndex,
    /// How many items there are.
    pub items: u32,
}

/// A graph, and how its loops have expanded.
#[derive(Debug, Clone)]
pub struct Layout {
    graph: Arc<Graph>,
    /// In the order of their first steps.
    expansions: Vec<Expansion>,
    /// The block of each.
    blocks: Vec<u32>,
    /// The latest expansion of each loop that has any.
    latest: HashMap<StepIndex, usize>,
    len: u32,
}

/// What holds a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The run.
    Run,
    /// The run, among its exit steps.
    Exit,
    /// A group or a choice.
    Step(StepIndex),
    /// An item of a loop.
    Item(Item),
}

/// An item of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Item {
    /// The loop.
    pub of: StepIndex,
    /// The item's place in the list, from 0.
    pub index: u32,
}

/// An expansion that cannot be one of this run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "step {} is stored to have expanded to {} items from step {} on, which cannot be: the store is damaged",
    .0.step.0, .0.items, .0.first.0
)]
pub struct ImpossibleExpansion(pub Expansion);

impl Layout {
    /// A run that has not begun.
    pub fn new(graph: Arc<Graph>) -> Self {
        let len = graph.root_len();
        Self { graph, expansions: Vec::new(), blocks: Vec::new(), latest: HashMap::new(), len }
    }

    /// A run whose loops have expanded so, in this order.
    pub fn with(
        graph: Arc<Graph>,
        expansions: impl IntoIterator<Item = Expansion>,
    ) -> Result<Self, ImpossibleExpansion> {
        let mut layout = Self::new(graph);
        expansions.into_iter().try_for_each(|expansion| layout.add(expansion))?;
        Ok(layout)
    }

    /// Takes in an expansion that somebody else decided: the next one after those that are known.
    pub fn add(&mut self, expansion: Expansion) -> Result<(), ImpossibleExpansion> {
        let is_loop = expansion.step.0 < self.len
            && expansion.first.0 == self.len
            && matches!(self.kind(expansion.step), NodeKind::Loop { .. });
        let added = is_loop.then(|| self.expand(expansion.step, expansion.items)).flatten();
        if added == Some(expansion) { Ok(()) } else { Err(ImpossibleExpansion(expansion)) }
    }

    /// Gives a loop its items; none where the run would have more than [`STEPS_MAX`] steps.
    pub(crate) fn expand(&mut self, step: StepIndex, items: u32) -> Option<Expansion> {
        let NodeKind::Loop { block, .. } = *self.kind(step) else {
            return None;
        };
        let len = self.graph.block(block).len().checked_mul(items)?.checked_add(self.len)?;
        if len > STEPS_MAX {
            return None;
        }
        let expansion = Expansion { step, first: StepIndex(self.len), items };
        self.latest.insert(step, self.expansions.len());
        self.expansions.push(expansion);
        self.blocks.push(block);
        self.len = len;
        Some(expansion)
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All steps, in order.
    pub fn steps(&self) -> impl ExactSizeIterator<Item = StepIndex> + use<> {
        (0..self.len).map(StepIndex)
    }

    /// The graph.
    pub fn graph(&self) -> &Arc<Graph> {
        &self.graph
    }

    /// All expansions, also those that are superseded, in the order in which they came.
    pub fn expansions(&self) -> &[Expansion] {
        &self.expansions
    }

    /// The latest expansion of a loop.
    pub fn expansion(&self, step: StepIndex) -> Option<&Expansion> {
        self.latest.get(&step).map(|at| &self.expansions[*at])
    }

    /// The node that a step comes from.
    pub fn node(&self, step: StepIndex) -> NodeIndex {
        self.node_in(step, self.item(step))
    }

    /// What a step is.
    pub fn kind(&self, step: StepIndex) -> &NodeKind {
        self.graph.kind(self.node(step))
    }

    /// The step that comes from `node`, a node of the block of `step`'s own, beside it.
    pub fn beside(&self, step: StepIndex, node: NodeIndex) -> StepIndex {
        moved(step, self.node(step), node)
    }

    /// What holds a step.
    pub fn holder(&self, step: StepIndex) -> Holder {
        let item = self.item(step);
        let node = self.node_in(step, item);
        match (self.graph.place(node), item) {
            (Place::In(holder), _) => Holder::Step(moved(step, node, holder)),
            (_, Some((at, index, _))) => Holder::Item(Item { of: self.expansions[at].step, index }),
            (Place::Exit, None) => Holder::Exit,
            (Place::Run | Place::Items(_), None) => Holder::Run,
        }
    }

    /// The steps that a step waits for, ascending.
    pub fn dependencies(&self, step: StepIndex) -> impl Iterator<Item = StepIndex> + '_ {
        let node = self.node(step);
        self.graph.dependencies(node).iter().map(move |on| moved(step, node, *on))
    }

    /// The steps that wait for a step, ascending.
    pub fn dependents(&self, step: StepIndex) -> impl Iterator<Item = StepIndex> + '_ {
        let node = self.node(step);
        self.graph.dependents(node).iter().map(move |on| moved(step, node, *on))
    }

    /// One of the steps that wait for a step.
    pub(crate) fn dependent(&self, step: StepIndex, at: usize) -> Option<StepIndex> {
        let node = self.node(step);
        self.graph.dependents(node).get(at).map(|on| moved(step, node, *on))
    }

    /// What a step holds, which is a group, a choice, or a loop: of a loop, the steps of all its items that no group holds.
    pub fn held(&self, step: StepIndex) -> Box<dyn Iterator<Item = StepIndex> + '_> {
        let node = self.node(step);
        match self.graph.kind(node) {
            NodeKind::Task | NodeKind::Approval => Box::new(std::iter::empty()),
            NodeKind::Group(held) | NodeKind::Choice(held) => {
                Box::new(held.clone().map(move |held| moved(step, node, NodeIndex(held))))
            }
            NodeKind::Loop { .. } => {
                let items = self.expansion(step).map_or(0, |expansion| expansion.items);
                let of_item = move |index| self.top_of(Item { of: step, index });
                Box::new((0..items).flat_map(of_item).map(StepIndex))
            }
        }
    }

    /// The steps of an item.
    ///
    /// # Panics
    ///
    /// If its loop has not expanded.
    pub fn steps_of(&self, item: Item) -> Range<u32> {
        let at = self.latest_of(item.of);
        let len = self.block(at).len();
        let first = self.expansions[at].first.0 + item.index * len;
        first..first + len
    }

    /// The steps of an item that no group holds.
    ///
    /// # Panics
    ///
    /// If its loop has not expanded.
    pub fn top_of(&self, item: Item) -> Range<u32> {
        let at = self.latest_of(item.of);
        let block = self.block(at);
        let first = self.expansions[at].first.0 + item.index * block.len();
        first..first + (block.top.end - block.top.start)
    }

    /// The ranges of steps that count: the root block, and the expansions that are not superseded. `records` are those of all
    /// steps.
    pub fn current<'a>(
        &'a self,
        records: &'a [StepRecord],
    ) -> impl Iterator<Item = Range<u32>> + 'a {
        self.current_where(|step| records.get(step.at()).is_some_and(StepRecord::has_opened))
    }

    /// The same, for who knows of each loop that has ever expanded whether it [has opened](StepRecord::has_opened).
    pub fn current_where(
        &self,
        has_opened: impl Fn(StepIndex) -> bool,
    ) -> impl Iterator<Item = Range<u32>> + '_ {
        let mut current = vec![false; self.expansions.len()];
        for (at, expansion) in self.expansions.iter().enumerate() {
            let around = self.expansion_around(expansion.step);
            current[at] = has_opened(expansion.step)
                && self.latest.get(&expansion.step) == Some(&at)
                && around.is_none_or(|around| current[around]);
        }
        let expansions = self.expansions.iter().enumerate().zip(current);
        let ranges = expansions.filter(|(_, current)| *current).map(|((at, expansion), _)| {
            let first = expansion.first.0;
            first..first + expansion.items * self.block(at).len()
        });
        std::iter::once(0..self.graph.root_len()).chain(ranges)
    }

    /// The block of which an expansion is.
    fn block(&self, at: usize) -> &Block {
        self.graph.block(self.blocks[at])
    }

    fn latest_of(&self, step: StepIndex) -> usize {
        *self.latest.get(&step).expect("the loop has expanded")
    }

    /// The node of a step that is [`item`](Self::item).
    fn node_in(&self, step: StepIndex, item: Option<(usize, u32, u32)>) -> NodeIndex {
        item.map_or(NodeIndex(step.0), |(at, _, place)| {
            NodeIndex(self.block(at).nodes.start + place)
        })
    }

    /// Where in `expansions` the one is that a step belongs to.
    fn expansion_around(&self, step: StepIndex) -> Option<usize> {
        if step.0 < self.graph.root_len() {
            return None;
        }
        self.expansions.partition_point(|expansion| expansion.first <= step).checked_sub(1)
    }

    /// Where in `expansions` the one is that a step belongs to, the index of its item, and its place in the item.
    fn item(&self, step: StepIndex) -> Option<(usize, u32, u32)> {
        let at = self.expansion_around(step)?;
        let len = self.block(at).len();
        let place = step.0 - self.expansions[at].first.0;
        Some((at, place / len, place % len))
    }

    /// Bytes on the heap; allocations counted as they are used.
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of_val(self.expansions.as_slice())
            + size_of_val(self.blocks.as_slice())
            + self.latest.len() * size_of::<(StepIndex, usize)>()
    }
}

/// The step of `to` that is as far from it as `step` is from its node.
fn moved(step: StepIndex, node: NodeIndex, to: NodeIndex) -> StepIndex {
    // A step may well have a lower number than its node.
    StepIndex(to.0 + step.0 - node.0)
}
