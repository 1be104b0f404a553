//! Steps that do something for each item of a list.

use windlass_engine::{
    event::{Event, Order},
    layout::STEPS_MAX,
    output::Output,
    policy::ClusterIndex,
    record::{AttemptEnd, StepState},
};

use super::notation::{at, check};

#[test]
fn a_loop_over_nothing_succeeds_as_it_opens() {
    let play = check("l:items=0 b<-l @l* l", "7 submit => RUNNING l=succeeded b=ready");
    assert_eq!((play.step("l").started_at, play.step("l").until), (at(7), at(7)));
}

#[test]
fn items_begin_in_their_order_and_only_as_there_is_room() {
    let play = check(
        "l:items=3 b<-l @l* l",
        "0 submit    => RUNNING l=open(3 items)
         0 go 0      =>
         0 go 1      => l.0=queued launch:l.0#1
         1 l.0#1 ok  => l.0=succeeded
         1 go 2      => l.1=queued l.2=queued launch:l.1#1 launch:l.2#1
         2 l.2#1 ok  => l.2=succeeded
         3 l.1#1 ok  => l=succeeded b=ready l.1=succeeded",
    );
    assert_eq!(play.run.record().count(StepState::Succeeded), 4);
}

#[test]
fn no_more_items_are_under_way_than_a_loop_allows() {
    check(
        "l:items=4 c @l*2 d e<-d f<-d",
        "0 submit; go => RUNNING l=open(4 items) c=queued l.0.d=queued l.1.d=queued launch:c1 launch:l.0.d#1 launch:l.1.d#1
         1 l.0.d#1 ok; go => l.0.d=succeeded l.0.e=queued l.0.f=queued launch:l.0.e#1 launch:l.0.f#1
         2 l.0.e#1 ok; go => l.0.e=succeeded
         3 l.0.f#1 ok; go => l.0.f=succeeded l.2.d=queued launch:l.2.d#1
         4 l.1.d#1 exit_code; go => l.1.d=failed(exit_code) l.1.e=skipped(upstream_failed:l.1.d) \
                             l.1.f=skipped(upstream_failed:l.1.d) l.3.d=queued l.1.d#1~failed(exit_code) launch:l.3.d#1",
    );
}

#[test]
fn what_has_begun_is_gone_on_with_before_more_begins() {
    check(
        "l:items=2 @l* m:items=2 d<-m @m* m",
        "0 submit     => RUNNING l=open(2 items)
         0 go 1       => l.0.m=open(2 items) l.0.m.0=queued launch:l.0.m.0#1
         0 go 1       => l.0.m.1=queued launch:l.0.m.1#1
         0 go 1       => l.1.m=open(2 items) l.1.m.0=queued launch:l.1.m.0#1
         1 l.0.m.0#1 ok; l.0.m.1#1 ok => l.0.m=succeeded l.0.d=ready l.0.m.0=succeeded l.0.m.1=succeeded
         1 go 1       => l.0.d=queued launch:l.0.d#1
         1 go         => l.1.m.1=queued launch:l.1.m.1#1
         2 l.0.d#1 ok; l.1.m.0#1 ok; l.1.m.1#1 ok; go; l.1.d#1 ok => SUCCEEDED l=succeeded l.0.d=succeeded \
                         l.1.m=succeeded l.1.d=succeeded l.1.m.0=succeeded l.1.m.1=succeeded launch:l.1.d#1",
    );
}

#[test]
fn a_loop_fails_by_the_first_item_that_failed_once_all_have_ended() {
    check(
        "l:items=3 b<-l c<-l:all_done @l* l",
        "0 submit; go => RUNNING l=open(3 items) l.0=queued l.1=queued l.2=queued launch:l.0#1 launch:l.1#1 launch:l.2#1
         1 l.2#1 exit_code; l.1#1 signal => l.1=failed(signal) l.2=failed(exit_code) \
                         l.2#1~failed(exit_code) l.1#1~failed(signal)
         2 l.0#1 ok   => l=failed(step_failed:l.1) b=skipped(upstream_failed:l) c=ready l.0=succeeded",
    );
}

#[test]
fn a_list_that_is_none_fails_the_loop_and_nothing_begins() {
    let play = check(
        "l:items=bad b<-l @l* l",
        "3 submit => FAILED l=failed(expression_invalid) b=skipped(upstream_failed:l) l1~failed(expression_invalid)",
    );
    assert_eq!((play.step("l").started_at.0, play.step("l").until), (0, at(3)));
}

#[test]
fn a_run_has_no_more_steps_than_it_may() {
    let play = check(
        &format!("l:items=2 m:items={STEPS_MAX} @l* l @m* m"),
        "0 submit => RUNNING l=open(2 items) m=failed(expression_invalid) m1~failed(expression_invalid)",
    );
    let AttemptEnd::Failed(failure) = &play.attempts[0].end else {
        panic!("{:?}", play.attempts);
    };
    assert_eq!(
        failure.message,
        "the loop has 16000000 items, with which the run would have more than 16000000 steps; \
         split the list, or have one step do more"
    );
}

