//! Named limits: held against a model of plain lists that looks at everybody each time.

use std::{num::NonZeroU32, sync::Arc};

use proptest::prelude::*;
use windlass_engine::{
    limits::{LimitConfig, Limits, Rate, Standing},
    time::Timestamp,
};

use super::properties::config;

/// How many limits there are, and how many want them.
const LIMITS: usize = 4;
const HOLDERS: u8 = 12;

/// More than there ever are.
const ALL: usize = 100;

const NOBODY: [u8; 0] = [];

fn name(limit: usize) -> Arc<str> {
    format!("limit-{limit}").into()
}

fn names(limits: &[usize]) -> Arc<[Arc<str>]> {
    limits.iter().copied().map(name).collect()
}

/// Any number at once where the size is 0, and at any rate where there are no starts.
fn rules(size: u32, starts: u32, period_ms: u64) -> LimitConfig {
    let rate = NonZeroU32::new(starts).map(|starts| Rate { starts, period_ms });
    LimitConfig { size: NonZeroU32::new(size), rate }
}

#[derive(Debug, Clone)]
enum Move {
    Ask(u8, Vec<usize>),
    Assert(u8, Vec<usize>),
    Release(u8),
    Configure(usize, Option<LimitConfig>),
    /// So many milliseconds pass.
    Wait(u64),
}

fn some_limits() -> impl Strategy<Value = Vec<usize>> {
    prop::sample::subsequence((0..LIMITS).collect::<Vec<_>>(), 1..=LIMITS)
}

fn some_rules() -> impl Strategy<Value = LimitConfig> {
    (0..4_u32, 0..4_u32, 1..30_u64).prop_map(|(size, starts, period)| rules(size, starts, period))
}

/// What a scheduler does to limits that stay as they are.
fn plain_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0..HOLDERS, some_limits()).prop_map(|(holder, limits)| Move::Ask(holder, limits)),
        3 => (0..HOLDERS).prop_map(Move::Release),
        2 => (0..20_u64).prop_map(Move::Wait),
    ]
}

fn any_move() -> impl Strategy<Value = Move> {
    let rules = prop::option::weighted(0.8, some_rules());
    prop_oneof![
        9 => plain_move(),
        1 => (0..HOLDERS, some_limits()).prop_map(|(holder, limits)| Move::Assert(holder, limits)),
        1 => (0..LIMITS, rules).prop_map(|(limit, rules)| Move::Configure(limit, rules)),
    ]
}

/// The same in lists.
#[derive(Debug, Default)]
struct Model {
    now: u64,
    /// In the order of arrival, and of grant.
    waiting: Vec<(u8, Vec<usize>)>,
    holding: Vec<(u8, Vec<usize>)>,
    configs: [Option<LimitConfig>; LIMITS],
    /// All starts that counted ever.
    starts: [Vec<u64>; LIMITS],
}

impl Model {
    fn knows(list: &[(u8, Vec<usize>)], holder: u8) -> bool {
        list.iter().any(|(other, _)| *other == holder)
    }

    fn standing(&self, holder: u8) -> Option<Standing> {
        let waits = || Self::knows(&self.waiting, holder).then_some(Standing::Waits);
        Self::knows(&self.holding, holder).then_some(Standing::Holds).or_else(waits)
    }

    fn go(&mut self, it: &Move) {
        match it {
            Move::Ask(holder, limits) if self.standing(*holder).is_none() => {
                self.waiting.push((*holder, limits.clone()));
            }
            Move::Assert(holder, limits) if self.standing(*holder) != Some(Standing::Holds) => {
                self.waiting.retain(|(other, _)| other != holder);
                self.holding.push((*holder, limits.clone()));
            }
            Move::Ask(..) | Move::Assert(..) => {}
            Move::Release(holder) => {
                self.waiting.retain(|(other, _)| other != holder);
                self.holding.retain(|(other, _)| other != holder);
            }
            Move::Configure(limit, config) => {
                let counted = self.counted(*limit, self.now);
                let has_rate = config.is_some_and(|config| config.rate.is_some());
                self.starts[*limit] = if has_rate { counted } else { Vec::new() };
                self.configs[*limit] = *config;
            }
            Move::Wait(time) => self.now += time,
        }
    }

