//! What a step's final failure does to the rest of the run.

use super::notation::check;

/// `a` fails while `b` runs, `c` is queued, `d` is delayed, `e` is ready, `f` and `g` wait.
const GRAPH: &str = "a b c d:retry=1,delay=50 e f<-a g<-b h<-a:any_failed !parallel=4";
const UNTIL_THEN: &str = "
    0 submit; go     => RUNNING a=queued b=queued c=queued d=queued e=ready launch:a1 launch:b1 launch:c1 launch:d1
    1 a1 running; b1 running => a=running b=running
    2 d1 exit_code   => d=delayed(exit_code) d1~failed(exit_code) wake@52";

#[test]
fn continue_on_failure_goes_on_with_all_that_does_not_depend_on_it() {
    let mut play = check(GRAPH, UNTIL_THEN);
    play.goes_on(
        "3 a1 exit_code   => a=failed(exit_code) f=skipped(upstream_failed:a) h=ready a1~failed(exit_code)
         3 go             => e=queued h=queued launch:e1 launch:h1
         4 b1 ok          => b=succeeded g=ready
         4 go             => g=queued launch:g1
         5 c1 ok; e1 ok; g1 ok; h1 ok => c=succeeded e=succeeded g=succeeded h=succeeded
         52 wake          => d=ready(exit_code) wake@never
         52 go            => d=queued launch:d2
         60 d2 ok         => FAILED d=succeeded",
    );
    assert_eq!(play.run.record().failed_step.map(|step| step.0), Some(0));
}

#[test]
fn stop_on_failure_lets_run_what_runs_and_starts_nothing() {
    let mut play = check(&format!("{GRAPH} !stop_on_failure"), UNTIL_THEN);
    play.goes_on(
        "3 a1 exit_code   => STOPPING(failure) a=failed(exit_code) d=cancelled(run:failure) e=skipped(run:failure) \
                             f=skipped(upstream_failed:a) g=skipped(run:failure) h=skipped(run:failure) \
                             a1~failed(exit_code) wake@never
         3 go             =>
         4 b1 ok          => b=succeeded
         5 c1 not_created => FAILED(failure) c=skipped(run:failure) c1~withdrawn",
    );
}

#[test]
fn fail_fast_stops_what_runs_and_starts_nothing() {
    let mut play = check(&format!("{GRAPH} !fail_fast"), UNTIL_THEN);
    play.goes_on(
        "3 a1 exit_code   => STOPPING(failure) a=failed(exit_code) b=stopping(run:failure) c=stopping(run:failure) \
                             d=cancelled(run:failure) e=skipped(run:failure) f=skipped(upstream_failed:a) \
                             g=skipped(run:failure) h=skipped(run:failure) \
                             a1~failed(exit_code) stop:b1 stop:c1 wake@never
         3 go             =>
         4 b1 stopped     => b=cancelled(run:failure) b1~cancelled(failure)
         5 c1 not_created => FAILED(failure) c=cancelled(run:failure) c1~cancelled(failure)",
    );
}

#[test]
fn a_failure_that_is_tried_again_stops_nothing() {
    check(
        "a:retry=1 b !fail_fast",
        "0 submit; go     => RUNNING a=queued b=queued launch:a1 launch:b1
         1 a1 exit_code   => a=ready(exit_code) a1~failed(exit_code)
         1 go             => a=queued launch:a2
         2 a2 exit_code   => STOPPING(failure) a=failed(exit_code) b=stopping(run:failure) a2~failed(exit_code) stop:b1
         3 b1 stopped     => FAILED(failure) b=cancelled(run:failure) b1~cancelled(failure)",
    );
}

#[test]
fn while_a_run_stops_a_failure_is_not_tried_again_and_the_first_one_is_the_runs() {
    let play = check(
        "a b:retry=9 c:system=9 !stop_on_failure",
        "0 submit; go     => RUNNING a=queued b=queued c=queued launch:a1 launch:b1 launch:c1
         1 a1 signal      => STOPPING(failure) a=failed(signal) a1~failed(signal)
         2 b1 exit_code   => b=failed(exit_code) b1~failed(exit_code)
         3 c1 lost        => FAILED(failure) c=failed(lost) c1~failed(lost)",
    );
    assert_eq!(play.run.record().failed_step.map(|step| step.0), Some(0));
}

#[test]
fn what_was_let_run_is_stopped_by_a_cancel_and_the_run_has_failed() {
    check(
        "a b c<-b !stop_on_failure",
        "0 submit; go; b1 running => RUNNING a=queued b=running launch:a1 launch:b1
         1 a1 exit_code   => STOPPING(failure) a=failed(exit_code) c=skipped(run:failure) a1~failed(exit_code)
         2 cancel         => b=stopping(run:cancelled) stop:b1
         3 cancel         =>
         4 b1 stopped     => FAILED(failure) b=cancelled(run:cancelled) b1~cancelled(cancelled)",
    );
}

#[test]
fn what_is_queued_as_the_run_stops_was_tried_or_was_not() {
    check(
        "a b:retry=1 c !stop_on_failure",
        "0 submit; go     => RUNNING a=queued b=queued c=queued launch:a1 launch:b1 launch:c1
         1 b1 exit_code   => b=ready(exit_code) b1~failed(exit_code)
         1 go             => b=queued launch:b2
         2 a1 exit_code   => STOPPING(failure) a=failed(exit_code) a1~failed(exit_code)
         3 b2 not_created => b=cancelled(run:failure) b2~withdrawn
         4 c1 not_created => FAILED(failure) c=skipped(run:failure) c1~withdrawn",
    );
}
