//! What a step does once all that it waits for has ended.

use windlass_engine::{
    event::Event,
    output::Output,
    record::{StepIndex, StepRecord, StepState},
    run::Run,
};

use super::notation::{Play, at, check};

/// What becomes of `c`, which waits for `a` and `b`, when `b` ends after `a` has.
fn verdict(rule: &str, a: StepState, b: &str) -> String {
    let mut play = Play::new(&format!("a b c<-a,b:{rule}"));
    play.goes_on("0 submit; go; b1 running => RUNNING a=queued b=running launch:a1 launch:b1");
    let mut stored = play.store.stored();
    stored.steps[0].state = a;
    let mut run = Run::load(play.run.graph().clone(), stored).expect("it makes sense");
    let report = Event::Report(play.report("b1", b));
    run.apply(&report, at(9), &mut Output::default()).expect("it makes sense");
    let StepRecord { state, reason, cause, .. } = *run.step(StepIndex(2));
    let cause = cause.map_or("", |cause| if cause.0 == 0 { " a" } else { " b" });
    match state {
        StepState::Ready => "runs".to_owned(),
        _ => format!("{state:?} {reason:?}{cause}"),
    }
}

#[test]
fn every_rule_decides_upon_every_outcome() {
    let mut table = Vec::new();
    for rule in ["all_succeeded", "all_done", "any_failed", "any_succeeded"] {
        for a in [StepState::Succeeded, StepState::Failed, StepState::Skipped, StepState::Cancelled]
        {
            // The default rule has no name in the notation.
            let named = rule.trim_start_matches("all_succeeded");
            let verdicts = ["ok", "exit_code"].map(|b| verdict(named, a, b));
            let a = format!("{a:?}");
            let [b_succeeds, b_fails] = verdicts;
            table.push(format!("{rule:13} | {a:9} | {b_succeeds:27} | {b_fails}\n"));
        }
    }
    //                a's end     where b succeeds             where b fails
    let expected = "\
all_succeeded | Succeeded | runs                        | Skipped UpstreamFailed b
all_succeeded | Failed    | Skipped UpstreamFailed a    | Skipped UpstreamFailed a
all_succeeded | Skipped   | Skipped UpstreamSkipped a   | Skipped UpstreamFailed b
all_succeeded | Cancelled | Skipped UpstreamCancelled a | Skipped UpstreamFailed b
all_done      | Succeeded | runs                        | runs
all_done      | Failed    | runs                        | runs
all_done      | Skipped   | runs                        | runs
all_done      | Cancelled | runs                        | runs
any_failed    | Succeeded | Skipped TriggerRuleNotMet   | runs
any_failed    | Failed    | runs                        | runs
any_failed    | Skipped   | Skipped TriggerRuleNotMet   | runs
any_failed    | Cancelled | Skipped TriggerRuleNotMet   | runs
any_succeeded | Succeeded | runs                        | runs
any_succeeded | Failed    | runs                        | Skipped TriggerRuleNotMet
any_succeeded | Skipped   | runs                        | Skipped TriggerRuleNotMet
any_succeeded | Cancelled | runs                        | Skipped TriggerRuleNotMet
";
    let table = table.concat();
    assert!(table == expected, "{table}");
}

#[test]
fn a_rule_waits_for_all_even_where_one_would_settle_it() {
    check(
        "a b c<-a,b d<-a,b:any_failed",
        "0 submit; go     => RUNNING a=queued b=queued launch:a1 launch:b1
         1 a1 exit_code   => a=failed(exit_code) a1~failed(exit_code)
         2 b1 ok          => b=succeeded c=skipped(upstream_failed:a) d=ready
         3 go             => d=queued launch:d1
         4 d1 ok          => FAILED d=succeeded",
    );
}

#[test]
fn skips_go_down_the_graph_at_once_until_a_step_that_runs_in_any_case() {
    check(
        "a b<-a c<-b d<-c:all_done e<-c:any_succeeded",
        "0 submit; go     => RUNNING a=queued launch:a1
         1 a1 exit_code   => a=failed(exit_code) b=skipped(upstream_failed:a) c=skipped(upstream_skipped:b) \
                             d=ready e=skipped(trigger_rule_not_met) a1~failed(exit_code)
         2 go             => d=queued launch:d1
         3 d1 ok          => FAILED d=succeeded",
    );
}

#[test]
fn a_rule_that_asks_for_an_outcome_is_not_met_by_no_step_at_all() {
    check(
        "a:any_failed b:any_succeeded c:all_done d<-a",
        "0 submit => RUNNING a=skipped(trigger_rule_not_met) b=skipped(trigger_rule_not_met) c=ready \
                     d=skipped(upstream_skipped:a)
         0 go     => c=queued launch:c1
         5 c1 ok  => SUCCEEDED c=succeeded",
    );
}

#[test]
fn a_run_without_steps_succeeds_as_it_begins() {
    check("", "0 submit => SUCCEEDED");
    check("", "0 cancel => CANCELLED(cancelled)");
}

#[test]
fn a_run_begins_once() {
    check(
        "a",
        "0 submit => RUNNING a=ready
         1 submit =>
         2 go     => a=queued launch:a1
         3 a1 ok  => SUCCEEDED a=succeeded
         4 submit =>",
    );
}
