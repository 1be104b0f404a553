//! Names of steps in a run: `train`, `prepare.load` in a group, `score.3` for the item of a loop, `sweep.3.fit` for a step in
//! the group of an item.

use windlass_engine::{
    graph::{NodeIndex, Place},
    layout::{Holder, Item, Layout},
    record::StepIndex,
};

use super::Outline;

impl Outline {
    /// The path of a step in a run; empty where the run has no such step.
    pub fn path(&self, step: StepIndex, layout: &Layout) -> String {
        let mut parts = Vec::new();
        let mut at = step;
        if step.0 as usize >= layout.len() {
            return String::new();
        }
        loop {
            let name = self.name(layout.node(at));
            if !name.is_empty() {
                parts.push(name.to_owned());
            }
            match layout.holder(at) {
                Holder::Run | Holder::Exit => break,
                Holder::Step(holder) => at = holder,
                Holder::Item(Item { of, index }) => {
                    parts.push(index.to_string());
                    at = of;
                }
            }
        }
        parts.reverse();
        parts.join(".")
    }

    /// Where in the pipeline's message the step of a node is: `steps[2].group.steps[0]`.
    pub(crate) fn field(&self, node: NodeIndex) -> String {
        let at = self.scope_of(node);
        let scope = self.scope(at);
        let index = node.0 - self.range(at).start;
        match scope.place {
            Place::Run => format!("steps[{index}]"),
            Place::Exit => format!("exit_steps[{index}]"),
            // The work of a loop is said with the loop.
            Place::Items(holder) if !scope.is_named => self.field(holder),
            Place::In(holder) | Place::Items(holder) => {
                let list = if scope.is_named { "group.steps" } else { "branches.branches" };
                format!("{}.{list}[{index}]", self.field(holder))
            }
        }
    }

    /// The step of a path: of a loop, that of its latest expansion.
    pub fn find(&self, path: &str, layout: &Layout) -> Option<StepIndex> {
        let mut parts = path.split('.');
        let first = parts.next()?;
        let roots = self.scopes.iter().take(2).enumerate();
        let mut step = roots
            .filter(|(_, scope)| matches!(scope.place, Place::Run | Place::Exit))
            .find_map(|(at, _)| self.named_in(at, first))
            .map(|node| StepIndex(node.0))?;
        while let Some(part) = parts.next() {
            let holder = layout.node(step);
            let held = self.held_by(holder)?;
            if let Place::Items(_) = self.scope(held).place {
                let index: u32 = part.parse().ok().filter(|_| is_plain_number(part))?;
                let expansion = layout.expansion(step)?;
                if index >= expansion.items {
                    return None;
                }
                let first = StepIndex(layout.top_of(Item { of: step, index }).start);
                step = if self.scope(held).is_named {
                    let node = self.named_in(held, parts.next()?)?;
                    layout.beside(first, node)
                } else {
                    first
                };
            } else {
                // Branches have names that nobody refers to but people.
                let node = self.names.find(self.range(held), part).map(NodeIndex)?;
                step = layout.beside(step, node);
            }
        }
        Some(step)
    }
}

/// One step has one path: neither `+1` nor `01` is an index.
fn is_plain_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}
