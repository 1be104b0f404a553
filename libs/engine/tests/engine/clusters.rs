//! Steps of several clusters in one run: what waits for one is in nobody's way.

use proptest::prelude::*;
use windlass_engine::{
    event::{AttemptPhase, AttemptReport, Decision, Event, Order},
    output::{Effect, Output},
    policy::{ClusterIndex, RunPolicy},
    record::StepState,
    run::{Obstacle, Run},
    time::Timestamp,
};

use super::{
    graphs::{dynamic, steps_without_time_outs},
    notation::{Play, at, check},
    paths::{clusters, current},
    properties::config,
};

const X: ClusterIndex = ClusterIndex(0);
const Y: ClusterIndex = ClusterIndex(1);

#[test]
fn each_cluster_has_room_of_its_own_and_orders_in_the_order_of_indexes() {
    let play = check(
        "a:on=x b:on=y c:on=x d:on=x e:on=y f<-a:on=y",
        "0 submit; go y=1 => RUNNING a=ready b=queued c=ready d=ready e=ready launch:b1
         1 go x=2         => a=queued c=queued launch:a1 launch:c1
         2 go y           => e=queued launch:e1
         3 a1 ok; go y    => a=succeeded f=queued launch:f1
         4 go x           => d=queued launch:d1",
    );
    let counts = |run: &Run| [X, Y].map(|it| (run.unconfirmed(it), run.in_flight(it)));
    assert_eq!(counts(&play.run), [(2, 2), (3, 3)]);
    assert_eq!(counts(&play.store.load()), [(2, 2), (3, 3)]);
    assert_eq!(play.run.cluster(play.index("f")), Y);
}

#[test]
fn what_the_run_allows_all_steps_together_is_for_all_clusters() {
    let mut play = check(
        "a:on=x b:on=y c:on=x !parallel=2",
        "0 submit; go x => RUNNING a=queued b=ready c=queued launch:a1 launch:c1
         1 go y         =>",
    );
    assert!(!play.run.may_launch(Y));
    play.goes_on("2 c1 ok; go => b=queued c=succeeded launch:b1");
}

/// In state Queued and in state Ready.
fn counts(play: &Play) -> [u32; 2] {
    [StepState::Queued, StepState::Ready].map(|it| play.run.record().count(it))
}

#[test]
fn items_begin_only_where_there_is_work_and_room_for_their_first_steps() {
    let mut play = check(
        "l:items=1000 m:items=1000 @l* a:on=x b<-a:on=y @m* g @g c:on=y",
        "0 submit => RUNNING l=open(1000 items) m=open(1000 items)",
    );
    let begun = |play: &Play, path: &str| play.step(path).state != StepState::Waiting;
    play.acts("1 go y=2");
    assert_eq!(counts(&play), [2, 0]);
    assert!(!begun(&play, "l.0.a") && begun(&play, "m.1.g.c") && !begun(&play, "m.2.g"));
    play.acts("2 go x=3");
    assert_eq!(counts(&play), [5, 0]);
    assert!(begun(&play, "l.2.a") && !begun(&play, "l.3.a") && !begun(&play, "m.2.g"));
    // What a step of one cluster makes ready for another does not keep the first one's items back.
    play.acts("3 l.0.a#1 ok; l.1.a#1 ok; go x=2");
    assert_eq!(counts(&play), [5, 2]);
    assert!(begun(&play, "l.4.a") && !begun(&play, "l.5.a"));
    assert_eq!(play.why("l.0.b", at(3)), [Obstacle::Room]);
    // It does so where it waits for the same one.
    play.acts("4 go y=1");
    assert_eq!(counts(&play), [6, 1]);
    assert!(!begun(&play, "m.2.g"));
}

#[test]
fn an_item_that_begins_in_several_clusters_begins_where_the_first_has_room() {
    let mut play = check("l:items=100 @l* a:on=x b:on=y", "0 submit => RUNNING l=open(100 items)");
    play.acts("1 go y=3");
    assert_eq!(counts(&play), [3, 3]);
    play.acts("2 go x=4");
    assert_eq!(counts(&play), [7, 1]);
    assert_eq!(play.step("l.3.b").state, StepState::Ready);
}

#[test]
fn steps_in_line_for_named_limits_hold_back_items_of_their_own_cluster_alone() {
    let mut play = check(
        "l:items=150 m:items=9 @l* a:limit=db,on=x @m* b:on=y",
        "0 submit => RUNNING l=open(150 items) m=open(9 items)",
    );
    play.acts("1 go x");
    assert_eq!(play.run.record().count(StepState::Blocked), 100);
    assert!(!play.run.may_launch(X) && play.run.may_launch(Y));
    play.acts("2 go y=5");
    assert_eq!(counts(&play), [5, 1]);
}

