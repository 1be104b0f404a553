//! A pipeline as a picture: in Graphviz' DOT language, or as a Mermaid flowchart.

mod dot;
mod mermaid;

use windlass_engine::graph::{Graph, NodeIndex, Place};
use windlass_proto::v1::{self, TriggerRule, for_each::Items, step::Work};

use crate::{check::Violations, compile, outline::Outline};

/// Draws a pipeline in the DOT language (<https://graphviz.org/doc/info/lang.html>).
///
/// # Errors
///
/// The pipeline breaks a rule: see [`compile::graph`].
pub fn dot(pipeline: &v1::Pipeline) -> Result<String, Violations> {
    Ok(dot::draw(&Drawing::of(pipeline)?))
}

/// Draws a pipeline as a Mermaid flowchart (<https://mermaid.js.org/syntax/flowchart.html>).
///
/// # Errors
///
/// The pipeline breaks a rule: see [`compile::graph`].
pub fn mermaid(pipeline: &v1::Pipeline) -> Result<String, Violations> {
    Ok(mermaid::draw(&Drawing::of(pipeline)?))
}

/// What is to be drawn, whatever the language.
struct Drawing<'a> {
    name: &'a str,
    top: Vec<Shape>,
    exit: Vec<Shape>,
    /// Between steps that lie beside each other: from, to.
    arrows: Vec<(NodeIndex, NodeIndex)>,
}

/// A step.
struct Shape {
    node: NodeIndex,
    /// Lines of text.
    label: Vec<String>,
    /// What lies in it; none in a task.
    held: Vec<Shape>,
}

impl<'a> Drawing<'a> {
    fn of(pipeline: &'a v1::Pipeline) -> Result<Self, Violations> {
        let graph = compile::graph(pipeline, 0)?;
        let Ok(outline) = Outline::of(pipeline) else {
            unreachable!("nothing of it is encoded");
        };
        let draw = Draw { pipeline, outline: &outline };
        let mut drawing =
            Drawing { name: &pipeline.name, top: vec![], exit: vec![], arrows: arrows(&graph) };
        for (place, nodes) in outline.scopes() {
            match place {
                Place::Run => drawing.top = nodes.map(|node| draw.shape(NodeIndex(node))).collect(),
                Place::Exit => {
                    drawing.exit = nodes.map(|node| draw.shape(NodeIndex(node))).collect();
                }
                Place::In(_) | Place::Items(_) => {}
            }
        }
        Ok(drawing)
    }
}

fn arrows(graph: &Graph) -> Vec<(NodeIndex, NodeIndex)> {
    let into = |node| graph.dependencies(node).iter().map(move |on| (*on, node));
    graph.nodes().flat_map(into).collect()
}

struct Draw<'a> {
    pipeline: &'a v1::Pipeline,
    outline: &'a Outline,
}

impl Draw<'_> {
    fn shape(&self, node: NodeIndex) -> Shape {
        let definition = self.outline.definition(node);
        let step = definition.or_else(|| self.pipeline.steps.get(node.0 as usize));
        let held = self.outline.held_by(node).map(|scope| self.outline.range(scope));
        Shape {
            node,
            label: step.map(label).unwrap_or_default(),
            held: held.into_iter().flatten().map(|held| self.shape(NodeIndex(held))).collect(),
        }
    }
}

/// A step in words: its name, and what decides whether and how often it runs.
fn label(step: &v1::Step) -> Vec<String> {
    let mut label = Vec::new();
    let name = if step.name.is_empty() { "each item" } else { &step.name };
    label.push(match &step.work {
        Some(Work::Branches(_)) => format!("{name}: one of"),
        Some(Work::Approval(_)) => format!("{name}: approval"),
        _ => name.to_owned(),
    });
    if let Some(for_each) = &step.for_each {
        label.push(match &for_each.items {
            Some(Items::List(list)) => format!("for each of {} items", list.values.len()),
            Some(Items::Count(count)) => format!("for each of {count} numbers"),
            Some(Items::Reference(text)) => format!("for each of {text}"),
            None => "for each of nothing".to_owned(),
        });
    }
    if !step.when.is_empty() {
        // A picture has lines of its own.
        let when: Vec<_> = step.when.split_whitespace().collect();
        label.push(format!("if {}", when.join(" ")));
    }
    match step.trigger_rule() {
        TriggerRule::Unspecified | TriggerRule::AllSucceeded => {}
        TriggerRule::AllDone => label.push("when all are done".to_owned()),
        TriggerRule::AnyFailed => label.push("when any failed".to_owned()),
        TriggerRule::AnySucceeded => label.push("when any succeeded".to_owned()),
    }
    label
}
