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
fn what_holds_an_attempt_that_was_never_ordered_has_begun() {
    check(
        "a g<-a @g c d h @h e f",
        "0 submit; go      => RUNNING a=queued launch:a1
         1 g.h.e#1 running => g=open g.h=open g.h.e=running
         2 g.h.e#1 ok; go  => g.h.e=succeeded
         3 a1 ok           => a=succeeded g.c=ready g.d=ready g.h.f=ready",
    );
    check(
        "a c<-a @c? x:if=bad y z",
        "0 submit; go      => RUNNING a=queued launch:a1
         1 c.y#1 running   => c=open c.x=skipped(condition_false) c.y=running c.z=skipped(condition_false)
         2 c.y#1 ok        => c=succeeded c.y=succeeded",
    );
    check(
        "l:items=3 @l*1 c d<-c",
        "0 submit; go      => RUNNING l=open(3 items) l.0.c=queued launch:l.0.c#1
         1 l.2.d#1 running => l.2.c=ready l.2.d=running
         2 go; l.2.c#1 ok; l.2.d#1 ok; go => l.2.c=succeeded l.2.d=succeeded launch:l.2.c#1
         3 l.0.c#1 ok; go; l.0.d#1 ok; go => l.0.c=succeeded l.0.d=succeeded l.1.c=queued launch:l.0.d#1 launch:l.1.c#1
         4 l.1.c#1 ok; go; l.1.d#1 ok => SUCCEEDED l=succeeded l.1.c=succeeded l.1.d=succeeded launch:l.1.d#1",
    );
}

#[test]
fn a_condition_does_not_take_back_what_was_found_to_have_begun() {
    check(
        "a g<-a !fail_fast @g c:if=bad h:if=false @h e f",
        "0 submit; go      => RUNNING a=queued launch:a1
         1 g.h.e#1 running => g=open g.h=open g.h.e=running
         2 a1 ok           => STOPPING(failure) a=succeeded g.c=failed(expression_invalid) \
                              g.h.e=stopping(run:failure) g.h.f=skipped(run:failure) \
                              g.c#1~failed(expression_invalid) stop:g.h.e#1
         3 g.h.e#1 stopped => FAILED(failure) g=failed(step_failed:g.c) g.h=cancelled(run:failure) \
                              g.h.e=cancelled(run:failure) g.h.e#1~cancelled(failure)",
    );
}

#[test]
fn an_attempt_of_an_exit_step_that_was_never_ordered_is_not_stopped_by_what_stopped_the_run() {
    check(
        "a @exit x",
        "0 submit; cancel; go => EXITING(cancelled) a=skipped(run:cancelled) x=queued launch:x1
         1 x2 running      => x=running
         2 x2 ok           => CANCELLED(cancelled) x=succeeded",
    );
    // Unless somebody stops the exit steps too.
    check(
        "a @exit x:timeout=10 !stop_on_failure",
        "0 submit; go; a1 exit_code; go; x1 running => EXITING(failure) a=failed(exit_code) x=running \
                              a1~failed(exit_code) launch:a1 launch:x1 wake@10
         10 wake; cancel   => STOPPING(failure) x=stopping(timeout) stop:x1 wake@never
         11 x2 running     => x=stopping(run:failure) stop:x2",
    );
}

