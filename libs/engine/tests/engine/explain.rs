//! Why a step does not run, or not yet.

use proptest::prelude::*;
use windlass_engine::{
    layout::{Holder, Item},
    output::Output,
    reason::{FailureReason, Reason, StopCause},
    record::{StepIndex, StepState},
    run::{Obstacle, Run},
    time::Timestamp,
};

use super::{
    graphs::{Case, dynamic, runs, steps},
    model::Outcome,
    notation::{Play, at, check},
    paths::{clusters, current},
    properties::config,
    world::World,
};

impl Play {
    pub(crate) fn why(&self, path: &str, now: Timestamp) -> Vec<Obstacle> {
        self.run.explain(self.index(path), now)
    }

    fn all(&self, paths: &[&str]) -> Vec<StepIndex> {
        paths.iter().map(|path| self.index(path)).collect()
    }

    fn dependencies(&self, paths: &[&str]) -> Obstacle {
        Obstacle::Dependencies { first: self.all(paths), total: paths.len() }
    }

    fn not_begun(&self, of: &str, index: u32, before: u32) -> Obstacle {
        Obstacle::ItemNotBegun { item: Item { of: self.index(of), index }, before }
    }
}

#[test]
fn a_step_waits_for_the_run_to_begin_then_for_those_steps_that_have_not_ended() {
    let graph = "a b c<-a,b @exit x y<-x";
    assert_eq!(Play::new(graph).why("c", at(0)), [Obstacle::RunNotBegun]);
    let mut play = check(
        graph,
        "0 submit; go => RUNNING a=queued b=queued launch:a1 launch:b1
         1 a1 running => a=running",
    );
    assert_eq!(play.why("c", at(1)), [play.dependencies(&["a", "b"])]);
    assert_eq!(play.why("a", at(1)), []);
    assert_eq!(play.why("b", at(1)), [Obstacle::Launcher(at(0))]);
    assert_eq!(play.why("x", at(1)), [Obstacle::StepsNotEnded(3)]);
    assert_eq!(play.why("y", at(1)), [Obstacle::StepsNotEnded(3), play.dependencies(&["x"])]);
    play.goes_on("2 a1 ok => a=succeeded");
    assert_eq!(play.why("c", at(2)), [play.dependencies(&["b"])]);
    play.goes_on("3 b1 ok; go; c1 ok => EXITING b=succeeded c=succeeded x=ready launch:c1");
    assert_eq!(play.why("x", at(3)), [Obstacle::Room]);
    assert_eq!(play.why("y", at(3)), [play.dependencies(&["x"])]);
    assert_eq!(play.why("c", at(3)), []);
}

