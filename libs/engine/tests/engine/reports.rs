//! Reports that come twice, late, out of order, too early, of the wrong time, or from nowhere.

use windlass_engine::{
    event::{AttemptPhase, AttemptReport, Event},
    output::Output,
    record::{RunState, StepIndex},
    run::Refusal,
};

use super::notation::{Play, at, check};

#[test]
fn a_report_counts_once() {
    check(
        "a:retry=1 b<-a",
        "0 submit; go    => RUNNING a=queued launch:a1
         1 a1 starting   => a=starting
         2 a1 starting   =>
         3 a1 running    => a=running
         4 a1 running; a1 starting =>
         5 a1 exit_code  => a=ready(exit_code) a1~failed(exit_code)
         6 a1 exit_code; a1 ok; a1 stopped; a1 not_created; a1 lost =>
         7 go            => a=queued launch:a2
         8 a1 ok; a1 running; a1 exit_code =>
         9 a2 ok outputs={\"n\":1} => a=succeeded b=ready a:={\"n\":1}
         10 a2 ok outputs={\"n\":1}; a2 exit_code; a1 lost =>",
    );
}

#[test]
fn one_report_may_tell_all_phases() {
    let play = check(
        "a",
        "0 submit; go => RUNNING a=queued launch:a1
         9 a1 ok created=2 started=4 ended=8 => SUCCEEDED a=succeeded",
    );
    let a = play.step("a");
    assert_eq!((a.queued_at, a.started_at, a.until), (at(0), at(4), at(8)));
}

#[test]
fn a_stopped_attempt_keeps_the_time_it_ran_from() {
    let play = check(
        "a b",
        "0 submit; go => RUNNING a=queued b=queued launch:a1 launch:b1
         3 a1 running; b1 starting => a=running b=starting
         5 cancel     => STOPPING(cancelled) a=stopping(run:cancelled) b=stopping(run:cancelled) stop:a1 stop:b1
         9 a1 stopped; b1 stopped => CANCELLED(cancelled) a=cancelled(run:cancelled) b=cancelled(run:cancelled) \
                         a1~cancelled(cancelled) b1~cancelled(cancelled)",
    );
    assert_eq!((play.step("a").started_at, play.step("a").until), (at(3), at(9)));
    assert_eq!((play.step("b").started_at.0, play.step("b").until), (0, at(9)));
}

#[test]
fn an_attempt_that_nobody_here_stopped_was_lost() {
    check(
        "a",
        "0 submit; go; a1 running => RUNNING a=running launch:a1
         1 a1 stopped => a=ready(lost) a1~failed(lost)",
    );
}

#[test]
fn an_attempt_that_was_seen_and_then_was_never_there_is_lost_and_not_withdrawn() {
    let play = check(
        "a",
        "0 submit; go; a1 running => RUNNING a=running launch:a1
         1 a1 not_created => a=ready(lost) a1~failed(lost)",
    );
    assert_eq!(play.step("a").losses, 1);
}

#[test]
fn a_report_of_a_run_that_has_not_begun_proves_a_lost_commit() {
    check(
        "a b<-a",
        "5 a1 running => RUNNING a=running
         6 a1 ok      => a=succeeded b=ready",
    );
}

#[test]
fn an_attempt_that_was_never_ordered_is_adopted() {
    let mut play = check(
        "a b<-a:retry=1",
        "0 submit; go => RUNNING a=queued launch:a1
         5 b1 running => b=running
         6 a3 starting created=4 => a=starting
         7 a1 ok; a2 exit_code =>
         8 a3 ok      => a=succeeded",
    );
    assert_eq!(play.step("a").queued_at, at(4));
    play.goes_on(
        "9 b1 exit_code  => b=ready(exit_code) b1~failed(exit_code)
         10 b2 ok        => SUCCEEDED b=succeeded",
    );
}

#[test]
fn an_attempt_that_was_never_ordered_is_not_adopted_by_what_has_ended() {
    check(
        "a b",
        "0 submit; go  => RUNNING a=queued b=queued launch:a1 launch:b1
         1 a1 ok       => a=succeeded
         2 a2 running  =>
         3 b1 ok       => SUCCEEDED b=succeeded
         4 b2 running  =>",
    );
}

#[test]
fn an_attempt_that_turns_up_in_a_run_that_is_being_stopped_is_stopped_too() {
    let cancelled = "0 submit; go; a1 running => RUNNING a=running launch:a1
                     1 cancel => STOPPING(cancelled) a=stopping(run:cancelled) stop:a1";
    check("a", cancelled).goes_on(
        "2 a2 running => a=stopping(run:cancelled) stop:a2
         3 a1 stopped =>
         4 a2 stopped => CANCELLED(cancelled) a=cancelled(run:cancelled) a2~cancelled(cancelled)",
    );
    check(
        "a:timeout=5",
        "0 submit; go; a1 running => RUNNING a=running launch:a1 wake@5
        5 wake; cancel => STOPPING(cancelled) a=stopping(timeout) stop:a1 wake@never
        6 a2 running => a=stopping(run:cancelled) stop:a2",
    );
    check(
        "a b !stop_on_failure",
        "0 submit; go => RUNNING a=queued b=queued launch:a1 launch:b1
        1 a1 exit_code => STOPPING(failure) a=failed(exit_code) a1~failed(exit_code)
        2 b2 running => b=running
        3 cancel => b=stopping(run:cancelled) stop:b2
        4 b3 running => b=stopping(run:cancelled) stop:b3",
    );
}

#[test]
fn all_that_is_owed_is_told_after_a_load() {
    check(
        "a b c d:timeout=5 e<-a f:retry=1,delay=50 g !parallel=5",
        "0 submit; go => RUNNING a=queued b=queued c=queued d=queued f=queued g=ready \
                         launch:a1 launch:b1 launch:c1 launch:d1 launch:f1
         1 b1 starting; c1 running; d1 running; f1 exit_code => b=starting c=running d=running f=delayed(exit_code) \
                         f1~failed(exit_code) wake@6
         6 wake       => d=stopping(timeout) stop:d1 wake@51
         7 reload     => launch:a1 probe:b1 probe:c1 stop:d1",
    );
}

#[test]
fn times_before_the_order_or_in_the_future_are_moved_to_the_order_or_to_now() {
    let mut play = check(
        "a:startup=100,timeout=100",
        "10 submit; go => RUNNING a=queued launch:a1
         20 a1 starting created=-50 => a=starting wake@110
         30 a1 running started=900 => a=running wake@130",
    );
    assert_eq!(play.step("a").started_at, at(30));
    play.goes_on("40 a1 exit_code started=35 ended=20 => FAILED a=failed(exit_code) a1~failed(exit_code) wake@never");
    assert_eq!((play.step("a").started_at, play.step("a").until), (at(30), at(30)));

    let play = check(
        "a",
        "10 submit; go => RUNNING a=queued launch:a1
         40 a1 ok started=5 ended=99 => SUCCEEDED a=succeeded",
    );
    assert_eq!((play.step("a").started_at, play.step("a").until), (at(10), at(40)));

    let play = check("a", "10 a1 starting created=99 => RUNNING a=starting");
    assert_eq!((play.step("a").queued_at, play.step("a").started_at), (at(10), at(10)));
}

#[test]
fn a_clock_that_goes_back_does_no_harm() {
    let play = check(
        "a b !gap=10",
        "90 submit; go => RUNNING a=queued b=ready launch:a1 wake@100
         50 a1 running => a=running
         40 a1 ok      => a=succeeded
         30 go; wake   =>",
    );
    assert_eq!((play.step("a").started_at, play.step("a").until), (at(40), at(40)));
}

#[test]
fn reports_that_make_no_sense_are_refused_and_change_nothing() {
    let report = |step, attempt| {
        Event::Report(AttemptReport {
            step: StepIndex(step),
            attempt,
            phase: AttemptPhase::Running,
            created_at: None,
            started_at: None,
            ended_at: None,
        })
    };
    let refused = [
        (report(1, 1), Refusal::UnknownStep { step: 1, steps: 1 }),
        (report(u32::MAX, 0), Refusal::UnknownStep { step: u32::MAX, steps: 1 }),
        (report(0, 0), Refusal::AttemptZero { step: 0 }),
        (report(0, u32::MAX), Refusal::AttemptTooHigh { step: 0, attempt: u32::MAX }),
    ];
    for begun in [RunState::Pending, RunState::Running] {
        let mut play = Play::new("a");
        if begun == RunState::Running {
            play.goes_on("0 submit; go => RUNNING a=queued launch:a1");
        }
        for (event, refusal) in &refused {
            let (before, mut out) = (play.run.clone(), Output::default());
            assert_eq!(play.run.apply(event, at(1), &mut out).as_ref(), Err(refusal));
            assert_eq!(play.run, before);
            assert_eq!(out, Output::default());
        }
    }
}
