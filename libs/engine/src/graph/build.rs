//! How a graph is put together: scope after scope, in the order in which its nodes are numbered.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    num::NonZeroU32,
    ops::Range,
    sync::Arc,
};

use super::{
    Block, Cycle, Graph, NodeIndex, NodeKind, Scope,
    edges::{Edges, refuse_cycles},
    to_u32,
};
use crate::{
    logic::{Logic, NoLogic},
    policy::{
        ClusterIndex, DEFAULT_CLUSTER, LimitsIndex, RetryRule, RulesIndex, RunPolicy, StepPolicy,
    },
};

/// What holds the nodes of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The run.
    Run,
    /// The run, which begins them when all others have ended.
    Exit,
    /// A group or a choice.
    In(NodeIndex),
    /// A loop: they are there once for each item.
    Items(NodeIndex),
}

/// Puts a [`Graph`] together.
///
/// The scope of the run is there from the beginning, and steps are added to the scope begun last. The scopes of a block
/// come one after the other, so that a loop's scope comes after the last group of the block that the loop is in.
#[derive(Debug)]
pub struct GraphBuilder {
    policy: RunPolicy,
    policies: Vec<StepPolicy>,
    known: HashMap<StepPolicy, u32>,
    policy_of: Vec<u32>,
    rules: Vec<Vec<RetryRule>>,
    known_rules: HashMap<Vec<RetryRule>, RulesIndex>,
    limits: Vec<Arc<[Arc<str>]>>,
    clusters: Vec<Arc<str>>,
    known_clusters: HashMap<Arc<str>, ClusterIndex>,
    /// (node, the node it waits for)
    edges: Vec<(NodeIndex, NodeIndex)>,
    scopes: Vec<Scope>,
    /// Where blocks begin; the end of the top scope, once another scope has begun.
    blocks: Vec<(u32, Option<u32>)>,
    choices: BTreeSet<NodeIndex>,
    approvals: BTreeSet<NodeIndex>,
    widths: BTreeMap<NodeIndex, NonZeroU32>,
    kept: BTreeSet<NodeIndex>,
    logic: Arc<dyn Logic>,
}

impl GraphBuilder {
    /// A graph without steps.
    pub fn new(policy: RunPolicy) -> Self {
        Self {
            policy,
            policies: Vec::new(),
            known: HashMap::new(),
            policy_of: Vec::new(),
            rules: Vec::new(),
            known_rules: HashMap::new(),
            limits: Vec::new(),
            clusters: Vec::new(),
            known_clusters: HashMap::new(),
            edges: Vec::new(),
            scopes: vec![Scope { first: 0, place: Place::Run, is_exit: false }],
            blocks: vec![(0, None)],
            choices: BTreeSet::new(),
            approvals: BTreeSet::new(),
            widths: BTreeMap::new(),
            kept: BTreeSet::new(),
            logic: Arc::new(NoLogic),
        }
    }

    /// Begins another scope: what is added from now on is held by `place`.
    ///
    /// # Panics
    ///
    /// If the holder was not added before.
    pub fn begin(&mut self, place: Place) {
        let first = to_u32(self.policy_of.len());
        let is_exit = match place {
            Place::Run => false,
            Place::Exit => true,
            Place::In(holder) | Place::Items(holder) => {
                assert!(holder.0 < first, "{holder:?} is not a step of this graph");
                let after = self.scopes.partition_point(|scope| scope.first <= holder.0);
                self.scopes[after - 1].is_exit
            }
        };
        match (place, self.blocks.last_mut()) {
            (Place::Items(_), _) => self.blocks.push((first, None)),
            // What the run holds, exit steps included, is one scope after the other at the top of the root block.
            (Place::In(_), Some((_, end @ None))) => *end = Some(first),
            (Place::Run | Place::Exit | Place::In(_), _) => {}
        }
        self.scopes.push(Scope { first, place, is_exit });
    }

