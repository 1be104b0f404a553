//! What is done about failures that rules list.

use windlass_engine::{
    reason::{FailureReason, Fault},
    record::AttemptEnd,
};

use super::notation::check;

#[test]
fn the_first_rule_that_lists_a_failure_decides_and_others_are_retried() {
    check(
        "a:retry=9,rules=75:retry/70-79+sig15:fail/70-75:ignore",
        "0 submit; go             => RUNNING a=queued launch:a1
         1 a1 exit_code code=75; go => a=queued a1~failed(exit_code) launch:a2
         2 a2 exit_code code=1; go  => a=queued a2~failed(exit_code) launch:a3
         3 a3 signal signal=9; go   => a=queued a3~failed(signal) launch:a4
         4 a4 exit_code code=70   => FAILED a=failed(exit_code) a4~failed(exit_code)
         5 retry; go              => RUNNING a=queued launch:a5
         6 a5 signal signal=15    => FAILED a=failed(signal) a5~failed(signal)",
    );
}

#[test]
fn reasons_stand_for_all_their_failures_and_numbers_for_those_that_a_program_ended_by() {
    // Want of memory ends a program by a signal too, and is another failure all the same.
    check(
        "a:retry=9,rules=sig9:fail/exit_code+out_of_memory:ignore b:rules=exit_code:ignore",
        "0 submit; go                  => RUNNING a=queued b=queued launch:a1 launch:b1
         1 a1 signal signal=15; go     => a=queued a1~failed(signal) launch:a2
         2 a2 out_of_memory signal=9   => a=succeeded(out_of_memory) a2~failed(out_of_memory)
         3 b1 exit_code code=3         => SUCCEEDED b=succeeded(exit_code) b1~failed(exit_code)",
    );
}

#[test]
fn failures_that_are_not_the_steps_own_are_listed_too() {
    check(
        "a:system=9,rules=evicted:retry/image_pull+launch_failed:fail b:rules=lost:ignore",
        "0 submit; go           => RUNNING a=queued b=queued launch:a1 launch:b1
         1 a1 evicted; go       => a=queued a1~failed(evicted) launch:a2
         2 a2 lost; go          => a=queued a2~failed(lost) launch:a3
         3 a3 image_pull        => a=failed(image_pull) a3~failed(image_pull)
         4 b1 lost              => FAILED b=succeeded(lost) b1~failed(lost)",
    );
    for reason in [FailureReason::Evicted, FailureReason::ImagePull] {
        assert_eq!(reason.fault(), Fault::System);
    }
}

#[test]
fn a_rule_that_retries_is_bound_by_the_budget_of_the_failure() {
    let play = check(
        "a:retry=1,system=1,rules=75+lost:retry/exit_code:fail",
        "0 submit; go               => RUNNING a=queued launch:a1
         1 a1 exit_code code=75; go => a=queued a1~failed(exit_code) launch:a2
         2 a2 lost; go              => a=queued a2~failed(lost) launch:a3
         3 a3 exit_code code=75     => FAILED a=failed(exit_code) a3~failed(exit_code)",
    );
    assert_eq!((play.step("a").failures, play.step("a").losses), (2, 1));
}

#[test]
fn what_depends_on_an_ignored_failure_sees_a_success_without_outputs() {
    let mut play = check(
        "a:rules=3:ignore b<-a c<-a:any_failed l<-a:items=a @l* l",
        "0 submit; go         => RUNNING a=queued launch:a1
         1 a1 exit_code code=3 => a=succeeded(exit_code) b=ready c=skipped(trigger_rule_not_met) \
                                  l=failed(expression_invalid) a1~failed(exit_code) l1~failed(expression_invalid)
         2 go; reload         => b=queued launch:b1 launch:b1
         3 b1 ok              => FAILED b=succeeded",
    );
    let a = play.step("a");
    assert_eq!((a.failures, a.losses, a.until), (1, 0, super::notation::at(1)));
    assert!(!a.latest_succeeded() && play.step("b").latest_succeeded());
    // It has succeeded, and so is not done again.
    play.goes_on("4 retry => l=failed(expression_invalid) l2~failed(expression_invalid)");
}

