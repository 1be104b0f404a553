//! What steps wait for, and whose outputs conditions and loops need.

use std::collections::HashMap;

use windlass_engine::graph::{GraphBuilder, NodeIndex};
use windlass_pod::settings;
use windlass_proto::{
    json,
    v1::{self, for_each::Items, step::Work},
};

use super::CompileError;
use crate::{
    check::{Report as _, ViolationReason, Violations},
    condition::Condition,
    outline::{Outline, Source},
    quote::quote,
    template::{self, Reference, Template},
};

/// Adds to a graph what its steps wait for.
pub(super) struct Links<'a> {
    pub(super) outline: &'a Outline,
    pub(super) builder: &'a mut GraphBuilder,
    pub(super) conditions: &'a mut HashMap<NodeIndex, Condition>,
}

impl Links<'_> {
    /// Of all steps.
    pub(super) fn add_all(&mut self, pipeline: &impl Source) -> Result<(), CompileError> {
        for (node, step) in (0..).map(NodeIndex).zip(pipeline.steps()) {
            if self.outline.definition(node).is_none() {
                self.add(node, &*step?)?;
            }
        }
        let outline = self.outline;
        for (node, step) in outline.definitions() {
            self.add(node, step)?;
        }
        Ok(())
    }

    fn add(&mut self, node: NodeIndex, step: &v1::Step) -> Result<(), Violations> {
        for name in &step.depends_on {
            let on =
                self.outline.sibling(node, name).ok_or_else(|| self.unknown(node, step, name))?;
            self.builder.add_dependency(node, on);
        }
        for text in task_texts(step) {
            for reference in template::references(text) {
                self.refer(node, step, reference)?;
            }
        }
        if let Some(Items::Reference(text)) =
            step.for_each.as_ref().and_then(|it| it.items.as_ref())
        {
            for reference in template::references(text) {
                self.refer(node, step, reference)?;
                self.keep(node, reference);
            }
        }
        for argument in self.outline.arguments_of(node) {
            for reference in template::references(argument) {
                self.refer(node, step, reference)?;
            }
        }
        if !step.when.is_empty() {
            let condition = Condition::parse(&step.when)
                .map_err(|error| self.no_condition(node, step, &error))?;
            for reference in condition.references() {
                self.refer(node, step, reference)?;
                self.keep(node, reference);
            }
            self.conditions.insert(node, condition);
        }
        Ok(())
    }

    /// Has a step wait for what it, or one that it holds, refers to.
    fn refer(
        &mut self,
        node: NodeIndex,
        step: &v1::Step,
        reference: Reference<'_>,
    ) -> Result<(), Violations> {
        let (Reference::Output { step: name, .. } | Reference::State(name)) = reference else {
            return Ok(());
        };
        let on = self.outline.lookup(node, name).ok_or_else(|| self.unknown(node, step, name))?;
        // An exit step does not wait for the steps of the pipeline by name: they have all ended.
        if let Some(waits) = self.outline.ancestor_beside(node, on) {
            self.builder.add_dependency(waits, on);
        }
        Ok(())
    }

    /// Has outputs kept that a reference needs.
    fn keep(&mut self, node: NodeIndex, reference: Reference<'_>) {
        match reference {
            Reference::Output { step, output } => {
                if let Some(of) = self.outline.lookup(node, step) {
                    self.keep_output(of, output);
                }
            }
            Reference::Param(name) => {
                let outline = self.outline;
                let Some((given_at, value)) = outline.argument(node, name) else { return };
                if let serde_json::Value::String(text) = json::from_value(value) {
                    template::references(&text)
                        .for_each(|reference| self.keep(given_at, reference));
                }
            }
            // The list of the loop is kept for the loop itself.
            Reference::Item { .. }
            | Reference::Index(_)
            | Reference::State(_)
            | Reference::RunState
            | Reference::RunId
            | Reference::StepName
            | Reference::StepAttempt => {}
        }
    }

    fn unknown(&self, node: NodeIndex, step: &v1::Step, name: &str) -> Violations {
        let mut violations = Violations::default();
        violations.add(
            ViolationReason::UnknownDependency,
            format_args!("{}", self.outline.field(node)),
            format_args!(
                "step {}: waits for {}, which is no step; correct the name",
                quote(&step.name),
                quote(name)
            ),
        );
        violations
    }

    fn no_condition(
        &self,
        node: NodeIndex,
        step: &v1::Step,
        error: &dyn std::error::Error,
    ) -> Violations {
        let mut violations = Violations::default();
        violations.add(
            ViolationReason::InvalidCondition,
            format_args!("{}.when", self.outline.field(node)),
            format_args!("step {}: {error}", quote(&step.name)),
        );
        violations
    }

    fn keep_output(&mut self, of: NodeIndex, output: &str) {
        let outline = self.outline;
        let Some(held) = outline.held_by(of) else {
            return self.builder.keep_outputs(of);
        };
        let scope = outline.scope(held);
        if !scope.is_named {
            // Any of the branches, or what the loop does for each item.
            return outline.range(held).for_each(|node| self.keep_output(NodeIndex(node), output));
        }
        let source = scope.outputs.get(output).and_then(|text| Template::parse(text).ok());
        if let Some(Reference::Output { step, output }) = source.and_then(|it| it.as_reference())
            && let Some(inner) = outline.lookup_in(held, step)
        {
            self.keep_output(inner, output);
        }
    }
}

/// The texts of a task that may hold references.
pub(crate) fn task_texts(step: &v1::Step) -> impl Iterator<Item = &str> {
    let task = match &step.work {
        Some(Work::Task(task)) => Some(task),
        _ => None,
    };
    task.into_iter().flat_map(|task| {
        let values = task.env.iter().map(|variable| &variable.value);
        let keys = task.cache.iter().flat_map(|cache| &cache.key);
        let texts = task.command.iter().chain(&task.args).chain(values).chain(keys);
        let texts = texts.chain([&task.working_dir, &task.image]).map(String::as_str);
        texts.chain(task.pod.iter().flat_map(|pod| pod_texts(pod)))
    })
}

fn pod_texts(pod: &v1::Pod) -> Vec<&str> {
    let mut texts = Vec::new();
    settings::each_text(pod, &mut |_, text| texts.push(text));
    texts
}
