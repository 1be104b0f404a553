//! How a failed attempt is followed by another.

use super::notation::{at, check};

#[test]
fn a_step_is_tried_as_often_as_its_limit_says() {
    let play = check(
        "a:retry=2",
        "0 submit; go   => RUNNING a=queued launch:a1
         1 a1 exit_code => a=ready(exit_code) a1~failed(exit_code)
         2 go           => a=queued launch:a2
         3 a2 signal    => a=ready(signal) a2~failed(signal)
         4 go           => a=queued launch:a3
         5 a3 out_of_memory => FAILED a=failed(out_of_memory) a3~failed(out_of_memory)",
    );
    assert_eq!((play.step("a").failures, play.step("a").losses), (3, 0));
}

#[test]
fn failures_that_are_not_the_steps_own_have_a_budget_of_their_own() {
    let play = check(
        "a:retry=1,system=2",
        "0 submit; go   => RUNNING a=queued launch:a1
         1 a1 lost      => a=ready(lost) a1~failed(lost)
         1 go           => a=queued launch:a2
         2 a2 exit_code => a=ready(exit_code) a2~failed(exit_code)
         2 go           => a=queued launch:a3
         3 a3 launch_failed => a=ready(launch_failed) a3~failed(launch_failed)
         3 go           => a=queued launch:a4
         4 a4 lost      => FAILED a=failed(lost) a4~failed(lost)",
    );
    assert_eq!((play.step("a").failures, play.step("a").losses), (1, 3));
}

#[test]
fn the_step_itself_has_no_retry_unless_asked_and_the_system_three() {
    check(
        "a",
        "0 submit; go   => RUNNING a=queued launch:a1
         1 a1 lost; go  => a=queued a1~failed(lost) launch:a2
         2 a2 lost; go  => a=queued a2~failed(lost) launch:a3
         3 a3 lost; go  => a=queued a3~failed(lost) launch:a4
         4 a4 output_invalid => FAILED a=failed(output_invalid) a4~failed(output_invalid)",
    );
}

#[test]
fn delays_grow_by_the_factor_up_to_the_cap() {
    check(
        "a:retry=4,delay=100,factor=3000,cap=500",
        "0 submit; go     => RUNNING a=queued launch:a1
         10 a1 exit_code  => a=delayed(exit_code) a1~failed(exit_code) wake@110
         109 wake; go     =>
         110 wake         => a=ready(exit_code) wake@never
         110 go           => a=queued launch:a2
         200 a2 exit_code => a=delayed(exit_code) a2~failed(exit_code) wake@500
         500 wake; go     => a=queued launch:a3 wake@never
         600 a3 exit_code => a=delayed(exit_code) a3~failed(exit_code) wake@1100
         2000 wake; go    => a=queued launch:a4 wake@never
         3000 a4 exit_code => a=delayed(exit_code) a4~failed(exit_code) wake@3500",
    );
}

#[test]
fn the_two_budgets_have_delays_of_their_own() {
    check(
        "a:retry=2,system=2,delay=100,factor=2000",
        "0 submit; go     => RUNNING a=queued launch:a1
         0 a1 exit_code   => a=delayed(exit_code) a1~failed(exit_code) wake@100
         100 wake; go     => a=queued launch:a2 wake@never
         100 a2 lost      => a=delayed(lost) a2~failed(lost) wake@200
         200 wake; go     => a=queued launch:a3 wake@never
         200 a3 exit_code => a=delayed(exit_code) a3~failed(exit_code) wake@400",
    );
}

#[test]
fn a_delay_counts_from_when_the_failure_is_known() {
    let play = check(
        "a:retry=1,delay=100",
        "0 submit; go; a1 running => RUNNING a=running launch:a1
         500 a1 exit_code ended=50 => a=delayed(exit_code) a1~failed(exit_code) wake@600",
    );
    assert_eq!(play.step("a").until, at(600));
}

#[test]
fn a_step_that_is_ready_or_queued_has_no_end() {
    let mut play = check(
        "a:retry=1 b:retry=1,delay=5",
        "0 submit; go   => RUNNING a=queued b=queued launch:a1 launch:b1
         9 a1 exit_code => a=ready(exit_code) a1~failed(exit_code)
         9 b1 exit_code => b=delayed(exit_code) b1~failed(exit_code) wake@14
         14 wake        => b=ready(exit_code) wake@never",
    );
    assert_eq!((play.step("a").until.0, play.step("b").until.0), (0, 0));
    play.goes_on("20 go => a=queued b=queued launch:a2 launch:b2");
    for step in [play.step("a"), play.step("b")] {
        assert_eq!((step.queued_at, step.started_at.0, step.until.0), (at(20), 0, 0));
    }
}
