//! Retrying an ended run from what did not succeed.

use windlass_engine::{
    record::{RunState, StepState},
    run::Run,
};

use super::notation::{Play, at, check};

#[test]
fn what_failed_and_all_that_depends_on_it_is_done_again_and_the_rest_is_not() {
    let mut play = check(
        "a b<-a c<-b:all_done d<-b e<-c f<-a",
        "0 submit; go   => RUNNING a=queued launch:a1
         1 a1 ok; go    => a=succeeded b=queued f=queued launch:b1 launch:f1
         2 f1 ok        => f=succeeded
         3 b1 exit_code started=2 => b=failed(exit_code) c=ready d=skipped(upstream_failed:b) b1~failed(exit_code)
         3 go; c1 ok; go => c=succeeded e=queued launch:c1 launch:e1
         4 e1 ok        => FAILED e=succeeded
         5 retry        => RUNNING b=ready c=waiting d=waiting e=waiting c1~succeeded e1~succeeded",
    );
    let record = play.run.record();
    assert_eq!(
        (record.retries, record.started_at, record.ended_at.0, record.failed_step),
        (1, at(5), 0, None)
    );
    // What another attempt ran for before is not forgotten, and its late reports mean nothing.
    play.goes_on(
        "6 b1 ok; c1 ok; e1 running =>
         7 go           => b=queued launch:b2
         8 b2 ok; go    => b=succeeded c=queued d=queued launch:c2 launch:d1
         9 c2 ok; d1 ok; go => c=succeeded d=succeeded e=queued launch:e2
         10 e2 ok       => SUCCEEDED e=succeeded
         11 retry       =>",
    );
}

#[test]
fn budgets_are_anew_and_numbers_go_on() {
    let mut play = check(
        "a:retry=1,system=1",
        "0 submit; go       => RUNNING a=queued launch:a1
         1 a1 exit_code; go => a=queued a1~failed(exit_code) launch:a2
         2 a2 lost; go      => a=queued a2~failed(lost) launch:a3
         3 a3 exit_code     => FAILED a=failed(exit_code) a3~failed(exit_code)
         4 retry            => RUNNING a=ready",
    );
    let a = play.step("a");
    assert_eq!((a.failures, a.losses, a.attempt, a.queued_at.0, a.until.0), (0, 0, 3, 0, 0));
    play.goes_on(
        "5 go               => a=queued launch:a4
         6 a4 exit_code; go => a=queued a4~failed(exit_code) launch:a5
         7 a5 exit_code     => FAILED a=failed(exit_code) a5~failed(exit_code)
         8 retry; go        => RUNNING a=queued launch:a6
         9 a6 ok            => SUCCEEDED a=succeeded",
    );
}

#[test]
fn what_a_stopped_run_kept_from_running_is_done_again() {
    check(
        "a b c<-a d !parallel=2",
        "0 submit; go => RUNNING a=queued b=queued d=ready launch:a1 launch:b1
         1 b1 ok      => b=succeeded
         2 cancel     => STOPPING(cancelled) a=stopping(run:cancelled) c=skipped(run:cancelled) \
                         d=skipped(run:cancelled) stop:a1
         3 retry      =>
         4 a1 stopped => CANCELLED(cancelled) a=cancelled(run:cancelled) a1~cancelled(cancelled)
         5 retry      => RUNNING a=ready c=waiting d=ready
         6 go         => a=queued d=queued launch:a2 launch:d1
         7 a2 ok; d1 ok; go; c1 ok => SUCCEEDED a=succeeded c=succeeded d=succeeded launch:c1",
    );
}

#[test]
fn what_a_stopped_retry_did_not_come_to_was_skipped() {
    check(
        "a b<-a",
        "0 submit; go   => RUNNING a=queued launch:a1
         1 a1 exit_code => FAILED a=failed(exit_code) b=skipped(upstream_failed:a) a1~failed(exit_code)
         2 retry        => RUNNING a=ready b=waiting
         3 cancel       => CANCELLED(cancelled) a=skipped(run:cancelled) b=skipped(run:cancelled)
         4 retry; go    => RUNNING a=queued b=waiting launch:a2",
    );
}

