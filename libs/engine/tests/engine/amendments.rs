//! Ended runs that are taken up again with another graph: what they keep, and what they obey then.

use std::sync::Arc;

use windlass_engine::{graph::Graph, policy::LimitChanges, run::Kept, run::Mismatch};

use super::notation::{Play, check};

fn graph(text: &str) -> Arc<Graph> {
    Play::new(text).run.graph().clone()
}

/// The paths of steps that a retry would keep, and what of each.
fn kept(play: &Play, from: Option<&str>, paths: &[&str]) -> Vec<(String, Kept)> {
    let kept = play.run.kept_by_retry(from.map(|path| play.index(path)));
    let path_of = |step| paths.iter().find(|path| play.index(path) == step).expect("a known path");
    kept.into_iter().map(|(step, kept)| ((*path_of(step)).to_owned(), kept)).collect()
}

fn all(kept: &[(&str, Kept)]) -> Vec<(String, Kept)> {
    kept.iter().map(|(path, kept)| ((*path).to_owned(), *kept)).collect()
}

#[test]
fn a_retry_keeps_what_succeeded_and_of_what_a_condition_skipped_the_condition() {
    let paths = ["a", "b", "c", "d", "e", "f"];
    let play = check(
        "a b<-a c<-b d:if=false e<-d f<-a",
        "0 submit; go; a1 ok; go; b1 exit_code; f1 ok => FAILED a=succeeded b=failed(exit_code) c=skipped(upstream_failed:b) \
                       d=skipped(condition_false) e=skipped(upstream_skipped:d) f=succeeded b1~failed(exit_code) \
                       launch:a1 launch:b1 launch:f1",
    );
    let kept_plainly = all(&[("a", Kept::Whole), ("d", Kept::Condition), ("f", Kept::Whole)]);
    assert_eq!(kept(&play, None, &paths), kept_plainly);
    assert_eq!(kept(&play, Some("d"), &paths), all(&[("a", Kept::Whole), ("f", Kept::Whole)]));
    assert_eq!(kept(&play, Some("a"), &paths), all(&[("d", Kept::Condition)]));
}

#[test]
fn a_loop_that_opens_again_keeps_its_list_and_one_that_begins_anew_keeps_nothing() {
    let paths = ["a", "l", "l.0", "l.1"];
    let play = check(
        "a l<-a:items=2 @l* l",
        "0 submit; go; a1 ok; go; l.0#1 ok; l.1#1 exit_code => FAILED a=succeeded l=failed(step_failed:l.1) l.0=succeeded \
                       l.1=failed(exit_code) l.1#1~failed(exit_code) launch:a1 launch:l.0#1 launch:l.1#1",
    );
    let plainly = all(&[("a", Kept::Whole), ("l", Kept::Opening), ("l.0", Kept::Whole)]);
    assert_eq!(kept(&play, None, &paths), plainly);
    assert_eq!(kept(&play, Some("l"), &paths), all(&[("a", Kept::Whole)]));
    assert_eq!(kept(&play, Some("a"), &paths), []);
}

#[test]
fn a_run_obeys_the_limits_of_the_graph_that_it_was_given() {
    let mut play = check(
        "a b c !parallel=1 !timeout=10",
        "0 submit; go => RUNNING a=queued b=ready c=ready launch:a1 wake@10
         10 wake; a1 stopped => FAILED(timed_out) a=cancelled(run:timed_out) b=skipped(run:timed_out) c=skipped(run:timed_out) \
                       a1~cancelled(timed_out) stop:a1 wake@never",
    );
    play.run.amend(graph("a b c !parallel=2 !timeout=50")).unwrap();
    play.goes_on(
        "20 retry; go => RUNNING a=queued b=queued c=ready launch:a2 launch:b1 wake@70
         30 a2 ok; go => a=succeeded c=queued launch:c1
         40 b1 ok; c1 ok => SUCCEEDED b=succeeded c=succeeded wake@never",
    );
}

#[test]
fn a_graph_of_another_pipeline_is_refused_and_changes_nothing() {
    let mut play = Play::new("a b<-a !parallel=1");
    let before = play.run.clone();
    let refused = play.run.amend(graph("a b c"));
    assert_eq!(refused, Err(Mismatch::Steps { records: 2, steps: 3 }));
    assert_eq!(play.run, before);
    assert_eq!(play.run.graph().policy(), before.graph().policy());
}

#[test]
fn limits_are_changed_and_lifted_and_the_latest_change_counts() {
    let policy = *graph("a !parallel=3 !timeout=7 !gap=5").policy();
    let change = |max_parallelism, timeout_ms| LimitChanges { max_parallelism, timeout_ms };
    assert_eq!(policy.changed_by(change(None, None)), policy);
    let changed = policy.changed_by(change(Some(4), Some(0)).then(change(Some(0), None)));
    assert_eq!(
        (changed.max_parallelism, changed.timeout_ms, changed.start_gap_ms),
        (None, None, 5)
    );
}
