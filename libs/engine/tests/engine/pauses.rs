//! Pausing and resuming.

use super::notation::{at, check};

#[test]
fn a_pause_starts_nothing_and_lets_run_what_runs() {
    let play = check(
        "a b<-a c:retry=1,delay=10",
        "0 submit; go     => RUNNING a=queued c=queued launch:a1 launch:c1
         1 pause          =>
         2 pause          =>
         3 a1 running     => a=running
         4 a1 ok          => a=succeeded b=ready
         5 c1 exit_code   => c=delayed(exit_code) c1~failed(exit_code) wake@15
         15 wake; go      => c=ready(exit_code) wake@never
         20 resume        =>
         21 resume        =>
         22 go            => b=queued c=queued launch:b1 launch:c2",
    );
    let record = play.run.record();
    assert_eq!((record.launch_generation, record.paused_at, record.paused_ms), (1, None, 19));
}

#[test]
fn a_launch_that_a_pause_withdrew_is_made_again_and_counts_against_nothing() {
    let mut play = check(
        "a",
        "0 submit; go     => RUNNING a=queued launch:a1
         1 pause          =>
         2 a1 not_created => a=ready(withdrawn) a1~withdrawn
         3 a1 not_created; a1 running; go =>
         4 resume; go     => a=queued launch:a2
         5 pause; resume  =>
         6 a2 not_created; go => a=queued a2~withdrawn launch:a3",
    );
    assert_eq!(play.run.record().launch_generation, 2);
    let a = play.step("a");
    assert_eq!((a.failures, a.losses, a.queued_at), (0, 0, at(6)));
    play.goes_on("7 a3 exit_code => FAILED a=failed(exit_code) a3~failed(exit_code)");
}

#[test]
fn a_withdrawn_step_was_never_tried() {
    check(
        "a",
        "0 submit; go; pause => RUNNING a=queued launch:a1
         2 a1 not_created    => a=ready(withdrawn) a1~withdrawn
         3 cancel            => CANCELLED(cancelled) a=skipped(run:cancelled)",
    );
}

#[test]
fn a_launch_is_not_owed_in_a_pause() {
    let mut play = check(
        "a b:timeout=5 c !stop_on_failure",
        "0 submit; go        => RUNNING a=queued b=queued c=queued launch:a1 launch:b1 launch:c1
         1 b1 running; pause => b=running wake@6
         2 reload            => probe:b1
         6 wake; reload      => b=stopping(timeout) stop:b1 stop:b1 wake@never
         7 resume; reload    => launch:a1 stop:b1 launch:c1",
    );
    // Where nothing starts any more, it is repeated for the launcher to take it back.
    play.goes_on(
        "8 pause; reload     => stop:b1
         9 b1 stopped        => STOPPING(failure) b=failed(timeout) b1~failed(timeout)
         9 reload            => launch:a1 launch:c1",
    );
}

#[test]
fn a_paused_run_ends_when_its_steps_do() {
    let play = check(
        "a",
        "0 submit; go; pause => RUNNING a=queued launch:a1
         30 a1 ok            => SUCCEEDED a=succeeded",
    );
    let record = play.run.record();
    assert_eq!((record.paused_at, record.paused_ms, record.ended_at), (None, 30, at(30)));
}