#[test]
fn a_step_skipped_by_its_own_rule_is_done_again_only_with_what_it_waits_for() {
    check(
        "a b<-a:any_failed c d<-c:any_failed",
        "0 submit; go   => RUNNING a=queued c=queued launch:a1 launch:c1
         1 a1 ok        => a=succeeded b=skipped(trigger_rule_not_met)
         2 c1 exit_code; go; d1 ok => FAILED c=failed(exit_code) d=succeeded c1~failed(exit_code) launch:d1
         3 retry; go    => RUNNING c=queued d=waiting d1~succeeded launch:c2
         4 c2 ok        => SUCCEEDED c=succeeded d=skipped(trigger_rule_not_met)",
    );
}

#[test]
fn a_cancelled_run_whose_steps_all_succeeded_has_nothing_left_to_do() {
    check(
        "a",
        "0 submit; go => RUNNING a=queued launch:a1
         1 cancel     => STOPPING(cancelled) a=stopping(run:cancelled) stop:a1
         2 a1 ok      => CANCELLED(cancelled) a=succeeded
         3 retry      => SUCCEEDED",
    );
}

#[test]
fn a_retry_forgets_the_pauses_before_it() {
    let play = check(
        "a !timeout=100",
        "0 submit; go; pause => RUNNING a=queued launch:a1
         50 resume           => wake@150
         60 a1 exit_code     => FAILED a=failed(exit_code) a1~failed(exit_code) wake@never
         70 retry            => RUNNING a=ready wake@170",
    );
    assert_eq!(play.run.record().paused_ms, 0);
}

#[test]
fn of_a_group_that_is_done_again_which_failed_goes_on_where_it_was() {
    let play = check(
        "g b<-g @g c d<-c e",
        "0 submit; go 1 => RUNNING g=open g.c=queued g.e=ready launch:g.c#1
         1 g.c#1 ok; go => g.c=succeeded g.d=queued g.e=queued launch:g.d#1 launch:g.e#1
         2 g.e#1 ok; g.d#1 exit_code => FAILED g=failed(step_failed:g.d) b=skipped(upstream_failed:g) \
                           g.d=failed(exit_code) g.e=succeeded g.d#1~failed(exit_code)
         9 retry; go    => RUNNING g=open b=waiting g.d=queued launch:g.d#2
         10 g.d#2 ok    => g=succeeded b=ready g.d=succeeded",
    );
    assert_eq!((play.step("g").started_at, play.step("g").until), (at(0), at(10)));
}

#[test]
fn a_group_that_depends_on_what_is_done_again_is_done_anew() {
    check(
        "a g<-a:all_done @g c d:if=bad",
        "0 submit; go   => RUNNING a=queued launch:a1
         1 a1 exit_code => a=failed(exit_code) g=open g.c=ready g.d=failed(expression_invalid) \
                           a1~failed(exit_code) g.d#1~failed(expression_invalid)
         1 go; g.c#1 ok => FAILED g=failed(step_failed:g.d) g.c=succeeded launch:g.c#1
         2 retry        => RUNNING a=ready g=waiting g.c=waiting g.d=waiting g.c#1~succeeded
         2 go; a2 ok    => a=succeeded g=open g.c=ready g.d=failed(expression_invalid) g.d#2~failed(expression_invalid) \
                           launch:a2",
    );
}

#[test]
fn a_choice_that_is_done_again_takes_the_branch_that_it_took() {
    check(
        "c b<-c @c? x:if=false y z",
        "0 submit; go      => RUNNING c=open c.x=skipped(condition_false) c.y=queued c.z=skipped(condition_false) \
                              launch:c.y#1
         1 c.y#1 exit_code => FAILED c=failed(step_failed:c.y) b=skipped(upstream_failed:c) c.y=failed(exit_code) \
                              c.y#1~failed(exit_code)
         2 retry           => RUNNING c=open b=waiting c.y=ready
         3 cancel          => CANCELLED(cancelled) c=cancelled(run:cancelled) b=skipped(run:cancelled) \
                              c.y=skipped(run:cancelled)
         4 retry; go       => RUNNING c=open b=waiting c.y=queued launch:c.y#2
         5 c.y#2 ok        => c=succeeded b=ready c.y=succeeded",
    );
}

