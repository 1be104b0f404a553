//! Retrying an ended run from what did not succeed.

use super::notation::{at, check};

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
