//! The nodes of a pipeline: what they are called, what holds them, and where a name leads.
//!
//! ```text
//!   v1::Pipeline ──▶ walk ──▶ Outline ──▶ compile::graph   numbers, edges and policies for the engine
//!                               ├───────▶ path, find       names of steps in a run
//!                               └───────▶ resolve          values of references
//! ```
//!
//! Nodes are numbered as the engine's graph has them: the pipeline's steps, its exit steps, what groups and branches hold,
//! level by level; then the bodies of loops, each in the same way. Steps of the pipeline's own list that are tasks stay
//! encoded where they are: a million of them take some 8 bytes each, and their names.

mod by_node;
mod names;
mod path;
mod run_steps;
mod walk;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    ops::Range,
    sync::Arc,
};

use prost::DecodeError;
use prost_types::{Value, value::Kind};
use windlass_engine::graph::{NodeIndex, Place};
use windlass_proto::{
    encoded::EncodedPipeline,
    v1::{self, step::Work},
};

use by_node::ByNode;
use names::Names;
pub use run_steps::RunSteps;

use crate::allowance::Allowance;

/// The nodes of a pipeline.
#[derive(Debug, Clone)]
pub struct Outline {
    names: Names,
    /// None where no attempts are made of a node.
    allowances: ByNode<Option<Allowance>>,
    /// The named limits of tasks.
    limits: ByNode<Arc<[String]>>,
    /// By their first nodes.
    scopes: Vec<Scope>,
    /// The scopes that nodes hold.
    holders: HashMap<NodeIndex, usize>,
    /// The steps that nodes were made of, without the steps in them; those of the pipeline's own list that are tasks are left
    /// out.
    definitions: HashMap<NodeIndex, v1::Step>,
    /// How many steps the pipeline's own list has.
    listed: u32,
}

/// Nodes whose names are known to each other.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    first: u32,
    pub(crate) place: Place,
    /// The scope that what holds it lies in; of the exit steps that of the pipeline's steps.
    around: Option<usize>,
    /// Whether its nodes' names mean something: branches are alternatives, and the work of a loop over a task has none.
    pub(crate) is_named: bool,
    pub(crate) inputs: Option<v1::Inputs>,
    /// What the group puts out, by name: one reference each.
    pub(crate) outputs: BTreeMap<String, String>,
}

/// What every approval puts out: who has given it, and what was said with it.
pub(crate) const APPROVAL_OUTPUTS: [&str; 2] = ["approved_by", "comment"];

/// How many steps a run of a pipeline begins with: all but those in the bodies of loops.
pub fn root_len(pipeline: &v1::Pipeline) -> u32 {
    fn len(steps: &[v1::Step]) -> usize {
        let held = |step: &v1::Step| match &step.work {
            _ if step.for_each.is_some() => 0,
            Some(Work::Group(group)) => len(&group.steps),
            Some(Work::Branches(branches)) => len(&branches.branches),
            Some(Work::Task(_) | Work::Approval(_)) | None => 0,
        };
        steps.len() + steps.iter().map(held).sum::<usize>()
    }
    let len = len(&pipeline.steps) + len(&pipeline.exit_steps);
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// A pipeline in one of its forms.
pub(crate) trait Source {
    /// All but the steps.
    fn head(&self) -> &v1::Pipeline;

    /// The steps of the pipeline's own list.
    fn steps(&self) -> impl Iterator<Item = Result<Cow<'_, v1::Step>, DecodeError>>;
}

impl Source for v1::Pipeline {
    fn head(&self) -> &v1::Pipeline {
        self
    }

    fn steps(&self) -> impl Iterator<Item = Result<Cow<'_, v1::Step>, DecodeError>> {
        self.steps.iter().map(|step| Ok(Cow::Borrowed(step)))
    }
}

impl Source for EncodedPipeline {
    fn head(&self) -> &v1::Pipeline {
        self.head()
    }

    fn steps(&self) -> impl Iterator<Item = Result<Cow<'_, v1::Step>, DecodeError>> {
        self.steps().map(|step| step.map(Cow::Owned))
    }
}

impl Outline {
    /// The nodes of an encoded pipeline.
    pub fn of_encoded(pipeline: &EncodedPipeline) -> Result<Self, DecodeError> {
        walk::walk(pipeline)
    }

    /// The nodes of a pipeline in any form.
    pub(crate) fn of(pipeline: &impl Source) -> Result<Self, DecodeError> {
        walk::walk(pipeline)
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.names.len() == 0
    }

    /// How many steps the pipeline's own list has.
    pub fn listed(&self) -> u32 {
        self.listed
    }

    /// Whether every node is a task of the pipeline's own list.
    pub fn is_plain(&self) -> bool {
        self.definitions.is_empty()
    }

    /// Whether there are loops, so that a run has more steps than nodes.
    pub fn has_loops(&self) -> bool {
        self.scopes.iter().any(|scope| matches!(scope.place, Place::Items(_)))
    }

    /// A node's name within its scope; empty for the work of a loop over a task or over branches.
    pub fn name(&self, node: NodeIndex) -> &str {
        self.names.get(node.0)
    }