#[test]
fn exit_steps_wait_for_the_run_though_one_of_them_was_found_to_have_begun() {
    check(
        "a @exit x y<-x",
        "0 submit; go      => RUNNING a=queued launch:a1
         1 x1 running      => x=running
         2 x1 ok; go       => x=succeeded
         3 a1 ok; go       => EXITING a=succeeded y=queued launch:y1",
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
fn a_report_of_what_no_attempt_is_made_of_is_refused() {
    let mut play = check(
        "g c l:items=1 @g a @c? x @l* l",
        "0 submit => RUNNING g=open c=open l=open(1 items) g.a=ready c.x=ready",
    );
    for (step, path) in ["g", "c", "l"].into_iter().enumerate() {
        let (before, mut out) = (play.run.clone(), Output::default());
        let report = Event::Report(play.report(&format!("{path}1"), "running"));
        let refusal = play.run.apply(&report, at(1), &mut out).expect_err("it makes no sense");
        assert_eq!(refusal, Refusal::NotATask { step: step as u32 });
        assert_eq!((&play.run, out), (&before, Output::default()));
    }
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

#[test]
fn a_result_that_was_taken_is_a_success_of_an_attempt_that_never_ran() {
    let mut play = check(
        "a b<-a c d<-c:any_failed",
        "0 submit; go => RUNNING a=queued c=queued launch:a1 launch:c1
         8 a1 cached created=5 ended=5 outputs={\"n\":1} => \
                         a=succeeded(cached) b=ready a1~cached(other:load) a:={\"n\":1}
         9 a1 running; a1 ok; a1 exit_code; c1 cached => \
                         c=succeeded(cached) d=skipped(trigger_rule_not_met) c1~cached(other:load)
         10 reload; go => b=queued launch:b1",
    );
    assert_eq!((play.step("a").started_at.0, play.step("a").until), (0, at(5)));
    assert!(play.step("a").latest_succeeded());
    // Its end is stored already, and not told again.
    play.goes_on(
        "11 b1 cached   => SUCCEEDED b=succeeded(cached) b1~cached(other:load)
         12 retry from=a; go => RUNNING a=queued b=waiting launch:a2
         13 a2 ok       => a=succeeded b=ready",
    );
}

#[test]
fn a_result_that_was_taken_while_its_step_was_stopped_counts() {
    check(
        "a b<-a",
        "0 submit; go => RUNNING a=queued launch:a1
         1 cancel     => STOPPING(cancelled) a=stopping(run:cancelled) b=skipped(run:cancelled) stop:a1
         2 a1 cached  => CANCELLED(cancelled) a=succeeded(cached) a1~cached(other:load)",
    );
}

#[test]
fn a_report_is_urgent_only_where_something_may_wait_for_it() {
    let play = check(
        "a b c d<-a,b,c e f",
        "0 submit; go => RUNNING a=queued b=queued c=queued e=queued f=queued launch:a1 launch:b1 launch:c1 launch:e1 launch:f1
         1 e1 running; a1 starting => a=starting e=running",
    );
    let is_urgent = |play: &Play, reports: &[(&str, &str)]| {
        let reports: Vec<_> =
            reports.iter().map(|(attempt, rest)| play.report(attempt, rest)).collect();
        play.run.is_urgent(&reports.iter().collect::<Vec<_>>())
    };
    assert!(
        !is_urgent(&play, &[("a1", "running"), ("b1", "starting")]),
        "nothing waits for starts"
    );
    assert!(!is_urgent(&play, &[("e1", "ok")]), "nothing depends on e");
    assert!(!is_urgent(&play, &[("a1", "ok"), ("b1", "ok")]), "d waits for c, too");
    assert!(
        is_urgent(&play, &[("a1", "ok"), ("b1", "ok"), ("c1", "ok")]),
        "d waits for nothing else"
    );
    assert!(is_urgent(&play, &[("e1", "exit_code")]), "a failure may stop the others");
    assert!(is_urgent(&play, &[("e1", "stopped")]));
    assert!(is_urgent(&play, &[("e2", "running")]), "an attempt that nobody ordered");
    let last = check("a", "0 submit; go => RUNNING a=queued launch:a1");
    assert!(is_urgent(&last, &[("a1", "ok")]), "the run ends");
    let held_back = check("a b !parallel=1", "0 submit; go => RUNNING a=queued b=ready launch:a1");
    assert!(is_urgent(&held_back, &[("a1", "ok")]), "b waits for its room");
    assert!(is_urgent(&held_back, &[("a1", "running")]), "who waits is looked after at once");
}