    /// Adds a list of rules, for policies to name; none if it is empty. The same list is kept once.
    pub fn add_rules(&mut self, rules: Vec<RetryRule>) -> Option<RulesIndex> {
        if rules.is_empty() {
            return None;
        }
        if let Some(known) = self.known_rules.get(&rules) {
            return Some(*known);
        }
        let index = RulesIndex(to_u32(self.rules.len()));
        self.rules.push(rules.clone());
        self.known_rules.insert(rules, index);
        Some(index)
    }

    /// Adds a list of named limits, for policies to name; none if it is empty. The same limits are kept once.
    pub fn add_limits(&mut self, names: impl IntoIterator<Item = Arc<str>>) -> Option<LimitsIndex> {
        let names: BTreeSet<Arc<str>> = names.into_iter().collect();
        if names.is_empty() {
            return None;
        }
        let known = self.limits.iter().position(|known| known.iter().eq(&names));
        let at = known.unwrap_or_else(|| {
            self.limits.push(names.into_iter().collect());
            self.limits.len() - 1
        });
        Some(LimitsIndex(to_u32(at)))
    }

    /// Adds a cluster, for policies to name; each name is kept once. A graph to which none is added has one,
    /// [`DEFAULT_CLUSTER`].
    pub fn add_cluster(&mut self, name: &str) -> ClusterIndex {
        if let Some(known) = self.known_clusters.get(name) {
            return *known;
        }
        let (index, name) = (ClusterIndex(to_u32(self.clusters.len())), Arc::<str>::from(name));
        self.clusters.push(name.clone());
        self.known_clusters.insert(name, index);
        index
    }

    /// Adds a step and tells its index: steps are numbered in the order they are added. It is a task, until a scope is
    /// begun that it holds.
    pub fn add_step(&mut self, policy: StepPolicy) -> NodeIndex {
        let next = to_u32(self.policies.len());
        let place = *self.known.entry(policy).or_insert(next);
        if place == next {
            self.policies.push(policy);
        }
        self.policy_of.push(place);
        NodeIndex(to_u32(self.policy_of.len() - 1))
    }

    /// Of what a node holds, only the first part is to run whose condition holds.
    pub fn set_choice(&mut self, node: NodeIndex) {
        self.choices.insert(node);
    }

    /// A node that holds none waits for somebody's word, and is no task.
    pub fn set_approval(&mut self, node: NodeIndex) {
        self.approvals.insert(node);
    }

    /// Limits the items of a loop that are under way at once.
    pub fn set_max_parallelism(&mut self, node: NodeIndex, items: NonZeroU32) {
        self.widths.insert(node, items);
    }

    /// Has the run keep what a task puts out, for the [`Logic`] to see.
    pub fn keep_outputs(&mut self, node: NodeIndex) {
        self.kept.insert(node);
    }

    /// Says what conditions and lists come to. Without it, conditions hold and lists are empty.
    pub fn set_logic(&mut self, logic: Arc<dyn Logic>) {
        self.logic = logic;
    }

    /// Has `node` wait for `on`, both of one scope. Said twice, it counts once.
    ///
    /// # Panics
    ///
    /// If one of the two was not added before.
    pub fn add_dependency(&mut self, node: NodeIndex, on: NodeIndex) {
        let known = self.policy_of.len();
        assert!(
            node.at() < known && on.at() < known,
            "{node:?} or {on:?} is not a step of this graph"
        );
        self.edges.push((node, on));
    }

