//! Steps that run once all others have ended, whatever happened.

use super::notation::{at, check};

const GRAPH: &str = "a b<-a @exit x:if=succeeded y:if=failed z:if=cancelled w<-x:all_done";

#[test]
fn exit_steps_run_after_success() {
    let play = check(
        GRAPH,
        "0 submit; go    => RUNNING a=queued launch:a1
         1 a1 ok; go     => a=succeeded b=queued launch:b1
         2 b1 ok         => EXITING b=succeeded x=ready y=skipped(condition_false) z=skipped(condition_false)
         3 go; x1 ok; go => x=succeeded w=queued launch:x1 launch:w1
         4 w1 ok         => SUCCEEDED w=succeeded",
    );
    assert_eq!((play.run.record().exit_at, play.run.record().ended_at), (at(2), at(4)));
}

#[test]
fn exit_steps_run_after_a_failure_and_never_make_good_for_it() {
    let play = check(
        GRAPH,
        "0 submit; go    => RUNNING a=queued launch:a1
         1 a1 exit_code  => EXITING a=failed(exit_code) b=skipped(upstream_failed:a) x=skipped(condition_false) \
                            y=ready z=skipped(condition_false) w=ready a1~failed(exit_code)
         2 go; y1 ok; w1 ok => FAILED y=succeeded w=succeeded launch:y1 launch:w1",
    );
    assert_eq!(play.run.record().failed_step, Some(play.index("a")));
}

#[test]
fn exit_steps_run_after_what_stops_a_run() {
    let exits = "x=skipped(condition_false)";
    check(
        &format!("{GRAPH} !fail_fast"),
        "0 submit; go    => RUNNING a=queued launch:a1
         1 a1 exit_code  => EXITING(failure) a=failed(exit_code) b=skipped(upstream_failed:a) x=skipped(condition_false) \
                            y=ready z=skipped(condition_false) w=ready a1~failed(exit_code)
         2 go; y1 ok; w1 ok => FAILED(failure) y=succeeded w=succeeded launch:y1 launch:w1",
    );
    check(
        &format!("{GRAPH} !timeout=50"),
        &format!(
            "0 submit; go    => RUNNING a=queued launch:a1 wake@50
             50 wake         => STOPPING(timed_out) a=stopping(run:timed_out) b=skipped(run:timed_out) stop:a1 wake@never
             51 a1 stopped   => EXITING(timed_out) a=cancelled(run:timed_out) {exits} \
                                y=ready z=skipped(condition_false) w=ready a1~cancelled(timed_out)
             999 go; wake    => y=queued w=queued launch:y1 launch:w1
             1000 y1 ok; w1 ok => FAILED(timed_out) y=succeeded w=succeeded"
        ),
    );
    check(
        GRAPH,
        &format!(
            "0 submit; go    => RUNNING a=queued launch:a1
             1 cancel        => STOPPING(cancelled) a=stopping(run:cancelled) b=skipped(run:cancelled) stop:a1
             2 a1 stopped    => EXITING(cancelled) a=cancelled(run:cancelled) {exits} \
                                y=skipped(condition_false) z=ready w=ready a1~cancelled(cancelled)
             3 go; z1 ok; w1 ok => CANCELLED(cancelled) z=succeeded w=succeeded launch:z1 launch:w1"
        ),
    );
    check(
        "a @exit x",
        "0 cancel; go => EXITING(cancelled) a=skipped(run:cancelled) x=queued launch:x1
         1 defect     => STOPPING(cancelled) x=stopping(run:defect) stop:x1
         2 x1 stopped => CANCELLED(cancelled) x=cancelled(run:defect) x1~cancelled(defect)",
    );
    check(
        "a @exit x",
        "0 defect; go => EXITING(defect) a=skipped(run:defect) x=queued launch:x1
         1 x1 ok      => FAILED(defect) x=succeeded",
    );
}

