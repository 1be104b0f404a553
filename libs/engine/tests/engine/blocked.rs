//! Named limits, which runs share.

use windlass_engine::{
    output::AttemptRef,
    policy::ClusterIndex,
    record::{StepIndex, StepState},
    run::Obstacle,
};

use super::notation::{at, check};

#[test]
fn a_step_asks_for_its_limits_when_it_could_start_and_starts_when_they_are_granted() {
    let play = check(
        "a:limit=db b:limit=gpu+db c<-a",
        "0 submit; go 0 => RUNNING a=ready b=ready
         1 go 1         => a=blocked acquire:a1
         1 go 1         => b=blocked acquire:b1
         2 grant a1     => a=queued launch:a1
         3 a1 running   => a=running
         4 a1 ok; go    => a=succeeded c=queued release:a1 launch:c1
         5 grant b1     => b=queued launch:b1
         6 grant b1     =>
         7 b1 ok        => b=succeeded release:b1",
    );
    assert_eq!(play.step("b").queued_at, at(5));
    let limits = play.run.limits(StepIndex(1)).expect("it has some");
    assert_eq!(limits.iter().map(|name| &**name).collect::<Vec<_>>(), ["db", "gpu"]);
}

#[test]
fn each_attempt_asks_anew_and_gives_back_when_it_is_over_or_gone() {
    check(
        "a:limit=db,retry=1,timeout=9",
        "0 submit; go     => RUNNING a=blocked acquire:a1
         1 grant a1       => a=queued launch:a1
         2 a1 exit_code   => a=ready(exit_code) a1~failed(exit_code) release:a1
         3 go; grant a2   => a=queued acquire:a2 launch:a2
         4 a2 running     => a=running wake@13
         13 wake          => a=stopping(timeout) stop:a2 wake@never
         14 a2 stopped    => FAILED a=failed(timeout) a2~failed(timeout) release:a2",
    );
}

#[test]
fn a_paused_run_leaves_its_lines_and_a_late_grant_is_given_back() {
    check(
        "a:limit=db b:limit=db",
        "0 submit; go       => RUNNING a=blocked b=blocked acquire:a1 acquire:b1
         1 grant a1         => a=queued launch:a1
         2 pause            => b=ready(withdrawn) b1~withdrawn release:b1
         3 grant b1; grant b9; go => release:b1
         4 a1 not_created   => a=ready(withdrawn) a1~withdrawn release:a1
         5 resume; go       => a=blocked b=blocked acquire:a2 acquire:b2
         6 grant b1; grant b2 => b=queued release:b1 launch:b2
         7 cancel           => STOPPING(cancelled) a=skipped(run:cancelled) b=stopping(run:cancelled) a2~withdrawn release:a2 stop:b2
         8 b2 not_created   => CANCELLED(cancelled) b=cancelled(run:cancelled) b2~cancelled(cancelled) release:b2",
    );
}

#[test]
fn a_step_in_line_counts_against_the_parallelism_that_it_will_take() {
    let play = check(
        "a:limit=db b c !parallel=2",
        "0 submit; go => RUNNING a=blocked b=queued c=ready acquire:a1 launch:b1
         1 b1 ok; go  => b=succeeded c=queued launch:c1
         2 grant a1   => a=queued launch:a1",
    );
    assert_eq!((play.run.record().taken(), play.run.record().in_flight()), (2, 2));
}

#[test]
fn where_starts_have_a_gap_nothing_overtakes_a_step_in_line() {
    check(
        "a:limit=db b !gap=10",
        "0 submit; go => RUNNING a=blocked b=ready acquire:a1
         20 go        =>
         25 grant a1  => a=queued launch:a1 wake@35
         30 go        =>
         35 go        => b=queued launch:b1 wake@never",
    );
}

#[test]
fn a_load_asks_again_and_holds_what_may_exist() {
    check(
        "a:limit=db b:limit=db c:limit=db d:limit=db",
        "0 submit; go           => RUNNING a=blocked b=blocked c=blocked d=blocked acquire:a1 acquire:b1 acquire:c1 acquire:d1
         1 grant a1; grant b1; grant c1 => a=queued b=queued c=queued launch:a1 launch:b1 launch:c1
         2 b1 running; c1 ok    => b=running c=succeeded release:c1
         3 reload               => hold:a1 launch:a1 hold:b1 probe:b1 acquire:d1",
    );
}

#[test]
fn an_attempt_that_was_not_granted_and_is_there_is_adopted_and_holds() {
    let play = check(
        "a:limit=db",
        "0 submit; go     => RUNNING a=blocked acquire:a1
         1 a1 running     => a=running hold:a1
         2 a3 starting    => a=starting release:a1 hold:a3",
    );
    let has_given_back =
        |attempt| play.run.has_given_back(AttemptRef { step: StepIndex(0), attempt });
    assert_eq!([1, 2, 3, 4].map(has_given_back), [true, true, false, false]);
}

#[test]
fn a_run_stands_in_line_with_a_hundred_steps_and_lets_others_pass() {
    let mut play = check("l:items=150 @l* a:limit=db b", "0 submit => RUNNING l=open(150 items)");
    play.acts("1 go");
    let counts = |play: &super::notation::Play| {
        [StepState::Blocked, StepState::Queued, StepState::Ready]
            .map(|it| play.run.record().count(it))
    };
    assert_eq!(counts(&play), [100, 101, 1]);
    assert!(!play.run.may_launch(ClusterIndex(0)));
    let ready = play.index("l.100.a");
    assert_eq!(play.run.explain(ready, at(1)), [Obstacle::LinesFull(100)]);
    let blocked = play.index("l.7.a");
    let names = ["db".into()].into();
    assert_eq!(play.run.explain(blocked, at(1)), [Obstacle::Limits { since: at(1), names }]);
    play.acts("2 grant l.7.a#1; go");
    assert_eq!(counts(&play), [100, 103, 1]);
}

#[test]
fn who_finds_its_line_full_is_in_nobodys_way() {
    let mut play = check(
        "l:items=120 m:items=2 c:limit=gpu @l* a:limit=db @m* d:limit=gpu e",
        "0 submit => RUNNING l=open(120 items) m=open(2 items) c=ready",
    );
    play.acts("1 go");
    let state = |play: &super::notation::Play, path| play.step(path).state;
    assert_eq!(state(&play, "l.100.a"), StepState::Ready);
    assert_eq!(state(&play, "l.101.a"), StepState::Waiting);
    for path in ["c", "m.0.d", "m.1.d"] {
        assert_eq!(state(&play, path), StepState::Blocked, "{path}");
    }
    for path in ["m.0.e", "m.1.e"] {
        assert_eq!(state(&play, path), StepState::Queued, "{path}");
    }
    let waits = play.run.explain(play.index("l.101.a"), at(1));
    assert!(
        matches!(waits[..], [Obstacle::ItemNotBegun { .. }, Obstacle::LinesFull(100)]),
        "{waits:?}"
    );
}
