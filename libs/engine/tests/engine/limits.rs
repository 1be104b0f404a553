//! Which of the ready steps start, and when.

use windlass_engine::policy::ClusterIndex;

use super::notation::{at, check};

#[test]
fn ready_steps_start_in_the_order_of_their_indexes_as_far_as_there_is_room() {
    check(
        "a b c<-b d e",
        "0 submit => RUNNING a=ready b=ready d=ready e=ready
         0 go 0   =>
         0 go 2   => a=queued b=queued launch:a1 launch:b1
         1 b1 ok  => b=succeeded c=ready
         1 go 2   => c=queued d=queued launch:c1 launch:d1
         1 go 2   => e=queued launch:e1",
    );
}

#[test]
fn attempts_in_flight_are_as_many_as_the_run_allows_also_while_they_stop() {
    let play = check(
        "a:timeout=10,retry=1 b c !parallel=2",
        "0 submit; go   => RUNNING a=queued b=queued c=ready launch:a1 launch:b1
         1 a1 starting; go => a=starting
         2 a1 running; go => a=running wake@12
         12 wake; go    => a=stopping(timeout) stop:a1 wake@never
         13 a1 stopped  => a=ready(timeout) a1~failed(timeout)
         13 go          => a=queued launch:a2
         14 b1 ok; go   => b=succeeded c=queued launch:c1",
    );
    assert_eq!(play.run.unconfirmed(ClusterIndex(0)), 2);
    assert_eq!(play.run.record().in_flight(), 2);
}

#[test]
fn starts_are_as_far_apart_as_the_run_says() {
    let play = check(
        "a b c !gap=100",
        "7 submit      => RUNNING a=ready b=ready c=ready
         8 go          => a=queued launch:a1 wake@108
         107 go        =>
         150 go        => b=queued launch:b1 wake@250
         150 a1 lost   => a=ready(lost) a1~failed(lost)
         249 wake; go  =>
         250 wake; go  => a=queued launch:a2 wake@350
         350 go        => c=queued launch:c1 wake@never",
    );
    assert_eq!(play.run.record().last_start_at, at(350));
}

#[test]
fn a_gap_wakes_only_a_run_that_could_start_something() {
    check(
        "a b !gap=100 !parallel=1",
        "0 submit; go => RUNNING a=queued b=ready launch:a1
         5 a1 ok      => a=succeeded wake@100
         6 pause      => wake@never
         7 resume     => wake@100
         100 go       => b=queued launch:b1 wake@never",
    );
}

#[test]
fn a_gap_holds_across_a_retry_of_the_run() {
    check(
        "a !gap=100",
        "0 submit; go   => RUNNING a=queued launch:a1
         1 a1 exit_code => FAILED a=failed(exit_code) a1~failed(exit_code)
         2 retry; go    => RUNNING a=ready wake@100",
    );
}