#[test]
fn of_a_loop_the_items_are_done_again_that_did_not_succeed() {
    let play = check(
        "l:items=3 b<-l @l* l",
        "0 submit; go      => RUNNING l=open(3 items) l.0=queued l.1=queued l.2=queued \
                              launch:l.0#1 launch:l.1#1 launch:l.2#1
         1 l.0#1 ok; l.1#1 exit_code; l.2#1 ok => FAILED l=failed(step_failed:l.1) b=skipped(upstream_failed:l) \
                              l.0=succeeded l.1=failed(exit_code) l.2=succeeded l.1#1~failed(exit_code)
         2 retry           => RUNNING l=open(3 items) b=waiting l.1=waiting
         3 go; reload      => l.1=queued launch:l.1#2 launch:l.1#2
         4 l.1#2 ok        => l=succeeded b=ready l.1=succeeded",
    );
    assert_eq!(play.run.layout().expansions().len(), 1);
}

#[test]
fn items_that_are_done_again_are_no_more_at_once_than_the_loop_allows() {
    // What is left to do lies in a list, in a group that has opened before, or in another loop.
    let tables = [
        ("l:items=2 @l*1 d e<-d", "d", "e"),
        ("l:items=2 @l*1 g @g d e<-d", "g.d", "g.e"),
        ("l:items=2 @l*1 m:items=1 @m* d e<-d", "m.0.d", "m.0.e"),
    ];
    for (graph, d, e) in tables {
        let mut play = Play::new(graph);
        let of_item = |item, step| format!("l.{item}.{step}");
        play.acts("0 submit");
        for item in [0, 1] {
            play.acts("0 go");
            play.acts(&format!("1 {}#1 ok; go", of_item(item, d)));
            play.acts(&format!("2 {}#1 exit_code", of_item(item, e)));
        }
        assert_eq!(play.run.record().state, RunState::Failed);
        play.acts("3 retry; go; go");
        let states = [0, 1].map(|item| play.step(&of_item(item, e)).state);
        assert_eq!(states, [StepState::Queued, StepState::Waiting], "{graph}");
        play.acts(&format!("4 {}#2 ok; go", of_item(0, e)));
        play.acts(&format!("5 {}#2 ok", of_item(1, e)));
        assert_eq!(play.run.record().state, RunState::Succeeded, "{graph}");
    }
}