#[test]
fn items_that_wait_for_room_of_their_cluster_do_not_keep_the_run_awake() {
    let mut play = check(
        "l:items=50000 m:items=9 @l* a:on=x,if=false @m* b:on=y",
        "0 submit => RUNNING l=open(50000 items) m=open(9 items)",
    );
    let mut out = Output::default();
    assert_eq!(play.run.dispatch(X, 1, at(1), &mut out), 0);
    assert_eq!(play.run.dispatch(Y, 1, at(1), &mut out), 1);
    assert_eq!(play.run.next_wakeup(at(1)), Some(at(1)), "another cluster's turn changes nothing");
    // The scheduler looks, and finds no room.
    play.run.apply(&Event::Wake, at(2), &mut out).expect("it makes sense");
    assert_eq!(play.run.next_wakeup(at(2)), None);
    assert!(play.run.may_launch(X), "it is in line for room");
}

#[test]
fn what_a_dispatch_makes_ready_for_another_cluster_is_looked_at_again() {
    check(
        "l:items=2 @exit e:on=y @l* a:on=x,if=false b<-a:on=y,all_done",
        "0 submit; go y => RUNNING l=open(2 items)
         1 go x         => l.0.a=skipped(condition_false) l.0.b=ready l.1.a=skipped(condition_false) l.1.b=ready wake@1
         2 wake; go     => l.0.b=queued l.1.b=queued launch:l.0.b#1 launch:l.1.b#1 wake@never
         3 l.0.b#1 ok; l.1.b#1 ok; go => EXITING l=succeeded e=queued l.0.b=succeeded l.1.b=succeeded launch:e1",
    );
    check(
        "l:items=2 @exit e:on=x @l* a:on=x,if=false",
        "0 submit; go => EXITING l=succeeded e=ready l.0.a=skipped(condition_false) l.1.a=skipped(condition_false) wake@0
         1 wake; go   => e=queued launch:e1 wake@never",
    );
}

/// Goes on until nothing is left to do but what waits for clusters without room; whatever starts succeeds at once.
fn go_on(run: &mut Run, has_room: impl Fn(ClusterIndex) -> bool, now: Timestamp) {
    loop {
        let mut out = Output::default();
        for cluster in clusters(run).filter(|cluster| has_room(*cluster)) {
            run.dispatch(cluster, usize::MAX, now, &mut out);
        }
        let mut events: Vec<Event> = out.effects.into_iter().filter_map(answer).collect();
        let suspended = |step: &_| run.step(*step).state == StepState::Suspended;
        events.extend(current(run).filter(suspended).map(|step| {
            let (approved, by, comment) = (true, "ann".into(), "".into());
            Event::Order(Order::Decide(Decision { step, approved, by, comment }))
        }));
        if events.is_empty() && run.next_wakeup(now).is_none() {
            return;
        }
        for event in events.into_iter().chain([Event::Wake]) {
            let mut granted = Output::default();
            run.apply(&event, now, &mut granted).expect("it makes sense");
            for event in granted.effects.into_iter().filter_map(answer) {
                run.apply(&event, now, &mut Output::default()).expect("it makes sense");
            }
        }
    }
}

/// What the world says to an effect.
fn answer(effect: Effect) -> Option<Event> {
    let it = effect.attempt();
    match effect {
        Effect::Launch(_) => {
            let (phase, time) = (AttemptPhase::Succeeded(None), None);
            let (created_at, started_at, ended_at) = (time, time, time);
            let (step, attempt) = (it.step, it.attempt);
            let report = AttemptReport { step, attempt, phase, created_at, started_at, ended_at };
            Some(Event::Report(report))
        }
        Effect::Acquire(_) => Some(Event::Granted(it)),
        Effect::Stop(_) | Effect::Probe(_) | Effect::Hold(_) | Effect::Release(_) => None,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_clusters_backlog_delays_anothers_steps(
        case in dynamic(Just(RunPolicy::default()), steps_without_time_outs(), true),
    ) {
        let mut run = Run::new(case.graph.clone());
        run.apply(&Event::Submitted, at(0), &mut Output::default()).expect("it makes sense");
        go_on(&mut run, |cluster| cluster != X, at(1));
        // All that could start without the first cluster has started and ended.
        for step in current(&run).filter(|step| run.cluster(*step) != X) {
            let state = run.step(step).state;
            let rests = matches!(state, StepState::Waiting | StepState::Open);
            prop_assert!(rests || state.is_final(), "{step:?} is {state:?}");
        }
        go_on(&mut run, |_| true, at(2));
        prop_assert!(run.record().state.is_final(), "{run:?}");
    }
}
