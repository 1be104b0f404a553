//! What passes without a report: start-ups, steps and runs that take too long.

use windlass_engine::record::{AttemptEnd, RunState};

use super::notation::{Play, at, check};

#[test]
fn a_start_up_that_takes_too_long_is_the_systems_failure() {
    let play = check(
        "a:startup=30,timeout=1000",
        "0 submit; go   => RUNNING a=queued launch:a1
         5 a1 starting created=2 => a=starting wake@32
         31 wake        =>
         32 wake        => a=stopping(startup_timeout) stop:a1 wake@never
         33 wake        =>
         40 a1 stopped  => a=ready(startup_timeout) a1~failed(startup_timeout)",
    );
    assert_eq!((play.step("a").failures, play.step("a").losses), (0, 1));
}

#[test]
fn a_step_that_takes_too_long_fails_by_its_own_fault() {
    let play = check(
        "a:timeout=30,startup=1000",
        "0 submit; go  => RUNNING a=queued launch:a1
         5 a1 starting => a=starting wake@1005
         9 a1 running started=7 => a=running wake@37
         37 wake       => a=stopping(timeout) stop:a1 wake@never
         40 a1 stopped => FAILED a=failed(timeout) a1~failed(timeout)",
    );
    let a = play.step("a");
    assert_eq!((a.failures, a.losses, a.started_at, a.until), (1, 0, at(7), at(40)));
}

#[test]
fn a_time_out_that_passed_before_anybody_knew_is_due_at_once() {
    check(
        "a:timeout=30",
        "0 submit; go  => RUNNING a=queued launch:a1
         90 a1 running started=7 => a=running wake@37
         90 wake       => a=stopping(timeout) stop:a1 wake@never",
    );
}

#[test]
fn an_attempt_that_ends_by_itself_as_it_is_given_up_has_ended_so() {
    let given_up = "0 submit; go; a1 running => RUNNING a=running launch:a1 wake@30
                    30 wake => a=stopping(timeout) stop:a1 wake@never";
    let graph = "a:timeout=30,retry=1 b<-a";
    check(graph, given_up).goes_on("31 a1 ok        => a=succeeded b=ready");
    check(graph, given_up).goes_on("31 a1 exit_code => a=ready(exit_code) a1~failed(exit_code)");
    check(graph, given_up).goes_on("31 a1 lost      => a=ready(timeout) a1~failed(timeout)");
    // Who was told to delete it deleted it.
    check(graph, given_up).goes_on("31 a1 deleted   => a=ready(timeout) a1~failed(timeout)");
    check(graph, given_up).goes_on("31 a1 not_created => a=ready(timeout) a1~failed(timeout)");
    check(graph, given_up).goes_on("31 a1 running   =>");
}

#[test]
fn an_attempt_that_is_deleted_for_its_time_tells_what_it_waited_for_and_nothing_where_it_ran() {
    let rows = [("startup", "starting", "as told"), ("timeout", "running", "")];
    for (timeout, phase, message) in rows {
        let mut play = Play::new(&format!("a:{timeout}=30"));
        play.acts(&format!("0 submit; go; a1 {phase}"));
        play.acts("30 wake");
        play.acts("31 a1 deleted");
        let AttemptEnd::Failed(failure) = &play.attempts[0].end else { panic!("{play:?}") };
        assert_eq!(failure.message, message, "{timeout}");
    }
}

#[test]
fn a_run_that_takes_too_long_is_stopped_and_has_failed() {
    check(
        "a b c<-a d:retry=1,delay=500 !timeout=100",
        "7 submit     => RUNNING a=ready b=ready d=ready wake@107
         8 go 2       => a=queued b=queued launch:a1 launch:b1
         9 b1 ok; go; d1 exit_code => b=succeeded d=delayed(exit_code) d1~failed(exit_code) launch:d1
         106 wake     =>
         107 wake     => STOPPING(timed_out) a=stopping(run:timed_out) c=skipped(run:timed_out) \
                         d=cancelled(run:timed_out) stop:a1 wake@never
         108 wake     =>
         120 a1 stopped => FAILED(timed_out) a=cancelled(run:timed_out) a1~cancelled(timed_out)",
    );
}

#[test]
fn a_runs_time_out_stands_still_in_a_pause() {
    let mut play = check(
        "a !timeout=100",
        "0 submit; go; a1 running => RUNNING a=running launch:a1 wake@100
         60 pause   => wake@never
         500 wake   =>
         510 resume => wake@550
         549 wake   =>",
    );
    assert_eq!(play.run.record().paused_ms, 450);
    play.goes_on(
        "549 pause  => wake@never
         600 resume => wake@601
         601 wake   => STOPPING(timed_out) a=stopping(run:timed_out) stop:a1 wake@never
         602 a1 not_created => FAILED(timed_out) a=cancelled(run:timed_out) a1~cancelled(timed_out)",
    );
}

#[test]
fn time_outs_of_steps_go_on_in_a_pause() {
    check(
        "a:timeout=30",
        "0 submit; go; a1 running => RUNNING a=running launch:a1 wake@30
         10 pause => 
         30 wake  => a=stopping(timeout) stop:a1 wake@never",
    );
}

#[test]
fn a_step_that_was_given_up_before_its_run_was_has_failed() {
    check(
        "a:timeout=30,retry=5 b !timeout=40",
        "0 submit; go; a1 running; b1 running => RUNNING a=running b=running launch:a1 launch:b1 wake@30
         30 wake       => a=stopping(timeout) stop:a1 wake@40
         40 wake       => STOPPING(timed_out) b=stopping(run:timed_out) stop:b1 wake@never
         41 a1 stopped => a=failed(timeout) a1~failed(timeout)
         42 b1 stopped => FAILED(timed_out) b=cancelled(run:timed_out) b1~cancelled(timed_out)",
    );
}

#[test]
fn what_a_failure_let_run_is_still_under_its_time_outs() {
    check(
        "a b:timeout=30,retry=5 c !timeout=100 !stop_on_failure",
        "0 submit; go; b1 running => RUNNING a=queued b=running c=queued launch:a1 launch:b1 launch:c1 wake@30
         1 a1 exit_code => STOPPING(failure) a=failed(exit_code) a1~failed(exit_code)
         30 wake        => b=stopping(timeout) stop:b1 wake@100
         31 b1 stopped  => b=failed(timeout) b1~failed(timeout)
         100 wake       => c=stopping(run:timed_out) stop:c1 wake@never
         101 c1 stopped => FAILED(failure) c=cancelled(run:timed_out) c1~cancelled(timed_out)",
    );
}

#[test]
fn a_runs_time_out_counts_anew_after_a_retry() {
    let play = check(
        "a !timeout=100",
        "0 submit; go     => RUNNING a=queued launch:a1 wake@100
         90 a1 exit_code  => FAILED a=failed(exit_code) a1~failed(exit_code) wake@never
         500 retry        => RUNNING a=ready wake@600
         600 wake         => FAILED(timed_out) a=skipped(run:timed_out) wake@never",
    );
    assert_eq!(play.run.record().state, RunState::Failed);
}