#[test]
fn a_loop_that_depends_on_what_is_done_again_asks_for_its_list_anew() {
    let mut play = check(
        "a b<-a:all_done l<-b:items=b c<-l @l* d e<-d:if=true",
        "0 submit; go      => RUNNING a=queued launch:a1
         1 a1 exit_code; go; b1 ok outputs={\"n\":2} => a=failed(exit_code) b=succeeded l=open(2 items) \
                              a1~failed(exit_code) launch:b1 b:={\"n\":2}
         1 go; l.0.d#1 ok; l.1.d#1 exit_code; go => l.0.d=succeeded l.0.e=queued l.1.d=failed(exit_code) \
                              l.1.e=skipped(upstream_failed:l.1.d) l.1.d#1~failed(exit_code) \
                              launch:l.0.d#1 launch:l.1.d#1 launch:l.0.e#1
         2 l.0.e#1 ok      => FAILED l=failed(step_failed:l.1.d) c=skipped(upstream_failed:l) l.0.e=succeeded",
    );
    let before = play.index("l.0.d");
    play.goes_on(
        "3 retry           => RUNNING a=ready b=waiting l=waiting c=waiting b1~succeeded
         4 go; a2 ok; go; b2 ok outputs={\"n\":1} => a=succeeded b=succeeded l=open(1 items) launch:a2 launch:b2 \
                              b:={\"n\":1}
         5 go; reload      => l.0.d=queued launch:l.0.d#1 launch:l.0.d#1",
    );
    // The steps of the items before are there still, and count no more.
    assert_eq!(play.run.step(before).state, StepState::Succeeded);
    assert_ne!(play.index("l.0.d"), before);
    let record = play.run.record();
    assert_eq!((record.count(StepState::Succeeded), record.count(StepState::Failed)), (2, 0));
    play.goes_on(
        "6 l.0.d#1 ok; go; l.0.e#1 ok; go; c1 ok => SUCCEEDED l=succeeded c=succeeded l.0.d=succeeded \
                              l.0.e=succeeded launch:l.0.e#1 launch:c1",
    );
}

#[test]
fn a_loop_that_had_items_and_now_is_skipped_has_none() {
    let play = check(
        "a b<-a:any_failed l<-b:items=2 @l* l",
        "0 submit; go      => RUNNING a=queued launch:a1
         1 a1 exit_code; go; b1 ok; go; l.0#1 ok; l.1#1 ok => FAILED a=failed(exit_code) b=succeeded l=succeeded \
                              l.0=succeeded l.1=succeeded a1~failed(exit_code) launch:b1 launch:l.0#1 launch:l.1#1
         2 retry; go; a2 ok => SUCCEEDED a=succeeded b=skipped(trigger_rule_not_met) l=skipped(upstream_skipped:b) \
                              b1~succeeded launch:a2",
    );
    let record = play.run.record();
    assert_eq!((record.count(StepState::Succeeded), record.count(StepState::Skipped)), (1, 2));
}

#[test]
fn a_loop_in_an_item_is_done_again_as_any_other_step() {
    check(
        "l:items=2 @l* d:all_done m<-d:items=1 @m* m",
        "0 submit; go      => RUNNING l=open(2 items) l.0.d=queued l.1.d=queued launch:l.0.d#1 launch:l.1.d#1
         1 l.0.d#1 ok; go; l.0.m.0#1 exit_code => l.0.d=succeeded l.0.m=failed(step_failed:l.0.m.0) \
                              l.0.m.0=failed(exit_code) l.0.m.0#1~failed(exit_code) launch:l.0.m.0#1
         2 l.1.d#1 exit_code => FAILED l=failed(step_failed:l.0.m) l.1.d=failed(exit_code) \
                              l.1.m=skipped(upstream_failed:l.1.d) l.1.d#1~failed(exit_code)
         3 retry           => RUNNING l=open(2 items) l.0.m=waiting l.1.d=waiting l.1.m=waiting l.0.m.0=waiting
         4 go              => l.0.m=open(1 items) l.1.d=queued l.0.m.0=queued launch:l.0.m.0#2 launch:l.1.d#2",
    );
}

#[test]
fn a_run_that_was_condemned_goes_on_where_it_was() {
    let mut play = check(
        "a l<-a:all_done,items=2 @exit x @l* l",
        "0 submit; go        => RUNNING a=queued launch:a1
         1 a1 exit_code; go  => a=failed(exit_code) l=open(2 items) l.0=queued l.1=queued a1~failed(exit_code) \
                                launch:l.0#1 launch:l.1#1",
    );
    let mut stored = play.store.stored();
    assert!(stored.record.condemn("nobody could read it".into(), at(2)));
    play.run = Run::load(play.run.graph().clone(), stored).expect("it makes sense");
    play.goes_on(
        "3 retry             => RUNNING
         4 l.0#1 ok; l.1#1 ok => EXITING l=succeeded x=ready l.0=succeeded l.1=succeeded
         5 go; x1 ok         => FAILED x=succeeded launch:x1",
    );
    assert_eq!(play.run.record().failed_step, Some(play.index("a")));
}

#[test]
fn exit_steps_are_done_again_whatever_they_had_come_to() {
    check(
        "a b @exit x l:items=1 y:if=failed @l* l",
        "0 submit; go; b1 ok => RUNNING a=queued b=succeeded launch:a1 launch:b1
         1 a1 exit_code; go  => EXITING a=failed(exit_code) x=queued l=open(1 items) y=queued l.0=queued \
                                a1~failed(exit_code) launch:x1 launch:y1 launch:l.0#1
         2 x1 ok; y1 ok; l.0#1 exit_code => FAILED x=succeeded l=failed(step_failed:l.0) y=succeeded \
                                l.0=failed(exit_code) l.0#1~failed(exit_code)
         3 retry; go         => RUNNING a=queued x=waiting l=waiting y=waiting x1~succeeded y1~succeeded launch:a2
         4 a2 ok; go         => EXITING a=succeeded x=queued l=open(1 items) y=skipped(condition_false) l.0=queued \
                                launch:x2 launch:l.0#1
         5 x2 ok; l.0#1 ok   => SUCCEEDED x=succeeded l=succeeded l.0=succeeded",
    );
}

#[test]
fn a_retry_of_a_run_of_which_only_an_exit_step_failed_does_the_exit_steps_again() {
    check(
        "a @exit x y",
        "0 submit; go; a1 ok; go => EXITING a=succeeded x=queued y=queued launch:a1 launch:x1 launch:y1
         1 x1 ok; y1 exit_code => FAILED x=succeeded y=failed(exit_code) y1~failed(exit_code)
         2 retry; go       => EXITING x=queued y=queued x1~succeeded launch:x2 launch:y2
         3 x2 ok; y2 ok    => SUCCEEDED x=succeeded y=succeeded",
    );
}
