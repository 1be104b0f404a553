//! The graph of a run: which step follows which, what holds what, and what each obeys. Immutable, and compact: 4 bytes per
//! edge and direction, 12 bytes per step.
//!
//! ```text
//!   steps ─────────────┐ ┌ exit steps    ┌ steps of the group ┐    ┌ body of the loop
//!   0 task  1 group  2 loop  3 task      4 task  5 task            6 task  7 task
//!   └──────────────────── the root block ──────────────────┘       └─ a block ──┘
//! ```
//!
//! A graph is made of *nodes*: a node is a step as it is defined. Where nothing is a loop, each node is one step of the
//! run; a node in the body of a loop becomes as many steps as the loop has items, once their number is known. How steps
//! come from nodes is told by [`layout`](crate::layout).
//!
//! Never inside: names of steps, commands, anything that a launcher needs. Steps are numbers here.

mod build;
mod edges;

use std::{collections::BTreeMap, num::NonZeroU32, ops::Range, sync::Arc};

pub use build::{GraphBuilder, Place};
pub use edges::Cycle;
use edges::Edges;

use crate::{
    logic::Logic,
    policy::{
        ClusterIndex, LimitsIndex, RetryAction, RetryRule, RulesIndex, RunPolicy, StepPolicy,
    },
    reason::Failure,
};

/// A node's place in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeIndex(pub u32);

impl NodeIndex {
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

/// A directed acyclic graph of steps.
#[derive(Debug, Clone)]
pub struct Graph {
    policy: RunPolicy,
    /// The distinct policies of steps; most graphs have a handful.
    policies: Vec<StepPolicy>,
    /// For each node, its place in `policies`.
    policy_of: Vec<u32>,
    /// The distinct lists of rules that policies name.
    rules: Vec<Vec<RetryRule>>,
    /// The distinct lists of named limits that policies name.
    limits: Vec<Arc<[Arc<str>]>>,
    /// The distinct clusters that policies name: at least one.
    clusters: Vec<Arc<str>>,
    /// Of each loop, where there are several clusters: those in which an item begins.
    item_clusters: BTreeMap<NodeIndex, Box<[ClusterIndex]>>,
    dependencies: Edges,
    dependents: Edges,
    /// All nodes but tasks.
    others: BTreeMap<NodeIndex, NodeKind>,
    /// By their first nodes.
    scopes: Vec<Scope>,
    /// By their first nodes. The first one is the root block.
    blocks: Vec<Block>,
    /// Whose outputs conditions and loops refer to, ascending.
    kept: Vec<NodeIndex>,
    logic: Arc<dyn Logic>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// Attempts are made of it.
    Task,
    /// It waits for somebody's word. No attempts are made of it.
    Approval,
    /// It holds these nodes. It begins when it may, and ends when all of them have.
    Group(Range<u32>),
    /// It holds these nodes, of which the first one whose condition holds is taken, and the others are skipped.
    Choice(Range<u32>),
    /// The nodes of its block are there once for each item.
    Loop {
        /// Which block.
        block: u32,
        /// The most items that are under way at once.
        max_parallelism: Option<NonZeroU32>,
    },
}

/// Nodes whose names are known to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Scope {
    first: u32,
    place: Place,
    /// Whether it is that of the exit steps, or within it.
    is_exit: bool,
}

/// Nodes that are there together, once or once for each item of a loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// All of them.
    pub(crate) nodes: Range<u32>,
    /// Those that no group of the block holds.
    pub(crate) top: Range<u32>,
}

impl Block {
    /// How many nodes there are.
    pub(crate) fn len(&self) -> u32 {
        self.nodes.end - self.nodes.start
    }
}

impl NodeKind {
    /// Whether it holds other nodes.
    pub fn is_holder(&self) -> bool {
        match self {
            Self::Task | Self::Approval => false,
            Self::Group(_) | Self::Choice(_) | Self::Loop { .. } => true,
        }
    }
}

