//! Steps that run only where something is true.

use std::sync::Arc;

use windlass_engine::{
    event::Event,
    graph::{GraphBuilder, NodeIndex},
    logic::{Facts, Logic},
    output::Output,
    policy::{FailureMode, RunPolicy, StepPolicy, TriggerRule},
    reason::{Failure, FailureReason},
    record::{AttemptEnd, AttemptRecord, RunState, StepIndex, StepState},
    run::Run,
    time::Timestamp,
};

use super::notation::{at, check};

#[test]
fn a_step_whose_condition_is_false_is_skipped() {
    check(
        "a:if=false b:if=true c<-a d<-a:all_done e<-a,b:any_succeeded",
        "0 submit      => RUNNING a=skipped(condition_false) b=ready c=skipped(upstream_skipped:a) d=ready
         0 go          => b=queued d=queued launch:b1 launch:d1
         1 b1 ok; d1 ok; go; e1 ok => SUCCEEDED b=succeeded d=succeeded e=succeeded launch:e1",
    );
}

#[test]
fn a_step_whose_condition_has_no_value_has_failed_without_an_attempt() {
    let mut play = check(
        "a:if=bad,retry=3 b<-a c<-a:any_failed",
        "5 submit      => RUNNING a=failed(expression_invalid) b=skipped(upstream_failed:a) c=ready \
                          a1~failed(expression_invalid)
         6 go; c1 ok   => FAILED c=succeeded launch:c1",
    );
    assert_eq!(play.run.record().failed_step, Some(play.index("a")));
    let a = play.step("a");
    assert_eq!((a.failures, a.queued_at.0, a.started_at.0, a.until), (1, 0, 0, at(5)));
    let failure = Failure {
        reason: FailureReason::ExpressionInvalid,
        message: "the condition has no value".to_owned(),
        exit_code: None,
        signal: None,
    };
    let never = Timestamp(0);
    let attempt = AttemptRecord {
        step: play.index("a"),
        attempt: 1,
        queued_at: never,
        started_at: never,
        ended_at: at(5),
        end: AttemptEnd::Failed(failure),
    };
    assert_eq!(play.attempts, [attempt]);
    play.goes_on(
        "7 retry       => RUNNING a=failed(expression_invalid) c=ready c1~succeeded a2~failed(expression_invalid)",
    );
}

#[test]
fn a_condition_is_looked_at_only_where_the_rule_is_met() {
    check(
        "a b<-a:if=bad c<-a:if=bad,any_failed",
        "0 submit; go   => RUNNING a=queued launch:a1
         1 a1 exit_code => FAILED a=failed(exit_code) b=skipped(upstream_failed:a) c=failed(expression_invalid) \
                           a1~failed(exit_code) c1~failed(expression_invalid)",
    );
}

#[test]
fn a_condition_without_a_value_stops_what_a_failure_stops() {
    let fails = "0 submit; go; b1 running => RUNNING a=queued b=running launch:a1 launch:b1";
    let graph = "a b c<-a:if=bad d<-c:all_done e<-a";
    check(graph, fails).goes_on(
        "1 a1 ok        => a=succeeded c=failed(expression_invalid) d=ready e=ready c1~failed(expression_invalid)",
    );
    check(&format!("{graph} !stop_on_failure"), fails).goes_on(
        "1 a1 ok        => STOPPING(failure) a=succeeded c=failed(expression_invalid) d=skipped(run:failure) \
                           e=skipped(run:failure) c1~failed(expression_invalid)
         2 b1 ok        => FAILED(failure) b=succeeded",
    );
    check(&format!("{graph} !fail_fast"), fails).goes_on(
        "1 a1 ok        => STOPPING(failure) a=succeeded b=stopping(run:failure) c=failed(expression_invalid) \
                           d=skipped(run:failure) e=skipped(run:failure) c1~failed(expression_invalid) stop:b1",
    );
}

#[test]
fn a_groups_condition_is_that_of_all_it_holds() {
    check(
        "g:if=false h:if=bad @g a @h b",
        "0 submit => FAILED g=skipped(condition_false) h=failed(expression_invalid) g.a=skipped(upstream_skipped:g) \
                     h.b=skipped(upstream_failed:h) h1~failed(expression_invalid)",
    );
}

/// No condition has a value.
#[derive(Debug)]
struct Nothing;

impl Logic for Nothing {
    fn condition(&self, _: StepIndex, _: &dyn Facts) -> Result<bool, String> {
        Err("there is none".to_owned())
    }

    fn items(&self, _: StepIndex, _: &dyn Facts) -> Result<u32, String> {
        Ok(0)
    }
}

#[test]
fn a_chain_of_failures_may_be_as_long_as_a_run() {
    for failure_mode in [FailureMode::ContinueOnFailure, FailureMode::FailFast] {
        let mut builder = GraphBuilder::new(RunPolicy { failure_mode, ..RunPolicy::default() });
        let trigger_rule = TriggerRule::AllDone;
        let policy = StepPolicy { trigger_rule, has_condition: true, ..StepPolicy::default() };
        for step in 0..200_000 {
            builder.add_step(policy);
            if step > 0 {
                builder.add_dependency(NodeIndex(step), NodeIndex(step - 1));
            }
        }
        builder.set_logic(Arc::new(Nothing));
        let mut run = Run::new(Arc::new(builder.build().expect("it is a chain")));
        run.apply(&Event::Submitted, at(0), &mut Output::default()).expect("it makes sense");
        let failed = if failure_mode == FailureMode::FailFast { 1 } else { 200_000 };
        assert_eq!(run.record().state, RunState::Failed);
        assert_eq!(run.record().count(StepState::Failed), failed);
    }
}
