//! Ended runs that are taken up again from a step, whatever that step had come to.

use windlass_engine::{
    event::{Event, Order},
    output::Output,
    record::StepIndex,
};

use super::notation::{Play, at, check};

#[test]
fn the_step_and_all_that_depends_on_it_are_done_again_and_nothing_else() {
    let play = check(
        "a b<-a c<-b d<-a e<-c,d",
        "0 submit; go; a1 ok; go; b1 ok; d1 ok; go; c1 ok; go; e1 ok => SUCCEEDED a=succeeded b=succeeded c=succeeded \
                       d=succeeded e=succeeded launch:a1 launch:b1 launch:d1 launch:c1 launch:e1
         1 retry       =>
         2 retry from=b; go => RUNNING b=queued c=waiting e=waiting b1~succeeded c1~succeeded e1~succeeded launch:b2
         3 b2 ok; go; c2 ok; go; e2 ok => SUCCEEDED b=succeeded c=succeeded e=succeeded launch:c2 launch:e2",
    );
    assert_eq!(play.run.record().retries, 1);
    assert_eq!(play.step("d").attempt, 1);
}

#[test]
fn what_a_plain_retry_does_again_is_done_again_too() {
    check(
        "a b c<-b @exit x",
        "0 submit; go; a1 ok; b1 exit_code; go; x1 ok => FAILED a=succeeded b=failed(exit_code) \
                       c=skipped(upstream_failed:b) x=succeeded b1~failed(exit_code) launch:a1 launch:b1 launch:x1
         1 retry from=a; go => RUNNING a=queued b=queued c=waiting x=waiting a1~succeeded x1~succeeded launch:a2 launch:b2",
    );
    check(
        "a b !timeout=9",
        "0 submit; go; a1 ok; b1 running => RUNNING a=succeeded b=running launch:a1 launch:b1 wake@9
         1 cancel; b1 stopped => CANCELLED(cancelled) b=cancelled(run:cancelled) b1~cancelled(cancelled) stop:b1 wake@never
         5 retry from=a => RUNNING a=ready b=ready a1~succeeded wake@14",
    );
}

#[test]
fn of_a_step_that_holds_others_all_of_them_are_done_again() {
    check(
        "g l:items=2 b<-g @g c d<-c @l* l",
        "0 submit; go; g.c#1 ok; go; g.d#1 ok; l.0#1 ok; l.1#1 ok; go; b1 ok => SUCCEEDED g=succeeded l=succeeded b=succeeded \
                       g.c=succeeded g.d=succeeded l.0=succeeded l.1=succeeded launch:g.c#1 launch:l.0#1 launch:l.1#1 \
                       launch:g.d#1 launch:b1
         1 retry from=g; go => RUNNING g=open b=waiting g.c=queued g.d=waiting b1~succeeded g.c#1~succeeded \
                       g.d#1~succeeded launch:g.c#2
         2 g.c#2 ok; go; g.d#2 ok; go; b2 ok => SUCCEEDED g=succeeded b=succeeded g.c=succeeded g.d=succeeded launch:g.d#2 \
                       launch:b2",
    );
}

#[test]
fn a_loop_gets_its_items_anew_and_its_former_ones_count_no_more() {
    let mut play = check(
        "a l<-a:items=a b<-l @l* l",
        "0 submit; go; a1 ok outputs={\"n\":1}; go; l.0#1 ok; go; b1 ok => SUCCEEDED a=succeeded l=succeeded b=succeeded \
                       l.0=succeeded launch:a1 launch:l.0#1 launch:b1 a:={\"n\":1}",
    );
    let former = play.index("l.0");
    play.goes_on(
        "1 retry from=l; go => RUNNING l=open(1 items) b=waiting l.0=queued b1~succeeded launch:l.0#1
         2 l.0#1 ok; go; b2 ok => SUCCEEDED l=succeeded b=succeeded l.0=succeeded launch:b2",
    );
    assert_ne!(play.index("l.0"), former);
    assert_ignored(&mut play, former);
}

