//! Steps that were skipped: often many for the same reason, which is told once.

use std::{collections::HashMap, fmt::Write as _};

use windlass_client::v1::{Reason, StepStatus};

use super::words;

/// Names listed of a group.
const NAMED: usize = 3;
/// Groups that are told; the steps of the others are counted.
const GROUPS: usize = 5;

/// Steps that were skipped for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SkippedGroup {
    pub(crate) why: String,
    pub(crate) count: usize,
    /// The first ones' names.
    pub(crate) names: Vec<String>,
}

impl SkippedGroup {
    /// Groups steps by why they were skipped, in the order of the first of each group. A step that was skipped because
    /// another one was has that as its reason, whichever it was: along a chain, every step would be a group of its own.
    pub(crate) fn group<'a>(steps: impl IntoIterator<Item = &'a StepStatus>) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut places = HashMap::new();
        for step in steps {
            let why = words::why(&step.message, step.reason());
            let is_derived = step.reason() == Reason::UpstreamSkipped;
            let key = if is_derived { String::new() } else { why.clone() };
            let place = *places.entry((is_derived, key)).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Self { why: why.clone(), count: 0, names: Vec::new() });
            }
            let group = &mut groups[place];
            group.count += 1;
            if group.names.len() < NAMED {
                group.names.push(step.name.clone());
            }
            if group.why != why {
                "because a step that each depends on was skipped".clone_into(&mut group.why);
            }
        }
        groups
    }
}

/// A line for each of the first groups, and one for the steps that are in none of them; `total` counts all.
pub(crate) fn skipped(groups: &[SkippedGroup], total: usize) -> Vec<String> {
    let told = &groups[..groups.len().min(GROUPS)];
    let mut lines: Vec<_> = told.iter().map(line).collect();
    let rest = total.saturating_sub(told.iter().map(|group| group.count).sum());
    if rest > 0 && !told.is_empty() {
        lines.push(format!("… and {} more skipped", words::steps(rest)));
    }
    lines
}

fn line(group: &SkippedGroup) -> String {
    let why = group.why.strip_prefix("skipped ").unwrap_or(&group.why);
    let mut names = group.names.join(", ");
    let unnamed = group.count.saturating_sub(group.names.len());
    if unnamed > 0 {
        // Writing to a text cannot fail.
        let _ = write!(names, " and {} more", words::number(unnamed));
    }
    let why = if why.is_empty() { "its own rule".to_owned() } else { why.to_owned() };
    words::harmless(&format!("skipped: {}, {why}: {names}", words::steps(group.count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use windlass_client::v1::StepState;

    fn step(name: String, message: String, reason: Reason) -> StepStatus {
        let step = samples::step("", StepState::Skipped);
        StepStatus { name, message, reason: reason.into(), ..step }
    }

    fn told(steps: &[StepStatus], total: usize) -> String {
        skipped(&SkippedGroup::group(steps), total).join("\n")
    }

    #[test]
    fn many_skipped_steps_are_counted_by_reason() {
        let steps: Vec<_> = (0..2500)
            .map(|number| {
                let cause = if number % 5 == 0 { "a" } else { "b" };
                let message = format!("skipped because step `{cause}` failed");
                step(format!("s{number}"), message, Reason::UpstreamFailed)
            })
            .collect();
        insta::assert_snapshot!(told(&steps, 2500), @r"
        skipped: 500 steps, because step `a` failed: s0, s5, s10 and 497 more
        skipped: 2,000 steps, because step `b` failed: s1, s2, s3 and 1,997 more
        ");
    }

    #[test]
    fn steps_along_a_chain_have_one_reason_and_many_reasons_have_an_end() {
        let after = |number: usize| {
            let message = format!("skipped because step `c{number}` was skipped");
            step(format!("c{}", number + 1), message, Reason::UpstreamSkipped)
        };
        insta::assert_snapshot!(told(&[after(0)], 1), @"skipped: 1 step, because step `c0` was skipped: c1");
        let chain: Vec<_> = (0..999).map(after).collect();
        insta::assert_snapshot!(told(&chain, 999), @"skipped: 999 steps, because a step that each depends on was skipped: c1, c2, c3 and 996 more");
        let each = |number: usize| {
            let message = format!("skipped because step `f{number}` failed");
            step(format!("s{number}"), message, Reason::UpstreamFailed)
        };
        let lines = told(&(0..100).map(each).collect::<Vec<_>>(), 20_000);
        assert_eq!(lines.lines().count(), GROUPS + 1, "{lines}");
        assert!(lines.ends_with("\n… and 19,995 steps more skipped"), "{lines}");
    }
}
