//! A Mermaid flowchart. A step that holds others is a subgraph.

use std::fmt::Write as _;

use super::{Drawing, Shape};

pub(super) fn draw(drawing: &Drawing<'_>) -> String {
    let mut text = String::new();
    line(&mut text, 0, "flowchart LR");
    drawing.top.iter().for_each(|it| shape(&mut text, 1, it));
    if !drawing.exit.is_empty() {
        line(&mut text, 1, "subgraph exit [\"exit steps\"]");
        drawing.exit.iter().for_each(|it| shape(&mut text, 2, it));
        line(&mut text, 1, "end");
    }
    for (from, to) in &drawing.arrows {
        line(&mut text, 1, &format!("n{} --> n{}", from.0, to.0));
    }
    text
}

fn shape(text: &mut String, depth: usize, it: &Shape) {
    let (node, label) = (it.node.0, quoted(&it.label));
    if it.held.is_empty() {
        return line(text, depth, &format!("n{node}({label})"));
    }
    line(text, depth, &format!("subgraph n{node} [{label}]"));
    it.held.iter().for_each(|held| shape(text, depth + 1, held));
    line(text, depth, "end");
}

fn line(text: &mut String, depth: usize, line: &str) {
    // Writing to a text cannot fail.
    let _ = writeln!(text, "{:indent$}{line}", "", indent = 2 * depth);
}

/// A quoted text, with what could end it or mean something in it as entities.
fn quoted(lines: &[String]) -> String {
    let mut quoted = String::from("\"");
    for (at, line) in lines.iter().enumerate() {
        if at > 0 {
            quoted.push_str("<br/>");
        }
        for letter in line.chars() {
            match letter {
                '"' | '#' | '<' | '>' | '&' | '`' | ';' | '\\' => {
                    let _ = write!(quoted, "#{};", u32::from(letter));
                }
                letter => quoted.push(letter),
            }
        }
    }
    quoted.push('"');
    quoted
}
