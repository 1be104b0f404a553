//! Who gets room, and how much is ordered ahead of launchers.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use windlass_engine::{
    share::{Contender, InFlight, Sharing, Waits},
    window::Window,
};

use super::{notation::at, properties::config};

/// Runs that contend, by name: where they live, their priorities, and how many of their steps are ready.
#[derive(Debug, Clone, Default)]
struct Crowd {
    contenders: Vec<Contender<usize>>,
    ready: Vec<usize>,
    in_flight: InFlight,
}

impl Crowd {
    fn of(runs: &[(&str, i32, usize)]) -> Self {
        let mut crowd = Self::default();
        for (run, (namespace, priority, ready)) in runs.iter().enumerate() {
            let namespace = Arc::from(*namespace);
            crowd.contenders.push(Contender { run, namespace, priority: *priority });
            crowd.ready.push(*ready);
        }
        crowd
    }

    /// Shares room; tells what each run got.
    fn share(
        &mut self,
        room: usize,
        elsewhere: Option<i32>,
        waits: &mut Waits,
        ms: i64,
    ) -> Vec<usize> {
        let mut got = vec![0; self.ready.len()];
        let in_flight = self.in_flight.clone();
        let hungry: Vec<_> =
            self.contenders.iter().filter(|it| self.ready[it.run] > 0).cloned().collect();
        let sharing = Sharing { room, contenders: &hungry, in_flight, elsewhere };
        let left = sharing.share(waits, at(ms), |run, offered| {
            let taken = offered.min(self.ready[*run]);
            self.ready[*run] -= taken;
            got[*run] += taken;
            taken
        });
        assert_eq!(left + got.iter().sum::<usize>(), room);
        for (run, got) in got.iter().enumerate() {
            let namespace = self.contenders[run].namespace.clone();
            *self.in_flight.entry(namespace).or_default() += got;
        }
        got
    }

    fn share_once(&mut self, room: usize) -> Vec<usize> {
        self.share(room, None, &mut Waits::default(), 0)
    }
}

#[test]
fn a_higher_priority_leaves_what_it_does_not_need() {
    let mut crowd = Crowd::of(&[("a", 0, 9), ("a", 5, 3), ("b", 0, 9)]);
    assert_eq!(crowd.share_once(7), [0, 3, 4]);
    assert_eq!(crowd.share_once(100), [9, 0, 5]);
}

#[test]
fn namespaces_of_one_priority_come_to_have_as_many_in_flight() {
    let mut crowd = Crowd::of(&[("a", 0, 90), ("a", 0, 90), ("b", 0, 90), ("c", 0, 1)]);
    crowd.in_flight.insert("a".into(), 10);
    assert_eq!(crowd.share_once(6), [0, 0, 5, 1]);
    assert_eq!(crowd.share_once(11), [2, 1, 8, 0]);
}

#[test]
fn runs_of_a_namespace_get_equal_parts_the_oldest_first() {
    let mut crowd = Crowd::of(&[("a", 0, 90), ("a", 0, 1), ("a", 0, 90)]);
    assert_eq!(crowd.share_once(8), [3, 1, 4]);
}

#[test]
fn what_waits_elsewhere_with_a_higher_priority_comes_first() {
    let mut waits = Waits::default();
    let mut crowd = Crowd::of(&[("a", 0, 9), ("a", 5, 9)]);
    assert_eq!(crowd.share(4, Some(6), &mut waits, 0), [0, 0]);
    assert_eq!(crowd.share(4, Some(5), &mut waits, 10), [0, 4]);
    assert_eq!(waits.highest(), Some(5));
    assert_eq!(crowd.share(4, Some(6), &mut waits, 2009), [0, 0]);
    assert_eq!(crowd.share(4, Some(6), &mut waits, 2010), [0, 1], "it has risen to 7");
}

#[test]
fn a_priority_is_worth_seconds_of_waiting() {
    let mut waits = Waits::default();
    let mut crowd = Crowd::of(&[("a", 0, 9), ("a", 10, 1000)]);
    let starts: Vec<i64> =
        (0..40).filter(|second| crowd.share(3, None, &mut waits, second * 1000)[0] > 0).collect();
    assert_eq!(starts, [11, 22, 33]);
}

#[test]
fn the_window_widens_while_launchers_keep_up_and_narrows_when_they_do_not() {
    let mut window = Window::new(100);
    let mut sizes = Vec::new();
    for turn in 0..5 {
        let room = window.room(0, at(turn * 10));
        window.order(room, true, at(turn * 10));
        sizes.push(room);
    }
    assert_eq!(sizes, [16, 32, 64, 100, 100]);
    // Of what was ordered last, 40 are not taken.
    let rooms = [100, 2039, 2040, 4000, 4040, 6200].map(|ms| window.room(40, at(ms)));
    assert_eq!(rooms, [60, 60, 10, 10, 0, 0]);
    let rooms = [8200, 10_200, 12_200].map(|ms| window.room(1, at(ms)));
    assert_eq!(rooms, [5, 3, 3]);
    assert_eq!(window.room(0, at(12_201)), 4);
}

#[test]
fn a_window_that_nothing_fills_stays_as_it_is() {
    let mut window = Window::new(100);
    for turn in 0..9 {
        assert_eq!(window.room(0, at(turn)), 16);
        window.order(3, false, at(turn));
    }
}

proptest! {
    #![proptest_config(config())]

    /// Whoever wants what: no more than there is, nothing left that somebody could use, a lower priority only behind a higher one,
    /// and no namespace of a priority ahead of one that still wants.
    #[test]
    fn room_is_shared_by_priority_and_evenly_among_namespaces(
        runs in prop::collection::vec((0..4_u8, -1..2_i32, 0..20_usize), 1..12),
        in_flight in prop::collection::btree_map(0..4_u8, 0..20_usize, 0..4),
        room in 0..60_usize,
    ) {
        let name = |number: u8| ["a", "b", "c", "d"][usize::from(number)];
        let runs: Vec<_> = runs.into_iter().map(|(of, priority, ready)| (name(of), priority, ready)).collect();
        let mut crowd = Crowd::of(&runs);
        crowd.in_flight = in_flight.into_iter().map(|(of, count)| (name(of).into(), count)).collect();
        let got = crowd.share_once(room);
        let left = room - got.iter().sum::<usize>();
        let wants = |run: usize| crowd.ready[run] > 0;
        let all = 0..runs.len();
        prop_assert!(left == 0 || !all.clone().any(wants));
        for one in all.clone().filter(|one| got[*one] > 0) {
            for other in all.clone().filter(|other| wants(*other)) {
                let [(_, mine, _), (_, its, _)] = [runs[one], runs[other]];
                prop_assert!(mine >= its, "{one} started before {other}");
            }
        }
        // Of the lowest priority that got anything: the only one that may be short.
        let lowest = all.clone().filter(|run| got[*run] > 0).map(|run| runs[run].1).min();
        let mut per_namespace: BTreeMap<&str, (usize, bool)> = BTreeMap::new();
        for run in all.filter(|run| Some(runs[*run].1) == lowest) {
            let entry = per_namespace.entry(runs[run].0).or_default();
            entry.0 += got[run];
            entry.1 |= wants(run);
        }
        let has = |name: &str| crowd.in_flight.get(name).copied().unwrap_or(0);
        for (ahead, (got, _)) in &per_namespace {
            for (behind, (_, wants)) in &per_namespace {
                prop_assert!(*got == 0 || !wants || has(ahead) <= has(behind) + 1, "{ahead} and {behind}");
            }
        }
    }
}
