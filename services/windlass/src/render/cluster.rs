//! Kubernetes clusters: what was found, what was made, and what was removed.

use std::fmt::Write as _;

use windlass_cluster::{Done, Outcome, Removed, Report, Verdict};

use super::{Theme, table::table, time, words};
use crate::orphans::Orphans;

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

/// Where was looked, a line for each pod, and how many there are.
pub(crate) fn orphans(orphans: &Orphans, theme: &Theme) -> String {
    let Orphans { cluster, server, namespaces, installation, pods, .. } = orphans;
    let mut text = format!(
        "{} at {}, {} {}, installation {}\n",
        theme.bold(&format!("cluster {}", words::harmless(cluster))),
        words::harmless(server),
        if namespaces.len() == 1 { "namespace" } else { "namespaces" },
        words::harmless(&namespaces.join(", ")),
        words::harmless(installation)
    );
    if pods.is_empty() {
        text.push_str("no pod is of a run that the server does not know\n");
        return text;
    }
    let heading = ["POD", "NAMESPACE", "RUN", "STEP", "PHASE", "AGE"].map(|word| theme.dim(word));
    let rows = pods.iter().map(|pod| {
        [
            words::harmless(&pod.name),
            words::harmless(&pod.namespace),
            pod.run.to_string(),
            words::harmless(&pod.step),
            pod.phase.to_owned(),
            orphans.age(pod).map_or_else(|| "-".to_owned(), time::length),
        ]
    });
    text.push_str(&table(heading, rows));
    let runs = orphans.runs();
    let of_runs = if runs == 1 { "a run".to_owned() } else { counted(runs, "run") };
    // Writing to a text cannot fail.
    let _ =
        writeln!(text, "{} of {of_runs} that the server does not know", counted(pods.len(), "pod"));
    text
}

/// What is going to be removed.
pub(crate) fn removal_of(orphans: &Orphans) -> String {
    let removable = orphans.pods.len() - orphans.too_young();
    let mut text = String::new();
    if removable > 0 {
        let are = if removable == 1 { "is" } else { "are" };
        let _ = writeln!(text, "{} {are} removed", counted(removable, "pod"));
    }
    if orphans.too_young() > 0 {
        let are = if orphans.too_young() == 1 { "is" } else { "are" };
        let young = counted(orphans.too_young(), "pod");
        let _ =
            writeln!(text, "{young} {are} younger than 2 minutes and left out; ask again later");
    }
    text
}

/// What came of that.
pub(crate) fn removed(removed: Removed) -> String {
    let mut text = String::new();
    if removed.removed > 0 {
        let _ = writeln!(text, "removed {}", counted(removed.removed, "pod"));
    }
    if removed.gone > 0 {
        let _ = writeln!(text, "{} had gone by then", counted(removed.gone, "pod"));
    }
    text
}

/// `1 pod`, `2 pods`
fn counted(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {word}{plural}", words::number(count))
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

    #[test]
    fn orphans_stand_with_whose_they_are_and_what_becomes_of_them() {
        let (theme, found) = (samples::theme(), samples::orphans());
        let none = Orphans { pods: Vec::new(), ..found.clone() };
        let text = [
            orphans(&found, &theme),
            removal_of(&found),
            removed(Removed { removed: 1, gone: 1 }),
            orphans(&none, &theme),
            removal_of(&none),
            removed(Removed::default()),
        ];
        insta::assert_snapshot!("orphans", text.concat());
    }
}
