//! Steps that wait for each other in a circle, in words.

use std::fmt;

use windlass_engine::graph::{Cycle, NodeIndex};

use crate::{
    check::{Report as _, ViolationReason, Violations},
    outline::Outline,
};

/// A cycle as a violation of the rules.
pub(super) fn describe(cycle: &Cycle, outline: &Outline) -> Violations {
    let mut violations = Violations::default();
    let circle = Circle { cycle, outline };
    let first = cycle.nodes.first().map_or_else(String::new, |node| outline.field(*node));
    let field = format_args!("{first}.depends_on");
    if cycle.nodes.len() == 1 {
        let message = format_args!("a step waits for itself: {circle}; remove that dependency");
        violations.add(ViolationReason::Cycle, field, message);
    } else {
        let message = format_args!(
            "steps wait for each other in a circle: {circle}; remove one of these dependencies"
        );
        violations.add(ViolationReason::Cycle, field, message);
    }
    violations
}

/// Displays a cycle as `a -> b -> a`, the middle of a long one left out.
struct Circle<'a> {
    cycle: &'a Cycle,
    outline: &'a Outline,
}

impl fmt::Display for Circle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// More names help nobody.
        const SHOWN: usize = 10;
        let name = |node: &NodeIndex| self.outline.name(*node);
        let steps = &self.cycle.nodes;
        f.write_str("`")?;
        for step in steps.iter().take(SHOWN) {
            write!(f, "{} -> ", name(step))?;
        }
        if steps.len() > SHOWN {
            write!(f, "({} more) -> ", steps.len() - SHOWN)?;
        }
        write!(f, "{}`", steps.first().map(name).unwrap_or_default())
    }
}
