//! Kubernetes clusters: what was found, and what was made.

use std::fmt::Write as _;

use windlass_cluster::{Done, Outcome, Report, Verdict};

use super::{Theme, words};

/// Where the cluster is, and a line for each finding, with advice below what is missing.
pub(crate) fn checked(report: &Report, theme: &Theme) -> String {
    let Report { cluster, server, namespace, findings } = report;
    let mut text = format!(
        "{} at {}, namespace {}\n",
        theme.bold(&format!("cluster {}", words::harmless(cluster))),
        words::harmless(server),
        words::harmless(namespace)
    );
    for finding in findings {
        let (state, note) = match &finding.verdict {
            Verdict::Present => (theme.good("ok     "), None),
            Verdict::Missing(advice) => (theme.bad("missing"), Some(advice)),
            Verdict::Unknown(why) => (theme.odd("unknown"), Some(why)),
        };
        let item = words::harmless(&finding.item.to_string());
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  {state}  {item}");
        if let Some(note) = note {
            let _ = writeln!(text, "           {}", words::harmless(note));
        }
    }
    text
}

/// A line for each object.
pub(crate) fn prepared(done: &[Done]) -> String {
    let mut text = String::new();
    for Done { kind, name, outcome } in done {
        let outcome = match outcome {
            Outcome::Created => "created",
            Outcome::Changed => "changed",
            Outcome::Unchanged => "there already",
        };
        let _ = writeln!(text, "{kind} {}: {outcome}", words::harmless(name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn what_is_missing_stands_with_what_to_do() {
        let theme = samples::theme();
        let text = format!(
            "{}\n{}",
            checked(&samples::cluster_report(), &theme),
            prepared(&samples::prepared())
        );
        insta::assert_snapshot!("cluster", text);
    }
}