#[test]
fn from_an_item_only_that_item_is_done_again_and_what_depends_on_the_loop() {
    check(
        "l:items=3 b<-l @l* d e<-d",
        "0 submit; go; l.0.d#1 ok; l.1.d#1 ok; l.2.d#1 ok; go; l.0.e#1 ok; l.1.e#1 ok; l.2.e#1 ok; go; b1 ok => SUCCEEDED \
                       l=succeeded b=succeeded l.0.d=succeeded l.0.e=succeeded l.1.d=succeeded l.1.e=succeeded \
                       l.2.d=succeeded l.2.e=succeeded launch:l.0.d#1 launch:l.1.d#1 launch:l.2.d#1 launch:l.0.e#1 \
                       launch:l.1.e#1 launch:l.2.e#1 launch:b1
         1 retry from=l.1.e; go => RUNNING l=open(3 items) b=waiting l.1.e=queued b1~succeeded l.1.e#1~succeeded \
                       launch:l.1.e#2
         2 l.1.e#2 ok; go => l=succeeded b=queued l.1.e=succeeded launch:b2",
    );
}

#[test]
fn from_within_what_never_began_all_of_that_may_begin() {
    check(
        "a g<-a @g c d",
        "0 submit; go; a1 exit_code => FAILED a=failed(exit_code) g=skipped(upstream_failed:a) g.c=skipped(upstream_skipped:g) \
                       g.d=skipped(upstream_skipped:g) a1~failed(exit_code) launch:a1
         1 retry from=g.c; go; a2 ok; go => RUNNING a=succeeded g=open g.c=queued g.d=queued launch:a2 launch:g.c#1 launch:g.d#1",
    );
    check(
        "a g:if=false @g c d",
        "0 submit; go; a1 ok => SUCCEEDED a=succeeded g=skipped(condition_false) g.c=skipped(upstream_skipped:g) \
                       g.d=skipped(upstream_skipped:g) launch:a1
         1 retry from=g.c =>",
    );
}

#[test]
fn from_a_branch_that_was_passed_over_the_branch_is_chosen_anew() {
    check(
        "c @c? a:if=true b",
        "0 submit; go; c.a#1 ok => SUCCEEDED c=succeeded c.a=succeeded c.b=skipped(condition_false) launch:c.a#1
         1 retry from=c.b; go => RUNNING c=open c.a=queued c.a#1~succeeded launch:c.a#2
         2 c.a#2 ok    => SUCCEEDED c=succeeded c.a=succeeded
         3 retry from=c.a; go => RUNNING c=open c.a=queued c.a#2~succeeded launch:c.a#3",
    );
}

#[test]
fn an_approval_asks_anew_and_an_exit_step_is_done_again_with_the_others() {
    check(
        "a:approval b<-a @exit x y<-x",
        "0 submit; approve a by=ann; go; b1 ok; go; x1 ok; go; y1 ok => SUCCEEDED a=succeeded b=succeeded x=succeeded \
                       y=succeeded launch:b1 launch:x1 launch:y1 a:={\"approved_by\":\"ann\",\"comment\":\"\"}
         1 retry from=a => RUNNING a=suspended b=waiting x=waiting y=waiting a1~succeeded b1~succeeded x1~succeeded \
                       y1~succeeded
         2 reject a; go => EXITING a=failed(rejected) b=skipped(upstream_failed:a) x=queued a2~failed(rejected) launch:x2
         3 x2 ok; go; y2 ok => FAILED x=succeeded y=succeeded launch:y2
         4 retry from=y; go 0 => RUNNING a=suspended b=waiting x=waiting y=waiting x2~succeeded y2~succeeded",
    );
}

#[test]
fn what_names_no_step_of_the_run_or_a_run_that_has_not_ended_changes_nothing() {
    let mut play = check("a b<-a", "0 submit; go => RUNNING a=queued launch:a1");
    play.goes_on("1 retry from=a; retry from=b =>");
    play.goes_on("2 a1 ok; go; b1 ok => SUCCEEDED a=succeeded b=succeeded launch:b1");
    assert_ignored(&mut play, StepIndex(2));
    assert_ignored(&mut play, StepIndex(u32::MAX));
}

#[track_caller]
fn assert_ignored(play: &mut Play, from: StepIndex) {
    let (before, mut out) = (play.run.clone(), Output::default());
    let order = Event::Order(Order::Retry { from: Some(from), changes: None });
    play.run.apply(&order, at(99), &mut out).expect("it makes sense");
    assert_eq!((&play.run, out), (&before, Output::default()));
}