    /// What a node was made of, without the steps in it; none for the tasks of the pipeline's own list.
    pub fn definition(&self, node: NodeIndex) -> Option<&v1::Step> {
        self.definitions.get(&node)
    }

    /// What attempts of a node's steps may take; none where no attempts are made of it.
    pub fn allowance(&self, node: NodeIndex) -> Option<Allowance> {
        self.allowances.of(node).copied().flatten()
    }

    /// The named limits that attempts of a node's steps hold.
    pub fn limits(&self, node: NodeIndex) -> &[String] {
        self.limits.of(node).map(AsRef::as_ref).unwrap_or_default()
    }

    /// All nodes with their definitions, but for the tasks of the pipeline's own list.
    pub(crate) fn definitions(&self) -> impl Iterator<Item = (NodeIndex, &v1::Step)> {
        self.definitions.iter().map(|(node, step)| (*node, step))
    }

    /// The scopes in order: what holds each, and its nodes.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = (Place, Range<u32>)> + '_ {
        (0..self.scopes.len()).map(|at| (self.scopes[at].place, self.range(at)))
    }

    /// The scope that a node lies in.
    pub(crate) fn scope_of(&self, node: NodeIndex) -> usize {
        self.scopes.partition_point(|scope| scope.first <= node.0) - 1
    }

    pub(crate) fn scope(&self, at: usize) -> &Scope {
        &self.scopes[at]
    }

    pub(crate) fn range(&self, at: usize) -> Range<u32> {
        let end = self.scopes.get(at + 1).map_or(self.names.len() as u32, |next| next.first);
        self.scopes[at].first..end
    }

    /// The scope that a node holds.
    pub(crate) fn held_by(&self, node: NodeIndex) -> Option<usize> {
        self.holders.get(&node).copied()
    }

    fn named_in(&self, scope: usize, name: &str) -> Option<NodeIndex> {
        if !self.scopes[scope].is_named {
            return None;
        }
        self.names.find(self.range(scope), name).map(NodeIndex)
    }

    /// The node that `steps.NAME` means to a node: that of the nearest scope around that has one of the name.
    pub(crate) fn lookup(&self, from: NodeIndex, name: &str) -> Option<NodeIndex> {
        let mut at = self.scope_of(from);
        loop {
            if let Some(found) = self.named_in(at, name) {
                return Some(found);
            }
            at = self.outward(at)?;
        }
    }

    /// The node of a name in the same scope as a node.
    pub(crate) fn sibling(&self, node: NodeIndex, name: &str) -> Option<NodeIndex> {
        self.named_in(self.scope_of(node), name)
    }

    /// The node of a name in a scope.
    pub(crate) fn lookup_in(&self, scope: usize, name: &str) -> Option<NodeIndex> {
        self.named_in(scope, name)
    }

    /// What is given to the parameter of a name that a node sees, and the node that it is given to; none for a parameter of
    /// the pipeline, and for one that is given nothing.
    pub(crate) fn argument(&self, node: NodeIndex, name: &str) -> Option<(NodeIndex, &Value)> {
        let mut at = self.scope_of(node);
        loop {
            let scope = &self.scopes[at];
            let (Place::In(holder) | Place::Items(holder)) = scope.place else {
                return None;
            };
            if let Some(inputs) = &scope.inputs {
                return inputs.arguments.get(name).map(|value| (holder, value));
            }
            at = scope.around?;
        }
    }

    /// Whether a node sees the pipeline's own parameters: it lies in no group that is self-contained.
    pub(crate) fn sees_parameters(&self, node: NodeIndex) -> bool {
        let mut at = Some(self.scope_of(node));
        while let Some(scope) = at.map(|at| &self.scopes[at]) {
            if scope.inputs.is_some() {
                return false;
            }
            at = scope.around;
        }
        true
    }

    /// The texts among what is given to a group that a node is.
    pub(crate) fn arguments_of(&self, node: NodeIndex) -> impl Iterator<Item = &str> {
        let inputs = self.held_by(node).and_then(|held| self.scopes[held].inputs.as_ref());
        let values = inputs.into_iter().flat_map(|inputs| inputs.arguments.values());
        values.filter_map(|value| match &value.kind {
            Some(Kind::StringValue(text)) => Some(text.as_str()),
            _ => None,
        })
    }

    /// The scope around a scope, where names are looked up next; none around a self-contained group.
    pub(crate) fn outward(&self, scope: usize) -> Option<usize> {
        self.scopes[scope].around.filter(|_| self.scopes[scope].inputs.is_none())
    }

    /// The node that is `node` or holds it, and lies in the same scope as `beside`.
    pub(crate) fn ancestor_beside(&self, node: NodeIndex, beside: NodeIndex) -> Option<NodeIndex> {
        let wanted = self.scope_of(beside);
        let mut node = node;
        loop {
            let at = self.scope_of(node);
            if at == wanted {
                return Some(node);
            }
            node = match self.scopes[at].place {
                Place::In(holder) | Place::Items(holder) => holder,
                Place::Run | Place::Exit => return None,
            };
        }
    }
}