    fn held(&self, limit: usize) -> usize {
        self.holding.iter().filter(|(_, limits)| limits.contains(&limit)).count()
    }

    /// The starts that count at this time.
    fn counted(&self, limit: usize, now: u64) -> Vec<u64> {
        let Some(Rate { period_ms, .. }) = self.configs[limit].unwrap_or_default().rate else {
            return Vec::new();
        };
        self.starts[limit].iter().copied().filter(|start| start + period_ms > now).collect()
    }

    /// Whether the n-th waiter may start, if it is this late.
    fn may_start(&self, place: usize, now: u64) -> bool {
        let is_free = |limit: &usize| {
            let LimitConfig { size, rate } = self.configs[*limit].unwrap_or_default();
            let is_first = self.waiting[..place].iter().all(|(_, others)| !others.contains(limit));
            let has_room = size.is_none_or(|size| self.held(*limit) < size.get() as usize);
            let has_start =
                rate.is_none_or(|it| self.counted(*limit, now).len() < it.starts.get() as usize);
            is_first && has_room && has_start
        };
        self.waiting[place].1.iter().all(is_free)
    }

    fn grant(&mut self, most: usize) -> Vec<u8> {
        let mut granted = Vec::new();
        while granted.len() < most
            && let Some(place) =
                (0..self.waiting.len()).find(|place| self.may_start(*place, self.now))
        {
            let (holder, limits) = self.waiting.remove(place);
            for limit in &limits {
                if self.configs[*limit].is_some_and(|config| config.rate.is_some()) {
                    self.starts[*limit].push(self.now);
                }
            }
            self.holding.push((holder, limits));
            granted.push(holder);
        }
        granted
    }

    /// When somebody may start if only time goes on: no sooner than a start stops to count.
    fn next_at(&self) -> Option<u64> {
        let ends = |limit: usize| {
            let period = self.configs[limit].unwrap_or_default().rate.map_or(0, |it| it.period_ms);
            self.starts[limit].iter().map(move |start| start + period)
        };
        let mut times: Vec<_> = (0..LIMITS).flat_map(ends).filter(|at| *at > self.now).collect();
        times.sort_unstable();
        let starts = |at: &u64| (0..self.waiting.len()).any(|place| self.may_start(place, *at));
        times.into_iter().find(starts)
    }
}

/// Does the same to the engine, and holds its answer against what it was before.
fn go(limits: &mut Limits<u8>, it: &Move, now: u64) {
    match it {
        Move::Ask(holder, wanted) => {
            let before = limits.standing(holder);
            assert_eq!(limits.ask(holder, &names(wanted)), before);
        }
        Move::Assert(holder, held) => {
            let before = limits.standing(holder);
            assert_eq!(limits.assert(holder, &names(held)), before != Some(Standing::Holds));
        }
        Move::Release(holder) => {
            let before = limits.standing(holder);
            assert_eq!(limits.release(holder), before);
        }
        Move::Configure(limit, config) => limits.configure(&name(*limit), *config, Timestamp(now)),
        Move::Wait(_) => {}
    }
}

