//! Steps that wait for somebody's word.

use windlass_engine::{
    event::{Decision, Event, Order},
    logic::Facts as _,
    output::Output,
    reason::{Failure, FailureReason},
    record::{AttemptEnd, AttemptRecord, StepState},
    run::Run,
    time::Timestamp,
};

use super::notation::{at, check};

#[test]
fn an_approval_waits_once_it_may_begin_and_what_follows_waits_for_the_word() {
    let mut play = check(
        "a b<-a:approval c<-b",
        "0 submit; go    => RUNNING a=queued launch:a1
         5 a1 ok; go     => a=succeeded b=suspended
         6 wake; go; reload =>",
    );
    assert_eq!((play.step("b").started_at, play.step("b").attempt), (at(5), 0));
    assert_eq!(play.run.record().in_flight(), 0);
    play.goes_on(
        "9 approve b by=ann comment=fine => b=succeeded c=ready b:={\"approved_by\":\"ann\",\"comment\":\"fine\"}
         9 go; c1 ok     => SUCCEEDED c=succeeded launch:c1",
    );
    let b = play.step("b");
    assert_eq!((b.attempt, b.queued_at, b.started_at, b.until), (1, Timestamp(0), at(5), at(9)));
}

#[test]
fn a_refused_approval_has_failed_with_who_and_why_and_is_not_tried_again() {
    let mut play = check(
        "a:approval,retry=3 b<-a c<-a:any_failed",
        "0 submit        => RUNNING a=suspended
         4 reject a by=ann comment=late => a=failed(rejected) b=skipped(upstream_failed:a) c=ready a1~failed(rejected)
         5 go; c1 ok     => FAILED c=succeeded launch:c1",
    );
    assert_eq!(play.run.record().failed_step, Some(play.index("a")));
    assert_eq!((play.step("a").failures, play.step("a").until), (1, at(4)));
    let message = "rejected by ann: late".to_owned();
    let reason = FailureReason::Rejected;
    let attempt = AttemptRecord {
        step: play.index("a"),
        attempt: 1,
        queued_at: Timestamp(0),
        started_at: Timestamp(0),
        ended_at: at(4),
        end: AttemptEnd::Failed(Failure { reason, message, exit_code: None, signal: None }),
    };
    assert_eq!(play.attempts, [attempt]);
    play.goes_on(
        "6 retry         => RUNNING a=suspended b=waiting c=waiting c1~succeeded
         7 approve a     => a=succeeded b=ready c=skipped(trigger_rule_not_met) \
                            a:={\"approved_by\":\"bo\",\"comment\":\"\"}",
    );
    assert_eq!(play.step("a").attempt, 2);
    assert_eq!(play.step("a").started_at, at(6), "it asked anew");
}

#[test]
fn a_word_that_nobody_waits_for_changes_nothing() {
    check(
        "a b<-a:approval c:approval",
        "0 approve b     => RUNNING a=ready c=suspended
         1 go; approve a; approve b; reject b => a=queued launch:a1
         2 a1 ok; approve b; reject b; approve b => a=succeeded b=succeeded b:={\"approved_by\":\"bo\",\"comment\":\"\"}
         3 reject c; approve c => FAILED c=failed(rejected) c1~failed(rejected)
         4 approve c; reject b =>",
    );
}

#[test]
fn an_approval_fails_once_its_time_out_has_passed_since_it_began_to_wait() {
    let play = check(
        "a b<-a:approval,timeout=50 c:approval",
        "0 submit; go    => RUNNING a=queued c=suspended launch:a1
         30 a1 ok        => a=succeeded b=suspended wake@80
         79 wake         =>
         80 wake; approve b => b=failed(timeout) b1~failed(timeout) wake@never",
    );
    let AttemptEnd::Failed(failure) = &play.attempts[0].end else { panic!("it failed") };
    assert_eq!(failure.message, "nobody approved or rejected it within its time-out");
    let in_time = "0 submit => RUNNING a=suspended wake@50
                   49 approve a => SUCCEEDED a=succeeded a:={\"approved_by\":\"bo\",\"comment\":\"\"} wake@never
                   50 wake =>";
    check("a:approval,timeout=50", in_time);
}

#[test]
fn a_stop_of_the_run_ends_what_waits_for_a_word() {
    check(
        "a:approval b<-a @exit x:approval",
        "0 submit        => RUNNING a=suspended
         1 cancel        => EXITING(cancelled) a=skipped(run:cancelled) b=skipped(run:cancelled) x=suspended
         2 approve a     =>
         3 cancel        => CANCELLED(cancelled) x=skipped(run:cancelled)",
    );
    check(
        "a:approval b !timeout=9",
        "0 submit; go; b1 ok => RUNNING a=suspended b=succeeded launch:b1 wake@9
         9 wake          => FAILED(timed_out) a=skipped(run:timed_out) wake@never
         10 retry        => RUNNING a=suspended wake@19",
    );
    check(
        "a:approval b:approval c !fail_fast",
        "0 submit; go; c1 running => RUNNING a=suspended b=suspended c=running launch:c1
         1 reject a      => STOPPING(failure) a=failed(rejected) b=skipped(run:failure) c=stopping(run:failure) \
                            a1~failed(rejected) stop:c1
         2 approve b     =>
         3 c1 stopped    => FAILED(failure) c=cancelled(run:failure) c1~cancelled(failure)",
    );
}

#[test]
fn a_pause_holds_neither_the_question_nor_the_word_back() {
    check(
        "a b<-a:approval c<-b:approval d<-c",
        "0 submit; go; a1 running => RUNNING a=running launch:a1
         1 pause         =>
         2 a1 ok         => a=succeeded b=suspended
         3 approve b; go => b=succeeded c=suspended b:={\"approved_by\":\"bo\",\"comment\":\"\"}
         4 approve c; go => c=succeeded d=ready c:={\"approved_by\":\"bo\",\"comment\":\"\"}
         5 resume; go    => d=queued launch:d1",
    );
}

#[test]
fn conditions_and_rules_hold_for_approvals_as_for_other_steps() {
    check(
        "a:if=false,approval b<-a:approval c<-b:all_done,approval d:if=bad,approval",
        "0 submit        => RUNNING a=skipped(condition_false) b=skipped(upstream_skipped:a) c=suspended \
                            d=failed(expression_invalid) d1~failed(expression_invalid)
         1 approve c     => FAILED c=succeeded c:={\"approved_by\":\"bo\",\"comment\":\"\"}",
    );
}

#[test]
fn what_holds_an_approval_is_open_until_somebody_has_decided() {
    check(
        "g h:items=2 @g a:approval b<-a @h*1 h:approval",
        "0 submit; go    => RUNNING g=open h=open(2 items) g.a=suspended h.0=suspended
         1 approve g.a; go; g.b#1 ok => g=succeeded g.a=succeeded g.b=succeeded launch:g.b#1 \
                            g.a:={\"approved_by\":\"bo\",\"comment\":\"\"}
         2 approve h.0   => h.0=succeeded h.0:={\"approved_by\":\"bo\",\"comment\":\"\"}
         3 go            => h.1=suspended
         4 reject h.1    => FAILED h=failed(step_failed:h.1) h.1=failed(rejected) h.1#1~failed(rejected)",
    );
    check(
        "c @c? a:approval,if=true b",
        "0 submit        => RUNNING c=open c.a=suspended c.b=skipped(condition_false)
         1 approve c.a   => SUCCEEDED c=succeeded c.a=succeeded c.a:={\"approved_by\":\"bo\",\"comment\":\"\"}",
    );
}

#[test]
fn approvals_take_no_room_and_no_part_of_the_parallelism() {
    let play = check(
        "l:items=3 b !parallel=1 @l* l:approval",
        "0 submit        => RUNNING l=open(3 items) b=ready
         1 go 1; b1 running => b=running launch:b1
         2 b1 ok; go     => b=succeeded l.0=suspended l.1=suspended l.2=suspended",
    );
    assert_eq!(play.run.record().count(StepState::Suspended), 3);
}

#[test]
fn a_run_that_was_condemned_takes_no_word() {
    let play = check("a:approval b<-a", "0 submit => RUNNING a=suspended");
    let mut stored = play.store.stored();
    assert!(stored.record.condemn("it cannot be read".into(), at(1)));
    let mut run = Run::load(play.run.graph().clone(), stored).expect("its records are its own");
    let (before, mut out) = (run.clone(), Output::default());
    let step = play.index("a");
    let word = Decision { step, approved: true, by: "bo".into(), comment: "".into() };
    run.apply(&Event::Order(Order::Decide(word)), at(2), &mut out).expect("it makes sense");
    assert_eq!((run, out), (before, Output::default()));
}

#[test]
fn the_word_is_kept_where_conditions_and_lists_ask_for_it() {
    let mut play = check("a:approval l<-a:items=a @l* l", "0 submit => RUNNING a=suspended");
    play.acts("1 approve a by=ann comment=2");
    let outputs = play.run.outputs(play.index("a")).expect("they are kept");
    assert_eq!(*outputs, serde_json::json!({"approved_by": "ann", "comment": "2"}));
    play.goes_on("2 reload =>");
    assert_eq!(play.run.outputs(play.index("a")), Some(outputs));
}
