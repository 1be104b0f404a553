//! How the nodes of a pipeline are found and numbered.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use prost::DecodeError;
use windlass_engine::graph::{NodeIndex, Place};
use windlass_proto::v1::{self, step::Work};

use super::{ByNode, Names, Outline, Scope, Source};
use crate::allowance::Allowance;

pub(super) fn walk(pipeline: &impl Source) -> Result<Outline, DecodeError> {
    let mut walk = Walk {
        outline: Outline {
            names: Names::default(),
            allowances: ByNode::default(),
            limits: ByNode::default(),
            scopes: Vec::new(),
            holders: HashMap::new(),
            definitions: HashMap::new(),
            listed: 0,
        },
        groups: VecDeque::new(),
        loops: VecDeque::new(),
    };
    walk.begin(Place::Run, None, true);
    for step in pipeline.steps() {
        let step = step?;
        if step.for_each.is_none() && matches!(step.work, Some(Work::Task(_)) | None) {
            walk.name(&step);
        } else {
            walk.add(step.into_owned());
        }
    }
    walk.end();
    walk.outline.listed = walk.outline.names.len() as u32;
    let exit_steps = &pipeline.head().exit_steps;
    if !exit_steps.is_empty() {
        walk.begin(Place::Exit, Some(0), true);
        for step in exit_steps {
            walk.add(step.clone());
        }
        walk.end();
    }
    walk.groups();
    while let Some((holder, work)) = walk.loops.pop_front() {
        walk.body(holder, work);
        walk.groups();
    }
    Ok(walk.outline)
}

struct Walk {
    outline: Outline,
    /// Of the present block: nodes that hold others, and what they hold.
    groups: VecDeque<(NodeIndex, Held)>,
    /// Loops, and what they do for each item.
    loops: VecDeque<(NodeIndex, v1::Step)>,
}

enum Held {
    Group(v1::Group),
    Branches(Vec<v1::Step>),
}

impl Walk {
    fn begin(&mut self, place: Place, around: Option<usize>, is_named: bool) {
        if let Place::In(holder) | Place::Items(holder) = place {
            self.outline.holders.insert(holder, self.outline.scopes.len());
        }
        self.outline.scopes.push(Scope {
            first: self.outline.names.len() as u32,
            place,
            around,
            is_named,
            inputs: None,
            outputs: BTreeMap::new(),
        });
    }

    fn end(&mut self) {
        let range = self.outline.range(self.outline.scopes.len() - 1);
        self.outline.names.sort(range);
    }

    /// Numbers a node.
    fn name(&mut self, step: &v1::Step) -> NodeIndex {
        let node = NodeIndex(self.outline.names.len() as u32);
        self.outline.names.push(&step.name);
        self.outline.allowances.push(node, Allowance::of(step));
        let limits = match &step.work {
            // What a loop does for each item is a node of its own.
            Some(Work::Task(task)) if step.for_each.is_none() => task.limits.as_slice().into(),
            _ => Arc::default(),
        };
        self.outline.limits.push(node, limits);
        node
    }

    /// Adds a node, and notes what it holds for later.
    fn add(&mut self, mut step: v1::Step) {
        let node = self.name(&step);
        if step.for_each.is_some() {
            let body = v1::Step {
                work: step.work.take(),
                outputs: std::mem::take(&mut step.outputs),
                retry: step.retry.take(),
                startup_timeout: step.startup_timeout.take(),
                timeout: step.timeout.take(),
                ..v1::Step::default()
            };
            self.loops.push_back((node, body));
        } else {
            step.work = match step.work.take() {
                Some(Work::Group(group)) => {
                    self.groups.push_back((node, Held::Group(*group)));
                    None
                }
                Some(Work::Branches(branches)) => {
                    self.groups.push_back((node, Held::Branches(branches.branches)));
                    // Whoever asks what it is, is told that it is this.
                    Some(Work::Branches(Box::default()))
                }
                task => task,
            };
        }
        self.outline.definitions.insert(node, step);
    }

    /// Adds what groups and branches of the present block hold, level by level.
    fn groups(&mut self) {
        while let Some((holder, held)) = self.groups.pop_front() {
            let around = Some(self.outline.scope_of(holder));
            match held {
                Held::Group(group) => self.group(Place::In(holder), around, group),
                Held::Branches(branches) => {
                    self.begin(Place::In(holder), around, false);
                    for branch in branches {
                        self.add(branch);
                    }
                    self.end();
                }
            }
        }
    }

    fn group(&mut self, place: Place, around: Option<usize>, group: v1::Group) {
        self.begin(place, around, true);
        if let Some(scope) = self.outline.scopes.last_mut() {
            scope.inputs = group.inputs;
            scope.outputs = group.outputs.into_iter().collect();
        }
        for step in group.steps {
            self.add(step);
        }
        self.end();
    }

    /// Adds what a loop does for each item.
    fn body(&mut self, holder: NodeIndex, mut body: v1::Step) {
        let around = Some(self.outline.scope_of(holder));
        match body.work.take() {
            Some(Work::Group(group)) => self.group(Place::Items(holder), around, *group),
            work => {
                self.begin(Place::Items(holder), around, false);
                self.add(v1::Step { work, ..body });
                self.end();
            }
        }
    }
}