fn assert_same(limits: &Limits<u8>, model: &Model) {
    for limit in 0..LIMITS {
        let of = |list: &[(u8, Vec<usize>)]| -> Vec<u8> {
            let named = list.iter().filter(|(_, limits)| limits.contains(&limit));
            named.map(|(holder, _)| *holder).collect()
        };
        let (held, waiting) = (of(&model.holding), of(&model.waiting));
        assert_eq!(limits.holders(&name(limit)).copied().collect::<Vec<_>>(), held);
        assert_eq!(limits.waiters(&name(limit)).copied().collect::<Vec<_>>(), waiting);
        assert_eq!(limits.config(&name(limit)), model.configs[limit]);
        let is_known = model.configs[limit].is_some() || !held.is_empty() || !waiting.is_empty();
        let state = limits.states().find(|state| *state.name == name(limit));
        let counts = state.map(|state| (state.config, state.held, state.waiting));
        let expected = is_known.then_some((model.configs[limit], held.len(), waiting.len()));
        assert_eq!(counts, expected);
    }
    for holder in 0..HOLDERS {
        assert_eq!(limits.standing(&holder), model.standing(holder));
        let place = model.waiting.iter().position(|(other, _)| *other == holder);
        let places = place.map_or(Vec::new(), |place| {
            let before = |limit: &usize| {
                model.waiting[..place].iter().filter(|(_, others)| others.contains(limit)).count()
            };
            model.waiting[place].1.iter().map(|limit| (name(*limit), before(limit))).collect()
        });
        assert_eq!(limits.places(&holder), places);
    }
    let standings = (0..HOLDERS).filter_map(|it| Some((it, model.standing(it)?)));
    let entries = limits.entries(..).map(|(holder, standing)| (*holder, standing));
    assert!(entries.eq(standings), "all entries are told");
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn limits_grant_what_a_look_at_everybody_would_grant(
        moves in prop::collection::vec((any_move(), prop::option::weighted(0.2, 0..3_usize)), 0..120),
    ) {
        let (mut limits, mut model) = (Limits::default(), Model::default());
        for (it, most) in moves {
            go(&mut limits, &it, model.now);
            model.go(&it);
            let most = most.unwrap_or(ALL);
            let granted = limits.grant(Timestamp(model.now), most);
            prop_assert_eq!(&granted, &model.grant(most), "{:?}", it);
            assert_same(&limits, &model);
            if granted.len() < most {
                prop_assert_eq!(limits.next_at(), model.next_at().map(Timestamp), "{:?}", it);
            }
        }
        limits.grant(Timestamp(model.now), ALL);
        model.grant(ALL);
        assert_same(&limits, &model);
    }

    /// What is promised to users, seen from outside, of limits that nobody changes.
    #[test]
    fn no_size_and_no_rate_is_ever_exceeded_and_nobody_is_overtaken(
        configs in prop::collection::vec(some_rules(), LIMITS),
        moves in prop::collection::vec(plain_move(), 0..150),
    ) {
        let mut limits = Limits::default();
        for (limit, config) in configs.iter().enumerate() {
            limits.configure(&name(limit), Some(*config), Timestamp(0));
        }
        // When each grant was; and the arrivals of who asked, by limit.
        let mut now = 0;
        let mut starts = vec![Vec::new(); LIMITS];
        let mut arrivals = vec![Vec::new(); LIMITS];
        for it in moves {
            match &it {
                Move::Wait(time) => now += time,
                Move::Ask(holder, wanted) if limits.standing(holder).is_none() => {
                    for limit in wanted {
                        arrivals[*limit].push(*holder);
                    }
                }
                Move::Release(holder) => {
                    for waiting in &mut arrivals {
                        waiting.retain(|it| it != holder);
                    }
                }
                _ => {}
            }
            go(&mut limits, &it, now);
            for holder in limits.grant(Timestamp(now), ALL) {
                for limit in 0..LIMITS {
                    if limits.holders(&name(limit)).any(|it| *it == holder) {
                        prop_assert_eq!(arrivals[limit].remove(0), holder, "it was the first");
                        starts[limit].push(now);
                    }
                }
                let held = (0..LIMITS).filter(|it| limits.holders(&name(*it)).any(|it| *it == holder));
                let held: Vec<_> = held.map(name).collect();
                prop_assert_eq!(Some(&held[..]), limits.limits_of(&holder).map(|it| &it[..]), "all or none");
            }
            for (limit, config) in configs.iter().enumerate() {
                let held = limits.holders(&name(limit)).count();
                prop_assert!(config.size.is_none_or(|size| held <= size.get() as usize));
            }
        }
        for (config, starts) in configs.iter().zip(starts) {
            let Some(Rate { starts: most, period_ms }) = config.rate else { continue };
            for (first, next) in starts.iter().zip(starts.iter().skip(most.get() as usize)) {
                prop_assert!(next - first >= period_ms, "{} starts from {} to {}", most.get() + 1, first, next);
            }
        }
    }
}