#[test]
fn an_exit_step_is_tried_again_as_any_other_and_its_failure_is_the_runs() {
    let play = check(
        "a @exit x:retry=1,delay=10 y:if=succeeded z<-x:all_done,if=succeeded !fail_fast",
        "0 submit; go       => RUNNING a=queued launch:a1
         1 a1 ok; go        => EXITING a=succeeded x=queued y=queued launch:x1 launch:y1
         2 x1 exit_code     => x=delayed(exit_code) x1~failed(exit_code) wake@12
         12 wake; go        => x=queued launch:x2 wake@never
         13 x2 exit_code    => x=failed(exit_code) z=ready x2~failed(exit_code)
         14 go; z1 ok       => z=succeeded launch:z1
         15 y1 exit_code    => FAILED y=failed(exit_code) y1~failed(exit_code)",
    );
    assert_eq!(play.run.record().failed_step, Some(play.index("x")));
}

#[test]
fn a_cancel_stops_exit_steps_too_and_what_the_run_had_come_to_stays() {
    let succeeds = "0 submit; go; a1 ok; go => EXITING a=succeeded x=queued launch:a1 launch:x1";
    let stops =
        "1 cancel      => STOPPING({}) x=stopping(run:cancelled) y=skipped(run:cancelled) stop:x1
                 2 cancel; pause; resume; wake; go =>";
    let graph = "a @exit x y<-x";
    let mut play = check(graph, succeeds);
    play.goes_on(&stops.replace("{}", "cancelled"));
    play.goes_on(
        "3 x1 stopped => CANCELLED(cancelled) x=cancelled(run:cancelled) x1~cancelled(cancelled)",
    );

    let fails = "0 submit; go; a1 exit_code; go => EXITING a=failed(exit_code) x=queued \
                 a1~failed(exit_code) launch:a1 launch:x1";
    let mut play = check(graph, fails);
    play.goes_on(&stops.replace("{}", "failure"));
    play.goes_on(
        "3 x1 stopped => FAILED(failure) x=cancelled(run:cancelled) x1~cancelled(cancelled)",
    );
}

#[test]
fn a_pause_ends_as_the_exit_steps_begin_and_they_cannot_be_paused() {
    let play = check(
        "a @exit x",
        "0 submit; go; pause => RUNNING a=queued launch:a1
         30 a1 ok            => EXITING a=succeeded x=ready
         31 pause; go        => x=queued launch:x1
         32 reload           => launch:x1
         33 x1 not_created   => x=ready(withdrawn) x1~withdrawn
         34 go               => x=queued launch:x2",
    );
    assert_eq!((play.run.record().paused_at, play.run.record().paused_ms), (None, 30));
}

#[test]
fn exit_steps_may_hold_steps_and_items() {
    check(
        "a @exit g l<-g:items=2 @g x @l*1 l",
        "0 submit; go; a1 ok  => EXITING a=succeeded g=open g.x=ready launch:a1
         1 go; g.x#1 ok; go   => g=succeeded l=open(2 items) g.x=succeeded l.0=queued launch:g.x#1 launch:l.0#1
         2 l.0#1 ok; go; cancel => STOPPING(cancelled) l.0=succeeded l.1=stopping(run:cancelled) launch:l.1#1 stop:l.1#1
         3 l.1#1 stopped      => CANCELLED(cancelled) l=cancelled(run:cancelled) l.1=cancelled(run:cancelled) \
                                 l.1#1~cancelled(cancelled)",
    );
}

#[test]
fn of_exit_steps_that_failed_the_first_one_is_the_runs() {
    let play = check(
        "a @exit x g @g y",
        "0 submit; go; a1 ok; go => EXITING a=succeeded x=queued g=open g.y=queued launch:a1 launch:x1 launch:g.y#1
         2 g.y#1 exit_code      => g=failed(step_failed:g.y) g.y=failed(exit_code) g.y#1~failed(exit_code)
         3 x1 exit_code         => FAILED x=failed(exit_code) x1~failed(exit_code)",
    );
    assert_eq!(play.run.record().failed_step, Some(play.index("g.y")));
}

#[test]
fn an_ended_run_begins_its_exit_steps_though_none_of_its_steps_ran() {
    check("a:if=false @exit x", "0 submit => EXITING a=skipped(condition_false) x=ready");
    check(
        "a @exit x:if=bad",
        "0 cancel => CANCELLED(cancelled) a=skipped(run:cancelled) x=failed(expression_invalid) \
                     x1~failed(expression_invalid)",
    );
}
