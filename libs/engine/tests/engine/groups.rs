//! Steps that hold others.

use super::notation::{at, check};

#[test]
fn a_group_opens_when_it_may_begin_and_ends_when_all_that_it_holds_has() {
    let play = check(
        "a g<-a b<-g @g c d<-c e",
        "0 submit; go => RUNNING a=queued launch:a1
         1 a1 ok      => a=succeeded g=open g.c=ready g.e=ready
         1 go         => g.c=queued g.e=queued launch:g.c#1 launch:g.e#1
         2 g.e#1 ok; g.c#1 ok; go => g.c=succeeded g.d=queued g.e=succeeded launch:g.d#1
         3 g.d#1 ok   => g=succeeded b=ready g.d=succeeded
         4 go; b1 ok  => SUCCEEDED b=succeeded launch:b1",
    );
    assert_eq!((play.step("g").started_at, play.step("g").until), (at(1), at(3)));
}

#[test]
fn a_group_fails_by_what_failed_in_it_once_all_of_it_has_ended() {
    let play = check(
        "g b<-g c<-g:any_failed @g d h @h e f<-e",
        "0 submit; go  => RUNNING g=open g.d=queued g.h=open g.h.e=queued launch:g.d#1 launch:g.h.e#1
         1 g.h.e#1 exit_code => g.h=failed(step_failed:g.h.e) g.h.e=failed(exit_code) \
                          g.h.f=skipped(upstream_failed:g.h.e) g.h.e#1~failed(exit_code)
         2 g.d#1 ok    => g=failed(step_failed:g.h) b=skipped(upstream_failed:g) c=ready g.d=succeeded
         3 go; c1 ok   => FAILED c=succeeded launch:c1",
    );
    assert_eq!(play.run.record().failed_step, Some(play.index("g.h.e")));
}

#[test]
fn a_group_is_skipped_with_all_that_it_holds() {
    check(
        "a g<-a b<-g @g c h d<-h @h e l:items=2 @l* l",
        "0 submit; go   => RUNNING a=queued launch:a1
         1 a1 exit_code => FAILED a=failed(exit_code) g=skipped(upstream_failed:a) b=skipped(upstream_skipped:g) \
                           g.c=skipped(upstream_skipped:g) g.h=skipped(upstream_skipped:g) \
                           g.d=skipped(upstream_skipped:g) g.h.e=skipped(upstream_skipped:g) \
                           g.h.l=skipped(upstream_skipped:g) a1~failed(exit_code)",
    );
}

#[test]
fn a_group_in_which_all_was_skipped_by_its_own_rules_has_succeeded() {
    check(
        "g b<-g @g c:if=false d<-c",
        "0 submit => RUNNING g=succeeded b=ready g.c=skipped(condition_false) g.d=skipped(upstream_skipped:g.c)",
    );
}

#[test]
fn what_holds_nothing_ends_as_it_opens() {
    check(
        "g c a<-g b<-c l:items=2 @g @c? @l*",
        "0 submit => RUNNING g=succeeded c=skipped(condition_false) a=ready b=skipped(upstream_skipped:c) l=succeeded",
    );
}

#[test]
fn what_a_stopped_run_kept_from_running_in_a_group_has_it_cancelled() {
    check(
        "g b<-g h @g c d e @h f",
        "0 submit; go 2     => RUNNING g=open h=open g.c=queued g.d=queued g.e=ready h.f=ready launch:g.c#1 launch:g.d#1
         1 g.c#1 ok; cancel => STOPPING(cancelled) b=skipped(run:cancelled) h=cancelled(run:cancelled) g.c=succeeded \
                               g.d=stopping(run:cancelled) g.e=skipped(run:cancelled) h.f=skipped(run:cancelled) stop:g.d#1
         2 g.d#1 stopped    => CANCELLED(cancelled) g=cancelled(run:cancelled) g.d=cancelled(run:cancelled) \
                               g.d#1~cancelled(cancelled)",
    );
}

#[test]
fn a_failure_in_a_group_stops_the_rest_of_the_run_as_any_other() {
    check(
        "g b<-g c !fail_fast @g d e<-d:any_failed f",
        "0 submit; go 2      => RUNNING g=open c=queued g.d=queued g.f=ready launch:c1 launch:g.d#1
         1 g.d#1 exit_code   => STOPPING(failure) g=failed(step_failed:g.d) b=skipped(run:failure) \
                                c=stopping(run:failure) g.d=failed(exit_code) g.e=skipped(run:failure) \
                                g.f=skipped(run:failure) g.d#1~failed(exit_code) stop:c1
         2 c1 stopped        => FAILED(failure) c=cancelled(run:failure) c1~cancelled(failure)",
    );
}