fn wanting(limits: &mut Limits<u8>, holder: u8, wanted: &[usize]) -> Vec<u8> {
    assert_eq!(limits.ask(&holder, &names(wanted)), None);
    limits.grant(Timestamp(0), ALL)
}

#[test]
fn a_limit_that_nobody_has_configured_has_one_holder_at_a_time() {
    let mut limits = Limits::default();
    assert_eq!(wanting(&mut limits, 1, &[0]), [1]);
    assert_eq!(wanting(&mut limits, 2, &[0]), NOBODY);
    assert_eq!(limits.release(&1), Some(Standing::Holds));
    assert_eq!(limits.grant(Timestamp(0), ALL), [2]);
    assert_eq!((limits.release(&2), limits.release(&2)), (Some(Standing::Holds), None));
    assert!(limits.is_empty(), "nothing is left of it");
}

#[test]
fn who_waits_for_two_limits_is_not_overtaken_at_the_one_that_is_free() {
    let mut limits = Limits::default();
    assert_eq!(wanting(&mut limits, 1, &[0]), [1]);
    assert_eq!(wanting(&mut limits, 2, &[0, 1]), NOBODY);
    assert_eq!(wanting(&mut limits, 3, &[1]), NOBODY);
    assert_eq!(limits.places(&3), [(name(1), 1)]);
    limits.release(&1);
    assert_eq!(limits.grant(Timestamp(0), ALL), [2]);
    limits.release(&2);
    assert_eq!(limits.grant(Timestamp(0), ALL), [3]);
}

#[test]
fn a_rate_counts_a_start_until_its_period_has_passed_and_no_assertion() {
    let mut limits = Limits::default();
    limits.configure(&name(0), Some(rules(0, 2, 100)), Timestamp(0));
    limits.assert(&9, &names(&[0]));
    let start = |limits: &mut Limits<u8>, holder, now| {
        limits.ask(&holder, &names(&[0]));
        (limits.grant(Timestamp(now), ALL), limits.next_at().map(|at| at.0))
    };
    assert_eq!(start(&mut limits, 1, 10), (vec![1], None));
    assert_eq!(start(&mut limits, 2, 60), (vec![2], None));
    assert_eq!(start(&mut limits, 3, 60), (vec![], Some(110)));
    assert_eq!(start(&mut limits, 4, 109), (vec![], Some(110)));
    assert_eq!(start(&mut limits, 5, 110), (vec![3], Some(160)));
    limits.configure(&name(0), Some(rules(0, 3, 100)), Timestamp(111));
    assert_eq!(limits.grant(Timestamp(111), ALL), [4], "with the two starts of before");
    limits.configure(&name(0), Some(rules(0, 0, 0)), Timestamp(112));
    assert_eq!(limits.grant(Timestamp(112), ALL), [5]);
}

#[test]
fn starts_of_earlier_times_count_when_they_are_brought_back() {
    let mut limits = Limits::<u8>::default();
    limits.configure(&name(0), Some(rules(0, 1, 100)), Timestamp(0));
    limits.count_start(&name(0), Timestamp(50));
    limits.ask(&1, &names(&[0]));
    assert_eq!(limits.grant(Timestamp(60), ALL), NOBODY);
    assert_eq!(limits.next_at(), Some(Timestamp(150)));
    assert_eq!(limits.grant(Timestamp(150), ALL), [1]);
}

#[test]
fn of_more_than_may_be_granted_at_once_the_first_come_first() {
    let mut limits = Limits::default();
    limits.configure(&name(0), Some(rules(0, 0, 0)), Timestamp(0));
    for holder in 0..5 {
        limits.ask(&holder, &names(&[0]));
    }
    assert_eq!(limits.grant(Timestamp(7), 3), [0, 1, 2]);
    assert_eq!(limits.next_at(), Some(Timestamp(7)), "there is more");
    assert_eq!(limits.grant(Timestamp(7), 3), [3, 4]);
    assert_eq!(limits.next_at(), None);
}