#[test]
fn of_many_dependencies_ten_are_named() {
    let play = check(
        "a b c d e f g h i j k l<-a,b,c,d,e,f,g,h,i,j,k",
        "0 submit => RUNNING a=ready b=ready c=ready d=ready e=ready f=ready g=ready h=ready i=ready j=ready k=ready",
    );
    let first = play.all(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    assert_eq!(play.why("l", at(0)), [Obstacle::Dependencies { first, total: 11 }]);
}

#[test]
fn a_ready_step_is_held_back_by_the_limits_of_the_run_or_by_room() {
    let mut play = check(
        "a b c !parallel=2 !gap=100",
        "0 submit; go => RUNNING a=queued b=ready c=ready launch:a1 wake@100",
    );
    assert_eq!(play.why("b", at(99)), [Obstacle::StartGap(at(100))]);
    assert_eq!(play.why("b", at(100)), [Obstacle::Room]);
    play.goes_on("100 go => b=queued launch:b1 wake@never");
    let full = |play: &Play| Obstacle::MaxParallelism {
        most: 2,
        in_flight: 2,
        first: play.all(&["a", "b"]),
    };
    assert_eq!(play.why("c", at(101)), [full(&play), Obstacle::StartGap(at(200))]);
    play.goes_on("102 pause =>");
    assert_eq!(play.why("c", at(200)), [Obstacle::Paused(at(102)), full(&play)]);
    assert_eq!(play.why("a", at(200)), [Obstacle::Launcher(at(0)), Obstacle::Paused(at(102))]);
}

#[test]
fn a_failed_attempt_is_waited_for_until_its_delay_is_over_and_a_pause_lasts_longer() {
    let mut play = check(
        "a:retry=1,delay=50 b<-a",
        "0 submit; go   => RUNNING a=queued launch:a1
         10 a1 signal   => a=delayed(signal) a1~failed(signal) wake@60",
    );
    let retry = Obstacle::Retry { until: at(60), reason: Reason::Failure(FailureReason::Signal) };
    assert_eq!(play.why("a", at(11)), std::slice::from_ref(&retry));
    play.goes_on("12 pause =>");
    assert_eq!(play.why("a", at(13)), [retry, Obstacle::Paused(at(12))]);
    assert_eq!(play.why("b", at(13)), [play.dependencies(&["a"]), Obstacle::Paused(at(12))]);
}

#[test]
fn an_attempt_that_starts_or_stops_is_told_with_its_times_and_its_reason() {
    let mut play = check(
        "a:startup=30 b c:timeout=5 !stop_on_failure",
        "0 submit; go   => RUNNING a=queued b=queued c=queued launch:a1 launch:b1 launch:c1
         2 a1 starting; b1 starting; c1 running => a=starting b=starting c=running wake@7
         7 wake         => c=stopping(timeout) stop:c1 wake@32",
    );
    assert_eq!(play.why("a", at(8)), [Obstacle::Starting { since: at(2), until: Some(at(32)) }]);
    assert_eq!(play.why("b", at(8)), [Obstacle::Starting { since: at(2), until: None }]);
    assert_eq!(play.why("c", at(8)), [Obstacle::Stopping(Reason::Failure(FailureReason::Timeout))]);
    play.goes_on(
        "9 cancel       => STOPPING(cancelled) a=stopping(run:cancelled) b=stopping(run:cancelled) \
                           stop:a1 stop:b1 wake@never",
    );
    assert_eq!(
        play.why("b", at(9)),
        [Obstacle::Stopping(Reason::RunStopped(StopCause::Cancelled))]
    );
}

#[test]
fn what_lies_in_a_group_waits_for_the_group_and_the_group_for_what_it_holds() {
    let mut play = check("a g<-a @g b c<-b", "0 submit; go => RUNNING a=queued launch:a1");
    let group = play.index("g");
    assert_eq!(play.why("g", at(0)), [play.dependencies(&["a"])]);
    let closed = Obstacle::HolderNotOpen(group);
    assert_eq!(play.why("g.b", at(0)), std::slice::from_ref(&closed));
    assert_eq!(play.why("g.c", at(0)), [closed, play.dependencies(&["g.b"])]);
    play.goes_on("1 a1 ok => a=succeeded g=open g.b=ready");
    let first = play.all(&["g.b", "g.c"]);
    assert_eq!(play.why("g", at(1)), [Obstacle::Holds { open: 2, first, items: 0 }]);
    assert_eq!(play.why("g.c", at(1)), [play.dependencies(&["g.b"])]);
}

#[test]
fn a_group_that_a_report_has_opened_before_its_turn_waits_and_what_it_holds_with_it() {
    let play = check(
        "a g<-a @g b c",
        "0 submit; go; g.b#1 running => RUNNING a=queued g=open g.b=running launch:a1",
    );
    let first = play.all(&["g.b", "g.c"]);
    let holds = Obstacle::Holds { open: 2, first, items: 0 };
    assert_eq!(play.why("g", at(1)), [play.dependencies(&["a"]), holds]);
    assert_eq!(play.why("g.c", at(1)), [Obstacle::HolderNotOpen(play.index("g"))]);
}

#[test]
fn an_item_waits_for_those_before_it_and_for_the_limit_of_its_loop() {
    let mut play = check(
        "l:items=5 @l*2 d e<-d",
        "0 submit; go => RUNNING l=open(5 items) l.0.d=queued l.1.d=queued launch:l.0.d#1 launch:l.1.d#1",
    );
    let of = play.index("l");
    let full = Obstacle::LoopParallelism { of, most: 2, under_way: 2, first: vec![0, 1] };
    assert_eq!(play.why("l.2.d", at(1)), [play.not_begun("l", 2, 0), full.clone()]);
    let e = play.why("l.4.e", at(1));
    assert_eq!(e, [play.not_begun("l", 4, 2), full, play.dependencies(&["l.4.d"])]);
    assert_eq!(play.why("l.0.e", at(1)), [play.dependencies(&["l.0.d"])]);
    let first = play.all(&[
        "l.0.d", "l.0.e", "l.1.d", "l.1.e", "l.2.d", "l.2.e", "l.3.d", "l.3.e", "l.4.d", "l.4.e",
    ]);
    assert_eq!(play.why("l", at(1)), [Obstacle::Holds { open: 4, first, items: 3 }]);
    play.goes_on("2 l.0.d#1 exit_code => l.0.d=failed(exit_code) l.0.e=skipped(upstream_failed:l.0.d) l.0.d#1~failed(exit_code)");
    assert_eq!(play.why("l.2.d", at(2)), [play.not_begun("l", 2, 0), Obstacle::Room]);
}

#[test]
fn items_of_a_loop_without_a_limit_wait_for_room_and_for_what_holds_the_run_back() {
    let mut play = check(
        "l:items=3 @l* l",
        "0 submit; go 1 => RUNNING l=open(3 items) l.0=queued launch:l.0#1",
    );
    assert_eq!(play.why("l.2", at(0)), [play.not_begun("l", 2, 1), Obstacle::Room]);
    play.goes_on("1 pause =>");
    assert_eq!(play.why("l.1", at(1)), [play.not_begun("l", 1, 0), Obstacle::Paused(at(1))]);
    let play = check(
        "l:items=3 !parallel=1 @l* l",
        "0 submit; go => RUNNING l=open(3 items) l.0=queued launch:l.0#1",
    );
    let full = Obstacle::MaxParallelism { most: 1, in_flight: 1, first: play.all(&["l.0"]) };
    assert_eq!(play.why("l.1", at(0)), [play.not_begun("l", 1, 0), full]);
}

#[test]
fn ready_steps_and_deeper_or_earlier_loops_go_before_an_item() {
    let play = check(
        "l:items=2 m:items=2 @l* n:items=2 @m* m @n* n",
        "0 submit => RUNNING l=open(2 items) m=open(2 items)",
    );
    assert_eq!(play.why("l.0.n", at(0)), [play.not_begun("l", 0, 0), Obstacle::Room]);
    let first = Obstacle::LoopFirst(play.index("l"));
    assert_eq!(play.why("m.0", at(0)), [play.not_begun("m", 0, 0), first]);
    let mut play = play;
    play.goes_on("0 go 1 => l.0.n=open(2 items) l.0.n.0=queued launch:l.0.n.0#1");
    let first = Obstacle::LoopFirst(play.index("l.0.n"));
    assert_eq!(play.why("l.1.n", at(0)), [play.not_begun("l", 1, 0), first.clone()]);
    assert_eq!(play.why("m.1", at(0)), [play.not_begun("m", 1, 1), first]);

    let play = check("a b l:items=1 @l* l", "0 submit => RUNNING a=ready b=ready l=open(1 items)");
    assert_eq!(play.why("l.0", at(0)), [play.not_begun("l", 0, 0), Obstacle::ReadyFirst(2)]);
}

#[test]
fn an_item_of_a_loop_that_has_to_open_again_waits_for_the_loop() {
    let play = check(
        "l:items=2 @l*1 m:items=2 @m* m",
        "0 submit; go      => RUNNING l=open(2 items) l.0.m=open(2 items) l.0.m.0=queued l.0.m.1=queued \
                              launch:l.0.m.0#1 launch:l.0.m.1#1
         1 l.0.m.0#1 ok; l.0.m.1#1 signal => l.0.m=failed(step_failed:l.0.m.1) l.0.m.0=succeeded \
                              l.0.m.1=failed(signal) l.0.m.1#1~failed(signal)
         2 cancel          => CANCELLED(cancelled) l=failed(step_failed:l.0.m) l.1.m=skipped(run:cancelled)
         3 retry           => RUNNING l=open(2 items) l.0.m=waiting l.1.m=waiting l.0.m.1=waiting",
    );
    assert_eq!(play.why("l.0.m.1", at(3)), [Obstacle::HolderNotOpen(play.index("l.0.m"))]);
    assert_eq!(play.why("l.0.m", at(3)), [play.not_begun("l", 0, 0), Obstacle::Room]);
    assert_eq!(play.why("l.0.m.0", at(3)), []);
    assert_eq!(play.run.held_up(9), play.all(&["l.0.m", "l.1.m", "l.0.m.1"]));
}

#[test]
fn the_steps_that_are_held_up_are_told_with_those_first_that_are_closest_to_running() {
    let play = check(
        "z:retry=1 a b:retry=1,delay=50 c d e:timeout=5 w:approval g<-a i<-g l:items=3 !parallel=6 @g h @l*1 m n<-m",
        "0 submit; go => RUNNING z=queued a=queued b=queued c=queued d=queued e=queued w=suspended l=open(3 items) \
                         launch:z1 launch:a1 launch:b1 launch:c1 launch:d1 launch:e1
         1 b1 signal; go => b=delayed(signal) l.0.m=queued b1~failed(signal) launch:l.0.m#1 wake@51
         2 c1 starting; d1 running; e1 running; z1 signal => z=ready(signal) c=starting d=running e=running \
                         z1~failed(signal) wake@7
         7 wake       => e=stopping(timeout) stop:e1 wake@51",
    );
    let order = [
        "c", "a", "l.0.m", "z", "w", "b", "e", "g", "i", "l.0.n", "l.1.m", "l.1.n", "g.h", "l.2.m",
        "l.2.n",
    ];
    assert_eq!(play.run.held_up(usize::MAX), play.all(&order));
    assert_eq!(play.run.held_up(4), play.all(&order[..4]));
    assert_eq!(play.run.held_up_count() as usize, order.len());
    let waits = Obstacle::Approval { since: at(0), until: None };
    assert_eq!(play.why("w", at(7)), [waits]);
}

/// What is said of every step is true in the run as it is.
fn is_explained(run: &Run, now: Timestamp) {
    let mut held_up = 0;
    for step in current(run) {
        let (record, obstacles) = (run.step(step), run.explain(step, now));
        let is_free = record.state.is_final() || record.state == StepState::Running;
        assert_eq!(obstacles.is_empty(), is_free, "{step:?} {record:?} {obstacles:?}");
        held_up += u32::from(!is_free && record.state != StepState::Open);
        for obstacle in &obstacles {
            is_true(run, step, obstacle);
        }
        foretells(run, step, &obstacles, now);
    }
    assert_eq!(run.held_up_count(), held_up);
    let named = run.held_up(usize::MAX);
    assert_eq!(named.len(), held_up as usize);
    assert_eq!(run.held_up(3), named[..named.len().min(3)]);
}

fn is_true(run: &Run, step: StepIndex, obstacle: &Obstacle) {
    let is_open = |step: &StepIndex| !run.step(*step).state.is_final();
    match obstacle {
        Obstacle::Dependencies { first, total } => {
            assert!(first.iter().all(is_open) && first.len() == 10.min(*total));
        }
        Obstacle::HolderNotOpen(holder) => {
            assert!(is_open(holder), "{step:?} waits for {holder:?}");
        }
        Obstacle::ItemNotBegun { item, .. } => {
            assert_eq!(run.layout().holder(step), Holder::Item(*item));
            let waits = |step| run.step(StepIndex(step)).state == StepState::Waiting;
            assert!(run.layout().top_of(*item).any(waits));
        }
        Obstacle::LoopParallelism { most, under_way, first, .. } => {
            assert!(under_way >= most && first.len() == 10.min(*under_way as usize));
        }
        Obstacle::MaxParallelism { most, in_flight, first } => {
            assert!(in_flight >= most && first.len() == 10.min(*in_flight as usize));
            assert!(first.iter().all(|step| run.step(*step).state.claims_limits()));
        }
        Obstacle::Holds { open, first, items } => assert!(!first.is_empty() && open + items > 0),
        _ => {}
    }
}

/// What is said to wait for room alone starts as soon as there is any, and what is held back by the run does not.
fn foretells(run: &Run, step: StepIndex, obstacles: &[Obstacle], now: Timestamp) {
    let (mut next, mut out) = (run.clone(), Output::default());
    let holds_all = |obstacle: &Obstacle| {
        matches!(
            obstacle,
            Obstacle::Paused(_)
                | Obstacle::MaxParallelism { .. }
                | Obstacle::StartGap(_)
                | Obstacle::NextStart(_)
        )
    };
    match obstacles {
        [Obstacle::Room] => {
            let cluster = next.cluster(step);
            assert_eq!(next.dispatch(cluster, 1, now, &mut out), 1);
        }
        [Obstacle::ItemNotBegun { before: 0, .. }, Obstacle::Room, ..] => {
            let begins = |explained: &Obstacle| !matches!(explained, Obstacle::ItemNotBegun { .. });
            let begins_for = |cluster| {
                let mut next = run.clone();
                next.dispatch(cluster, 1, now, &mut Output::default());
                next.explain(step, now).iter().all(begins)
            };
            assert!(clusters(run).any(begins_for), "room in some cluster is all that it waits for");
        }
        _ if obstacles.iter().any(holds_all) => {
            let taken = clusters(run).map(|cluster| next.dispatch(cluster, 9, now, &mut out));
            assert_eq!(taken.sum::<usize>(), 0);
        }
        _ => {}
    }
}

/// How attempts turn out does not matter here, but that they turn out differently.
fn outcome(case: &Case, attempt: u32) -> Outcome {
    match (case.seed % 7 + u64::from(attempt)) % 4 {
        0 | 1 => Outcome::Success,
        2 => Outcome::Failure(FailureReason::ExitCode),
        _ => Outcome::Failure(FailureReason::Lost),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_step_that_neither_runs_nor_has_ended_is_told_why_and_what_is_told_is_true(
        case in dynamic(runs(), steps(), true),
        moves in prop::collection::vec(any::<u32>(), 0..100),
    ) {
        let outcome = |_: &_, attempt| outcome(&case, attempt);
        let mut world = World::new(&case.graph, &outcome);
        for number in moves {
            world.wild_move(number);
            is_explained(&world.run, world.now);
        }
    }
}
