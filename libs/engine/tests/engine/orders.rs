//! Cancelling, in every phase of a step; and what stops a run just so: a record that cannot be understood.

use windlass_engine::{
    reason::StopCause,
    record::{RunState, StepState},
};

use super::notation::{Play, at, check};

#[test]
fn a_cancel_may_overtake_the_news_of_the_run() {
    let mut play = check(
        "a b<-a",
        "0 cancel => CANCELLED(cancelled) a=skipped(run:cancelled) b=skipped(run:cancelled)",
    );
    play.goes_on("1 submit; go =>");
    check(
        "a:if=false b<-a c",
        "0 cancel => CANCELLED(cancelled) a=skipped(condition_false) b=skipped(upstream_skipped:a) \
                     c=skipped(run:cancelled)",
    );
}

#[test]
fn a_cancel_ends_at_once_what_has_no_attempt_in_flight() {
    check(
        "a b<-a c:retry=1,delay=50 d:retry=1 e<-c !parallel=2",
        "0 submit; go 0   => RUNNING a=ready c=ready d=ready
         0 go             => a=queued c=queued launch:a1 launch:c1
         1 a1 ok; c1 exit_code; go => a=succeeded b=queued c=delayed(exit_code) d=queued c1~failed(exit_code) \
                             launch:b1 launch:d1 wake@51
         2 b1 ok; d1 exit_code => b=succeeded d=ready(exit_code) d1~failed(exit_code)
         3 cancel         => CANCELLED(cancelled) c=cancelled(run:cancelled) d=cancelled(run:cancelled) \
                             e=skipped(run:cancelled) wake@never",
    );
}

#[test]
fn a_cancel_stops_what_is_in_flight_once() {
    check(
        "a b c d:timeout=5 e",
        "0 submit; go => RUNNING a=queued b=queued c=queued d=queued e=queued \
                         launch:a1 launch:b1 launch:c1 launch:d1 launch:e1
         1 b1 starting; c1 running; d1 running; e1 ok => b=starting c=running d=running e=succeeded wake@6
         6 wake       => d=stopping(timeout) stop:d1 wake@never
         7 cancel     => STOPPING(cancelled) a=stopping(run:cancelled) b=stopping(run:cancelled) \
                         c=stopping(run:cancelled) stop:a1 stop:b1 stop:c1
         8 cancel; pause; resume; retry; wake; go =>
         9 a1 starting; b1 running =>
         10 a1 not_created => a=cancelled(run:cancelled) a1~cancelled(cancelled)
         11 b1 lost   => b=cancelled(run:cancelled) b1~cancelled(cancelled)
         12 c1 stopped => c=cancelled(run:cancelled) c1~cancelled(cancelled)
         13 d1 stopped => CANCELLED(cancelled) d=failed(timeout) d1~failed(timeout)",
    );
}

#[test]
fn what_ends_by_itself_as_it_is_cancelled_has_ended_so() {
    let running = "0 submit; go; a1 running => RUNNING a=running launch:a1
                   1 cancel => STOPPING(cancelled) a=stopping(run:cancelled) b=skipped(run:cancelled) stop:a1";
    check("a b<-a", running)
        .goes_on("2 a1 ok outputs={} => CANCELLED(cancelled) a=succeeded a:={}");
    let mut failed = check("a:retry=5 b<-a", running);
    failed
        .goes_on("2 a1 exit_code => CANCELLED(cancelled) a=failed(exit_code) a1~failed(exit_code)");
    failed.goes_on("3 a1 stopped; a1 ok; cancel =>");
}

#[test]
fn an_ended_run_takes_no_order_but_a_retry() {
    let mut play = check(
        "a",
        "0 submit; go => RUNNING a=queued launch:a1
         1 a1 ok      => SUCCEEDED a=succeeded
         2 cancel; pause; resume; retry; wake; go =>",
    );
    assert_eq!(play.run.record().retries, 0);
    play.goes_on("3 reload =>");
}

#[test]
fn a_cancel_ends_a_pause() {
    let play = check(
        "a",
        "0 submit; go; a1 running; pause => RUNNING a=running launch:a1
         10 cancel     => STOPPING(cancelled) a=stopping(run:cancelled) stop:a1
         20 a1 stopped => CANCELLED(cancelled) a=cancelled(run:cancelled) a1~cancelled(cancelled)",
    );
    let record = play.run.record();
    assert_eq!((record.paused_at, record.paused_ms), (None, 20));
}

#[test]
fn any_order_begins_a_run() {
    for order in ["pause", "resume", "retry"] {
        let mut play = Play::new("a");
        play.goes_on(&format!("0 {order} => RUNNING a=ready"));
        assert_eq!(play.run.record().state, RunState::Running);
        assert_eq!(play.step("a").state, StepState::Ready);
    }
}

#[test]
fn a_defect_fails_the_run_as_soon_as_what_runs_has_ended_and_a_retry_forgets_it() {
    let mut play = check(
        "a b<-a",
        "0 submit; go => RUNNING a=queued launch:a1
         1 defect     => STOPPING(defect) a=stopping(run:defect) b=skipped(run:defect) stop:a1
         2 defect     =>
         3 a1 stopped => FAILED(defect) a=cancelled(run:defect) a1~cancelled(defect)
         4 defect     =>",
    );
    assert_eq!(play.run.record().defect.as_deref(), Some("as told"));
    play.goes_on("5 retry; go => RUNNING a=queued b=waiting launch:a2");
    assert_eq!(play.run.record().defect, None);
}

#[test]
fn a_run_that_cannot_be_read_is_condemned_unless_it_has_ended() {
    let mut record = check("a", "0 submit; go => RUNNING a=queued launch:a1").run.record().clone();
    assert!(record.condemn("first".into(), at(3)));
    assert!(!record.condemn("second".into(), at(4)));
    let expected = (RunState::Failed, Some(StopCause::Defect), at(3), Some("first"));
    let defect = record.defect.as_deref();
    assert_eq!((record.state, record.stop_cause, record.ended_at, defect), expected);
}