#[test]
fn loops_expand_in_any_order() {
    check(
        "a l<-a:items=1 m:items=1 @l* b c d @m* e f<-e",
        "0 submit; go       => RUNNING a=queued m=open(1 items) m.0.e=queued launch:a1 launch:m.0.e#1
         1 m.0.e#1 ok; a1 ok => a=succeeded l=open(1 items) m.0.e=succeeded m.0.f=ready",
    );
}

#[test]
fn a_loop_is_considered_as_a_whole() {
    check(
        "a l<-a:items=2 m:items=2,if=false @l* l @m* m",
        "0 submit; go   => RUNNING a=queued m=skipped(condition_false) launch:a1
         1 a1 exit_code => FAILED a=failed(exit_code) l=skipped(upstream_failed:a) a1~failed(exit_code)",
    );
}

#[test]
fn of_items_that_need_no_attempt_a_part_begins_at_once_and_the_run_wakes_for_the_rest() {
    let mut play = check("l:items=50000 @l* l:if=false", "0 submit => RUNNING l=open(50000 items)");
    let (mut wakeups, mut out) = (Vec::new(), Output::default());
    while !play.run.record().state.is_final() {
        assert_eq!(play.run.dispatch(ClusterIndex(0), 1, at(1), &mut out), 0);
        wakeups.push(play.run.next_wakeup(at(1)));
    }
    assert_eq!(wakeups, [Some(at(1)), Some(at(1)), None]);
    assert_eq!(play.run.record().count(StepState::Skipped), 50_000);
}

#[test]
fn a_run_that_is_paused_or_stopped_does_not_wake_for_items() {
    for (order, then) in [(Order::Pause, None), (Order::Resume, Some(at(1))), (Order::Cancel, None)]
    {
        let mut play =
            check("l:items=50000 @l* l:if=false", "0 submit => RUNNING l=open(50000 items)");
        let mut out = Output::default();
        play.run.dispatch(ClusterIndex(0), 1, at(1), &mut out);
        play.run.apply(&Event::Order(order), at(1), &mut out).expect("it makes sense");
        assert_eq!(play.run.next_wakeup(at(1)), then);
    }
}

#[test]
fn items_wait_for_the_gap_and_for_the_runs_limit() {
    check(
        "l:items=3 !gap=100 !parallel=2 @l* l",
        "10 submit; go    => RUNNING l=open(3 items) l.0=queued launch:l.0#1 wake@110
         109 go           =>
         110 go           => l.1=queued launch:l.1#1 wake@never
         120 l.0#1 ok; go => l.0=succeeded wake@210
         210 go           => l.2=queued launch:l.2#1 wake@never",
    );
}

#[test]
fn a_paused_loop_begins_no_items() {
    check(
        "l:items=2 @l* l",
        "0 submit; go 1    => RUNNING l=open(2 items) l.0=queued launch:l.0#1
         1 pause; go       =>
         2 l.0#1 ok; go    => l.0=succeeded
         3 resume; go      => l.1=queued launch:l.1#1",
    );
}

#[test]
fn items_that_a_stopped_run_kept_from_beginning_have_the_loop_cancelled() {
    check(
        "l:items=3 b<-l @l*1 d e<-d",
        "0 submit; go => RUNNING l=open(3 items) l.0.d=queued launch:l.0.d#1
         1 cancel     => STOPPING(cancelled) b=skipped(run:cancelled) l.0.d=stopping(run:cancelled) \
                         l.0.e=skipped(run:cancelled) l.1.d=skipped(run:cancelled) l.1.e=skipped(run:cancelled) \
                         l.2.d=skipped(run:cancelled) l.2.e=skipped(run:cancelled) stop:l.0.d#1
         2 l.0.d#1 stopped => CANCELLED(cancelled) l=cancelled(run:cancelled) l.0.d=cancelled(run:cancelled) \
                         l.0.d#1~cancelled(cancelled)",
    );
}

#[test]
fn an_item_that_fails_stops_the_loop_where_a_failure_stops_the_run() {
    check(
        "l:items=4 !stop_on_failure @l*2 l",
        "0 submit; go       => RUNNING l=open(4 items) l.0=queued l.1=queued launch:l.0#1 launch:l.1#1
         1 l.1#1 exit_code  => STOPPING(failure) l.1=failed(exit_code) l.2=skipped(run:failure) \
                               l.3=skipped(run:failure) l.1#1~failed(exit_code)
         2 l.0#1 ok; go     => FAILED(failure) l=failed(step_failed:l.1) l.0=succeeded",
    );
    // The failure comes while an item begins.
    check(
        "l:items=2 b !fail_fast @l* c g @g d:if=bad e",
        "0 submit; go       => STOPPING(failure) l=failed(step_failed:l.0.g) b=stopping(run:failure) \
                               l.0.c=skipped(run:failure) l.0.g=failed(step_failed:l.0.g.d) \
                               l.0.g.d=failed(expression_invalid) l.0.g.e=skipped(run:failure) \
                               l.1.c=skipped(run:failure) l.1.g=skipped(run:failure) \
                               l.1.g.d=skipped(run:failure) l.1.g.e=skipped(run:failure) \
                               l.0.g.d#1~failed(expression_invalid) launch:b1 stop:b1",
    );
}