#[test]
fn what_an_earlier_attempt_put_out_is_not_of_one_whose_failure_was_ignored() {
    let mut play = check(
        "b a<-b:rules=3:ignore,all_done l<-a:items=a @l* l",
        "0 submit; go            => RUNNING b=queued launch:b1
         1 b1 exit_code; go      => b=failed(exit_code) a=queued b1~failed(exit_code) launch:a1",
    );
    play.goes_on(
        r#"2 a1 ok outputs={"n":1} => a=succeeded l=open(1 items) a:={"n":1}
         3 go; l.0#1 ok           => FAILED l=succeeded l.0=succeeded launch:l.0#1
         4 retry; go; b2 ok       => RUNNING b=succeeded a=ready l=waiting a1~succeeded launch:b2
         5 go                     => a=queued launch:a2
         6 a2 exit_code code=3    => FAILED a=succeeded(exit_code) l=failed(expression_invalid) a2~failed(exit_code) l1~failed(expression_invalid)
         6 reload                 =>"#,
    );
}

#[test]
fn a_retry_of_the_run_leaves_the_failed_attempt_of_an_ignored_one_as_it_was() {
    let mut play = check(
        "a b<-a:rules=3:ignore,all_done",
        "0 submit; go; a1 exit_code; go => RUNNING a=failed(exit_code) b=queued a1~failed(exit_code) launch:a1 launch:b1
         1 b1 exit_code code=3 => FAILED b=succeeded(exit_code) b1~failed(exit_code)
         2 retry               => RUNNING a=ready b=waiting
         3 go; a2 ok; go; b2 ok => SUCCEEDED a=succeeded b=succeeded launch:a2 launch:b2",
    );
    let of_b = |step| play.index("b") == step;
    let ends: Vec<_> = play.attempts.iter().filter(|it| of_b(it.step)).map(|it| &it.end).collect();
    assert!(matches!(ends[..], [AttemptEnd::Failed(_)]), "{ends:?}");
    play.goes_on("4 reload =>");
}

#[test]
fn what_the_engine_itself_finds_goes_through_the_rules() {
    check(
        "a:timeout=10,retry=9,rules=timeout:fail b:startup=10,system=9,rules=startup_timeout:ignore c:rules=lost:ignore",
        "0 submit; go; a1 running; b1 starting; c1 running => RUNNING a=running b=starting c=running launch:a1 launch:b1 launch:c1 wake@10
         10 wake      => a=stopping(timeout) b=stopping(startup_timeout) stop:a1 stop:b1 wake@never
         11 a1 stopped => a=failed(timeout) a1~failed(timeout)
         12 b1 stopped => b=succeeded(startup_timeout) b1~failed(startup_timeout)
         13 c1 stopped => FAILED c=succeeded(lost) c1~failed(lost)",
    );
}

#[test]
fn an_ignored_failure_stops_nothing_and_one_that_comes_while_the_run_stops_is_ignored_too() {
    check(
        "a:rules=3:ignore b c:rules=3:ignore !fail_fast",
        "0 submit; go; a1 running; b1 running; c1 running => RUNNING a=running b=running c=running launch:a1 launch:b1 launch:c1
         1 a1 exit_code code=3 => a=succeeded(exit_code) a1~failed(exit_code)
         2 b1 exit_code code=3 => STOPPING(failure) b=failed(exit_code) c=stopping(run:failure) b1~failed(exit_code) stop:c1
         3 c1 exit_code code=3 => FAILED(failure) c=succeeded(exit_code) c1~failed(exit_code)",
    );
}

#[test]
fn an_ignored_failure_in_a_loop_is_an_item_that_succeeded() {
    check(
        "l:items=2 @l* l:rules=sig9:ignore",
        "0 submit; go        => RUNNING l=open(2 items) l.0=queued l.1=queued launch:l.0#1 launch:l.1#1
         1 l.0#1 ok          => l.0=succeeded
         2 l.1#1 signal signal=9 => SUCCEEDED l=succeeded l.1=succeeded(signal) l.1#1~failed(signal)",
    );
}