impl Graph {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.policy_of.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.policy_of.is_empty()
    }

    /// How many steps a run has that has not begun: all nodes but those in the bodies of loops.
    pub fn root_len(&self) -> u32 {
        self.blocks.first().map_or(0, Block::len)
    }

    /// All nodes, in order.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeIndex> + use<> {
        (0..to_u32(self.len())).map(NodeIndex)
    }

    /// What the run obeys.
    pub fn policy(&self) -> &RunPolicy {
        &self.policy
    }

    /// What a node's steps obey.
    pub fn step_policy(&self, node: NodeIndex) -> &StepPolicy {
        &self.policies[self.policy_of[node.at()] as usize]
    }

    /// What is done about a failure of a node's step.
    pub fn action(&self, node: NodeIndex, failure: &Failure) -> RetryAction {
        let named = self.step_policy(node).rules;
        let rules = named.and_then(|RulesIndex(at)| self.rules.get(at as usize));
        let decides = rules.and_then(|rules| rules.iter().find(|rule| rule.lists(failure)));
        decides.map(|rule| rule.action).unwrap_or_default()
    }

    /// The named limits that attempts of a node's steps hold, ascending and each once; none where there are none.
    pub fn limits(&self, node: NodeIndex) -> Option<&Arc<[Arc<str>]>> {
        let LimitsIndex(at) = self.step_policy(node).limits?;
        self.limits.get(at as usize)
    }

    /// Whether attempts of any step hold named limits.
    pub fn has_limits(&self) -> bool {
        !self.limits.is_empty()
    }

    /// The names of all clusters whose launchers create attempts: at least one, each once.
    pub fn clusters(&self) -> &[Arc<str>] {
        &self.clusters
    }

    /// The cluster whose launchers create attempts of a node's steps.
    pub fn cluster(&self, node: NodeIndex) -> ClusterIndex {
        self.step_policy(node).cluster
    }

    /// The clusters in which the first steps of a loop's items may start: there is work for one of them when an item begins.
    pub(crate) fn item_clusters(&self, node: NodeIndex) -> &[ClusterIndex] {
        self.item_clusters.get(&node).map_or(&[ClusterIndex(0)], |clusters| clusters)
    }

    /// What a node is.
    pub fn kind(&self, node: NodeIndex) -> &NodeKind {
        self.others.get(&node).unwrap_or(&NodeKind::Task)
    }

    /// Whether attempts are made of it.
    pub fn is_task(&self, node: NodeIndex) -> bool {
        !self.others.contains_key(&node)
    }

    /// The nodes of its scope that a node waits for, ascending.
    pub fn dependencies(&self, node: NodeIndex) -> &[NodeIndex] {
        self.dependencies.of(node)
    }

    /// The nodes of its scope that wait for a node, ascending.
    pub fn dependents(&self, node: NodeIndex) -> &[NodeIndex] {
        self.dependents.of(node)
    }

    /// What holds a node.
    pub fn place(&self, node: NodeIndex) -> Place {
        self.scope(node).place
    }

    /// Whether it is an exit step, or held by one.
    pub fn is_exit(&self, node: NodeIndex) -> bool {
        self.scope(node).is_exit
    }

    /// The exit steps; empty where there are none.
    pub fn exit_nodes(&self) -> Range<u32> {
        self.top_scope(Place::Exit)
    }

    /// The pipeline's steps, exit steps left out.
    pub fn main_nodes(&self) -> Range<u32> {
        self.top_scope(Place::Run)
    }

    /// Whether a node's outputs are asked for by conditions or loops.
    pub fn keeps_outputs(&self, node: NodeIndex) -> bool {
        self.kept.binary_search(&node).is_ok()
    }

    /// Whether any node's are.
    pub fn keeps_any_outputs(&self) -> bool {
        !self.kept.is_empty()
    }

    /// What conditions and lists come to.
    pub fn logic(&self) -> &dyn Logic {
        &*self.logic
    }

    pub(crate) fn block(&self, block: u32) -> &Block {
        &self.blocks[block as usize]
    }

    /// How many loops and groups lie around a node.
    pub(crate) fn depth(&self, mut node: NodeIndex) -> u32 {
        let mut depth = 0;
        while let Place::In(holder) | Place::Items(holder) = self.place(node) {
            node = holder;
            depth += 1;
        }
        depth
    }

    fn scope(&self, node: NodeIndex) -> &Scope {
        let after = self.scopes.partition_point(|scope| scope.first <= node.0);
        &self.scopes[after - 1]
    }

    fn top_scope(&self, place: Place) -> Range<u32> {
        let at = self.scopes.iter().take(2).position(|scope| scope.place == place);
        at.map_or(0..0, |at| {
            let end = self.scopes.get(at + 1).map_or(to_u32(self.len()), |next| next.first);
            self.scopes[at].first..end
        })
    }

    /// Bytes that the graph takes; allocations counted as they are used.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(self.policies.as_slice())
            + size_of_val(self.policy_of.as_slice())
            + self.rules.iter().flatten().map(RetryRule::bytes).sum::<usize>()
            + self
                .limits
                .iter()
                .flat_map(|names| names.iter())
                .map(|name| name.len())
                .sum::<usize>()
            + self.clusters.iter().map(|name| size_of::<Arc<str>>() + name.len()).sum::<usize>()
            + self
                .item_clusters
                .values()
                .map(|clusters| size_of::<NodeIndex>() + size_of_val(clusters))
                .sum::<usize>()
            + self.others.len() * size_of::<(NodeIndex, NodeKind)>()
            + size_of_val(self.scopes.as_slice())
            + size_of_val(self.blocks.as_slice())
            + size_of_val(self.kept.as_slice())
            + self.dependencies.heap_bytes()
            + self.dependents.heap_bytes()
    }
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).expect("a graph has fewer steps and edges than 2^32")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(nodes: u32, edges: &[(u32, u32)]) -> Result<Graph, Cycle> {
        let mut builder = GraphBuilder::new(RunPolicy::default());
        for _ in 0..nodes {
            builder.add_step(StepPolicy::default());
        }
        for (node, on) in edges {
            builder.add_dependency(NodeIndex(*node), NodeIndex(*on));
        }
        builder.build()
    }

    #[test]
    fn edges_are_known_in_both_directions_and_count_once() {
        let graph = build(4, &[(3, 1), (3, 0), (3, 1), (2, 0)]).unwrap();
        assert_eq!(graph.dependencies(NodeIndex(3)), [NodeIndex(0), NodeIndex(1)]);
        assert_eq!(graph.dependents(NodeIndex(0)), [NodeIndex(2), NodeIndex(3)]);
        assert_eq!(graph.dependents(NodeIndex(3)), []);
    }

    #[test]
    fn a_cycle_is_named_without_the_steps_that_lead_to_it_or_hang_on_it() {
        let cycle = build(6, &[(1, 0), (1, 3), (2, 1), (3, 2), (4, 3), (5, 4)]).unwrap_err();
        assert_eq!(cycle.nodes, [1, 3, 2].map(NodeIndex));
        assert_eq!(build(1, &[(0, 0)]).unwrap_err().nodes, [NodeIndex(0)]);
    }

    #[test]
    fn every_node_knows_what_holds_it() {
        let mut builder = GraphBuilder::new(RunPolicy::default());
        let policy = StepPolicy::default();
        let task = builder.add_step(policy);
        let group = builder.add_step(policy);
        let outer = builder.add_step(policy);
        builder.begin(Place::Exit);
        let exit = builder.add_step(policy);
        builder.begin(Place::In(group));
        let held = builder.add_step(policy);
        builder.begin(Place::Items(outer));
        let inner = builder.add_step(policy);
        builder.begin(Place::Items(inner));
        let body = builder.add_step(policy);
        let graph = builder.build().unwrap();

        assert_eq!([task, exit].map(|node| graph.place(node)), [Place::Run, Place::Exit]);
        assert_eq!(graph.place(held), Place::In(group));
        assert_eq!([inner, body].map(|node| graph.place(node)), [outer, inner].map(Place::Items));
        assert_eq!((graph.root_len(), graph.main_nodes(), graph.exit_nodes()), (5, 0..3, 3..4));
        assert_eq!(graph.kind(group), &NodeKind::Group(4..5));
        assert_eq!(graph.kind(inner), &NodeKind::Loop { block: 2, max_parallelism: None });
        assert_eq!([task, held, body].map(|node| graph.depth(node)), [0, 1, 2]);
        assert!(graph.is_exit(exit) && !graph.is_exit(held));
    }
}