    /// Ends the building; refuses a graph that no order of its steps satisfies.
    pub fn build(mut self) -> Result<Graph, Cycle> {
        self.edges.sort_unstable();
        self.edges.dedup();
        let nodes = self.policy_of.len();
        let dependencies = Edges::new(nodes, &self.edges);
        for edge in &mut self.edges {
            *edge = (edge.1, edge.0);
        }
        self.edges.sort_unstable();
        let dependents = Edges::new(nodes, &self.edges);
        refuse_cycles(&dependencies, &dependents)?;
        if self.clusters.is_empty() {
            self.add_cluster(DEFAULT_CLUSTER);
        }
        let (others, blocks) = (self.others(), self.blocks());
        let item_clusters = self.item_clusters(&others, &dependencies);
        Ok(Graph {
            others,
            clusters: self.clusters,
            item_clusters,
            blocks,
            policy: self.policy,
            policies: self.policies,
            policy_of: self.policy_of,
            rules: self.rules,
            limits: self.limits,
            dependencies,
            dependents,
            scopes: self.scopes,
            kept: self.kept.into_iter().collect(),
            logic: self.logic,
        })
    }

    /// The nodes of each scope.
    fn ranges(&self) -> impl Iterator<Item = (Place, Range<u32>)> {
        let ends = self.scopes.iter().skip(1).map(|scope| scope.first);
        let ends = ends.chain([to_u32(self.policy_of.len())]);
        self.scopes.iter().zip(ends).map(|(scope, end)| (scope.place, scope.first..end))
    }

    /// All nodes but tasks.
    fn others(&self) -> BTreeMap<NodeIndex, NodeKind> {
        let mut block = 0;
        let approvals = self.approvals.iter().map(|node| (*node, NodeKind::Approval));
        let holders = self.ranges().filter_map(|(place, held)| match place {
            Place::Run | Place::Exit => None,
            Place::In(node) if self.choices.contains(&node) => Some((node, NodeKind::Choice(held))),
            Place::In(node) => Some((node, NodeKind::Group(held))),
            Place::Items(node) => {
                block += 1;
                let max_parallelism = self.widths.get(&node).copied();
                Some((node, NodeKind::Loop { block, max_parallelism }))
            }
        });
        approvals.chain(holders).collect()
    }

    /// For each loop, the clusters in which an item begins; nothing where there is but one.
    fn item_clusters(
        &self,
        others: &BTreeMap<NodeIndex, NodeKind>,
        dependencies: &Edges,
    ) -> BTreeMap<NodeIndex, Box<[ClusterIndex]>> {
        if self.clusters.len() == 1 {
            return BTreeMap::new();
        }
        let mut first: BTreeMap<NodeIndex, BTreeSet<ClusterIndex>> = BTreeMap::new();
        let scopes: Vec<_> = self.ranges().collect();
        // What lies within comes after what holds it.
        for (place, nodes) in scopes.into_iter().rev() {
            let (Place::In(holder) | Place::Items(holder)) = place else { continue };
            let mut clusters = BTreeSet::new();
            let begins = |node: &NodeIndex| dependencies.of(*node).is_empty();
            for node in nodes.map(NodeIndex).filter(begins) {
                match others.get(&node) {
                    None => {
                        clusters.insert(self.policies[self.policy_of[node.at()] as usize].cluster);
                    }
                    Some(_) => clusters.extend(first.get(&node).into_iter().flatten()),
                }
            }
            first.insert(holder, clusters);
        }
        let all = || (0..to_u32(self.clusters.len())).map(ClusterIndex).collect();
        let loops = others.iter().filter(|(_, kind)| matches!(kind, NodeKind::Loop { .. }));
        let of_loop = |(node, _): (&NodeIndex, _)| {
            let clusters = first.remove(node).filter(|clusters| !clusters.is_empty());
            (*node, clusters.map_or_else(all, |clusters| clusters.into_iter().collect()))
        };
        loops.map(of_loop).collect()
    }

    fn blocks(&self) -> Vec<Block> {
        let ends = self.blocks.iter().skip(1).map(|(first, _)| *first);
        let ends = ends.chain([to_u32(self.policy_of.len())]);
        let blocks = self.blocks.iter().zip(ends);
        blocks
            .map(|((first, top_end), end)| Block {
                nodes: *first..end,
                top: *first..top_end.unwrap_or(end),
            })
            .collect()
    }
}
