//! Graphviz' DOT language. A step that holds others is a cluster; since edges go between nodes only, one to or from a cluster
//! goes to or from a node in it and is cut off at its border.

use std::{collections::HashMap, fmt::Write as _};

use windlass_engine::graph::NodeIndex;

use super::{Drawing, Shape};

pub(super) fn draw(drawing: &Drawing<'_>) -> String {
    let mut dot = Dot { text: String::new(), inner: HashMap::new() };
    dot.line(0, &format!("digraph {} {{", quoted(&[drawing.name.to_owned()])));
    dot.line(1, "rankdir=LR; compound=true;");
    dot.line(1, "node [shape=box, style=rounded];");
    drawing.top.iter().for_each(|shape| dot.shape(1, shape));
    if !drawing.exit.is_empty() {
        dot.line(1, "subgraph cluster_exit {");
        dot.line(2, "label=\"exit steps\"; style=dashed;");
        drawing.exit.iter().for_each(|shape| dot.shape(2, shape));
        dot.line(1, "}");
    }
    for (from, to) in &drawing.arrows {
        dot.arrow(*from, *to);
    }
    dot.line(0, "}");
    dot.text
}

struct Dot {
    text: String,
    /// For each cluster a task in it.
    inner: HashMap<NodeIndex, NodeIndex>,
}

impl Dot {
    fn line(&mut self, depth: usize, line: &str) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "{:indent$}{line}", "", indent = 2 * depth);
    }

    fn shape(&mut self, depth: usize, shape: &Shape) {
        let (node, label) = (shape.node.0, quoted(&shape.label));
        if shape.held.is_empty() {
            return self.line(depth, &format!("n{node} [label={label}];"));
        }
        self.line(depth, &format!("subgraph cluster_n{node} {{"));
        self.line(depth + 1, &format!("label={label};"));
        shape.held.iter().for_each(|held| self.shape(depth + 1, held));
        self.line(depth, "}");
        self.inner.insert(shape.node, first_task(shape));
    }

    fn arrow(&mut self, from: NodeIndex, to: NodeIndex) {
        let end = |node: &NodeIndex| self.inner.get(node).copied();
        let mut cuts = Vec::new();
        if end(&from).is_some() {
            cuts.push(format!("ltail=cluster_n{}", from.0));
        }
        if end(&to).is_some() {
            cuts.push(format!("lhead=cluster_n{}", to.0));
        }
        let (tail, head) = (end(&from).unwrap_or(from), end(&to).unwrap_or(to));
        let cuts = if cuts.is_empty() { String::new() } else { format!(" [{}]", cuts.join(", ")) };
        self.line(1, &format!("n{} -> n{}{cuts};", tail.0, head.0));
    }
}

fn first_task(shape: &Shape) -> NodeIndex {
    let mut shape = shape;
    while let Some(held) = shape.held.first() {
        shape = held;
    }
    shape.node
}

/// A quoted text: only `"` and `\` mean something in it.
fn quoted(lines: &[String]) -> String {
    let escaped = lines.iter().map(|line| line.replace('\\', r"\\").replace('"', "\\\""));
    format!("\"{}\"", escaped.collect::<Vec<_>>().join("\\n"))
}
