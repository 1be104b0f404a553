//! Named limits.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, time::Duration};

use windlass_engine::{
    limits::{LimitConfig, Limits, PERIOD_MS_MAX, Rate},
    record::StepIndex,
    time::Timestamp,
};

use super::fixture::run_id;
use crate::{
    GRANTS_AT_ONCE, Holder, LimitAnswer, LimitAsk, LimitRequest, LimitView, Store, StoreError,
    limit,
};

fn holder(run: u32, step: u32) -> Holder {
    Holder { run: run_id(run), step: StepIndex(step), attempt: 1 + step % 2 }
}

fn ask(holder: Holder, limits: &[&str]) -> LimitAsk {
    LimitAsk { holder, limits: limits.iter().map(|name| Arc::from(*name)).collect() }
}

fn asks(asks: &[LimitAsk]) -> LimitRequest {
    LimitRequest { asks: asks.to_vec(), ..LimitRequest::default() }
}

fn holds(holds: &[LimitAsk]) -> LimitRequest {
    LimitRequest { holds: holds.to_vec(), ..LimitRequest::default() }
}

fn releases(releases: &[Holder]) -> LimitRequest {
    LimitRequest { releases: releases.to_vec(), ..LimitRequest::default() }
}

/// Any number at once where the size is 0, and at any rate where there are no starts.
fn rules(size: u32, starts: u32, period_ms: u64) -> LimitConfig {
    let rate = NonZeroU32::new(starts).map(|starts| Rate { starts, period_ms });
    LimitConfig { size: NonZeroU32::new(size), rate }
}

#[expect(clippy::unnecessary_wraps, reason = "as a store answers")]
fn granted(holders: &[Holder]) -> Result<LimitAnswer, StoreError> {
    Ok(LimitAnswer { granted: holders.to_vec(), next_at: None })
}

fn view(name: &str, config: Option<LimitConfig>, held: u32, waiting: u32) -> LimitView {
    LimitView { name: name.into(), config, held, waiting }
}

/// Of nothing there is nothing to be read, and an empty request makes nothing.
pub async fn nothing_is_held_where_nobody_has_asked(store: Arc<dyn Store>) {
    assert_eq!(store.take_limits("team", &LimitRequest::default()).await, granted(&[]));
    assert_eq!(store.take_limits("team", &releases(&[holder(1, 1)])).await, granted(&[]));
    assert_eq!(store.set_limit("team", "gpu", None).await, granted(&[]));
    assert_eq!(store.read_limits("team").await, Ok(Vec::new()));
    assert_eq!(store.read_holders("team", "gpu", 10).await, Ok(Vec::new()));
    assert_eq!(store.read_places("team", holder(1, 1)).await, Ok(Vec::new()));
    assert_eq!(store.limited_runs("team").await, Ok(Vec::new()));
    assert_eq!(store.read_limited("team", run_id(1)).await, Ok(Vec::new()));
}

/// One holder at a time and in the order of arrival, where nothing is configured; and in each namespace for itself.
pub async fn a_limit_that_nobody_has_configured_is_held_by_one(store: Arc<dyn Store>) {
    let [first, second, third] = [holder(2, 0), holder(1, 7), holder(1, 3)];
    let all = asks(&[first, second, third].map(|holder| ask(holder, &["gpu"])));
    assert_eq!(store.take_limits("team", &all).await, granted(&[first]));
    assert_eq!(store.take_limits("team", &all).await, granted(&[first]), "it holds it");
    assert_eq!(store.take_limits("others", &all).await, granted(&[first]));
    assert_eq!(store.read_limits("team").await, Ok(vec![view("gpu", None, 1, 2)]));
    assert_eq!(store.read_holders("team", "gpu", 10).await, Ok(vec![first]));
    assert_eq!(store.read_places("team", first).await, Ok(Vec::new()), "it does not wait");
    assert_eq!(store.read_places("team", third).await, Ok(vec![("gpu".into(), 1)]));
    let namespaces = store.limited_namespaces().await.expect("read");
    assert!(["team", "others"].iter().all(|it| namespaces.contains(&(*it).to_owned())));
    assert_eq!(store.limited_runs("team").await, Ok(vec![run_id(1), run_id(2)]));
    let of_run = vec![(third, false), (second, false)];
    assert_eq!(store.read_limited("team", run_id(1)).await, Ok(of_run));
    assert_eq!(store.read_limited("team", run_id(2)).await, Ok(vec![(first, true)]));

    assert_eq!(store.take_limits("team", &releases(&[second])).await, granted(&[]));
    assert_eq!(store.read_places("team", third).await, Ok(vec![("gpu".into(), 0)]));
    assert_eq!(store.take_limits("team", &releases(&[first])).await, granted(&[third]));
    assert_eq!(store.take_limits("team", &releases(&[third, third])).await, granted(&[]));
    assert_eq!(store.read_limits("team").await, Ok(Vec::new()), "nothing is left");
    assert_eq!(store.limited_runs("team").await, Ok(Vec::new()));
    assert_eq!(store.read_limits("others").await, Ok(vec![view("gpu", None, 1, 2)]));
}

/// All or none; and whoever waits for several is not overtaken at one of them.
pub async fn limits_are_taken_together_and_in_turn(store: Arc<dyn Store>) {
    // One name begins with another one.
    let (a, ab, b) = ("a", "ab", "b");
    let [one, two, three, four] = [1, 2, 3, 4].map(|step| holder(1, step));
    let first = asks(&[ask(one, &[a]), ask(two, &[a, ab]), ask(three, &[ab, b]), ask(four, &[b])]);
    assert_eq!(store.take_limits("team", &first).await, granted(&[one]));
    let expected = vec![view(a, None, 1, 1), view(ab, None, 0, 2), view(b, None, 0, 2)];
    assert_eq!(store.read_limits("team").await, Ok(expected));
    assert_eq!(store.read_places("team", three).await, Ok(vec![(ab.into(), 1), (b.into(), 0)]));
    // Whoever asks for something else keeps what it asked for first.
    assert_eq!(store.take_limits("team", &asks(&[ask(four, &["z"])])).await, granted(&[]));
    assert_eq!(store.take_limits("team", &releases(&[one])).await, granted(&[two]));
    assert_eq!(store.take_limits("team", &releases(&[two])).await, granted(&[three]));
    assert_eq!(store.read_holders("team", ab, 10).await, Ok(vec![three]));
    assert_eq!(store.read_holders("team", b, 10).await, Ok(vec![three]));
    // Released and asked for again in one call: it is behind who waited.
    let again = LimitRequest { asks: vec![ask(three, &[b])], ..releases(&[three]) };
    assert_eq!(store.take_limits("team", &again).await, granted(&[four]));
    assert_eq!(store.read_places("team", three).await, Ok(vec![(b.into(), 0)]));
}

/// More places are filled at once; fewer are waited for.
pub async fn the_size_of_a_limit_can_be_changed(store: Arc<dyn Store>) {
    let holders: Vec<_> = (0..6).map(|step| holder(1, step)).collect();
    let all: Vec<_> = holders.iter().map(|holder| ask(*holder, &["gpu"])).collect();
    assert_eq!(store.set_limit("team", "gpu", Some(rules(2, 0, 0))).await, granted(&[]));
    assert_eq!(store.take_limits("team", &asks(&all)).await, granted(&holders[..2]));
    assert_eq!(store.set_limit("team", "gpu", Some(rules(4, 0, 0))).await, granted(&holders[2..4]));
    let views = store.read_limits("team").await;
    assert_eq!(views, Ok(vec![view("gpu", Some(rules(4, 0, 0)), 4, 2)]));
    assert_eq!(store.read_holders("team", "gpu", 3).await, Ok(holders[..3].to_vec()));
    assert_eq!(store.set_limit("team", "gpu", None).await, granted(&[]));
    assert_eq!(store.take_limits("team", &releases(&holders[..3])).await, granted(&[]));
    assert_eq!(store.take_limits("team", &releases(&holders[3..4])).await, granted(&holders[4..5]));
    let any = store.set_limit("team", "gpu", Some(rules(0, 0, 0))).await;
    assert_eq!(any, granted(&holders[5..]), "any number");
    assert_eq!(store.take_limits("team", &releases(&holders)).await, granted(&[]));
    let views = store.read_limits("team").await;
    assert_eq!(views, Ok(vec![view("gpu", Some(rules(0, 0, 0)), 0, 0)]), "it is configured");
}

/// As after a store that went back: who is known to hold something holds it, also where there is no room, and whoever waits
/// for it waits until enough have gone.
pub async fn who_is_known_to_hold_a_limit_holds_it(store: Arc<dyn Store>) {
    let [one, two, three] = [1, 2, 3].map(|step| holder(1, step));
    let waits = asks(&[ask(three, &["cpu", "gpu"])]);
    let known = holds(&[ask(one, &["gpu"]), ask(two, &["gpu"]), ask(one, &["cpu"])]);
    assert_eq!(store.take_limits("team", &known).await, granted(&[]));
    assert_eq!(store.take_limits("team", &waits).await, granted(&[]));
    let views = vec![view("cpu", None, 0, 1), view("gpu", None, 2, 1)];
    assert_eq!(store.read_limits("team").await, Ok(views));
    assert_eq!(store.take_limits("team", &releases(&[two])).await, granted(&[]));
    // One that waits, and was granted what it waits for by a store that forgot it.
    let known = holds(&[ask(three, &["cpu", "gpu"])]);
    assert_eq!(store.take_limits("team", &known).await, granted(&[]));
    let views = vec![view("cpu", None, 1, 0), view("gpu", None, 2, 0)];
    assert_eq!(store.read_limits("team").await, Ok(views));
    assert_eq!(store.read_holders("team", "gpu", 9).await, Ok(vec![one, three]));
    // All in one call, in its order.
    let all = LimitRequest {
        holds: vec![ask(two, &["gpu"])],
        releases: vec![one, two, three],
        asks: vec![ask(two, &["gpu"])],
    };
    assert_eq!(store.take_limits("team", &all).await, granted(&[two]));
}

/// A rate of starts holds back who is first until its period has passed, and the store says when that is.
pub async fn a_rate_lets_no_more_start_than_it_says(store: Arc<dyn Store>) {
    const PERIOD_MS: u64 = 400;
    let rate = Some(rules(0, 2, PERIOD_MS));
    assert_eq!(store.set_limit("team", "mail", rate).await, granted(&[]));
    let holders: Vec<_> = (0..5).map(|step| holder(1, step)).collect();
    let all: Vec<_> = holders.iter().map(|holder| ask(*holder, &["mail"])).collect();
    // Who is known to have started is not counted.
    let known = holds(&[ask(holder(2, 0), &["mail"])]);
    assert_eq!(store.take_limits("team", &known).await, granted(&[]));

    let mut request = asks(&all);
    let (mut started, mut times) = (Vec::new(), Vec::new());
    while started.len() < holders.len() {
        let before = store.now().await.expect("a time");
        let answer = store.take_limits("team", &request).await.expect("answered");
        let after = store.now().await.expect("a time");
        assert!(answer.granted.len() <= 2, "{answer:?}");
        times.extend(answer.granted.iter().map(|_| (before, after)));
        started.extend(answer.granted);
        request = LimitRequest::default();
        if started.len() < holders.len() {
            let next_at = answer.next_at.expect("time helps");
            let (earliest, latest) = times[times.len() - 2];
            assert!(next_at >= earliest.plus(PERIOD_MS) && next_at <= latest.plus(PERIOD_MS));
            let left = next_at.since(store.now().await.expect("a time"));
            tokio::time::sleep(Duration::from_millis(left)).await;
        } else {
            assert_eq!(answer.next_at, None, "nobody waits");
        }
    }
    assert_eq!(started, holders);
    for (first, third) in times.iter().zip(&times[2..]) {
        assert!(third.1 >= first.0.plus(PERIOD_MS), "{times:?}");
    }
    // Without a rate, nobody waits for it.
    let last = asks(&[ask(holder(3, 1), &["mail"]), ask(holder(3, 2), &["mail"])]);
    let rate = Some(rules(0, 1, PERIOD_MS_MAX));
    assert_eq!(store.set_limit("team", "mail", rate).await, granted(&[]));
    let answer = store.take_limits("team", &last).await.expect("answered");
    assert_eq!((answer.granted.as_slice(), answer.next_at.is_some()), (&[][..], true));
    let all = store.set_limit("team", "mail", Some(rules(0, 0, 0))).await;
    assert_eq!(all, granted(&[holder(3, 1), holder(3, 2)]));
}

/// A call that could grant more than is granted at once says so.
pub async fn of_very_many_who_wait_the_first_come_first(store: Arc<dyn Store>) {
    let count = u32::try_from(GRANTS_AT_ONCE).expect("few") + 500;
    let holders: Vec<_> = (0..count).map(|step| holder(1 + step / 700, step)).collect();
    let all: Vec<_> = holders.iter().map(|holder| ask(*holder, &["cpu", "gpu"])).collect();
    assert_eq!(store.set_limit("team", "cpu", Some(rules(0, 0, 0))).await, granted(&[]));
    assert_eq!(store.take_limits("team", &asks(&all)).await, granted(&holders[..1]));
    assert_eq!(store.read_places("team", holders[count as usize - 1]).await, {
        let before = count - 2;
        Ok(vec![("cpu".into(), before), ("gpu".into(), before)])
    });
    let many = store.set_limit("team", "gpu", Some(rules(count, 0, 0))).await.expect("set");
    assert_eq!(many.granted, holders[1..=GRANTS_AT_ONCE]);
    assert!(many.next_at.expect("now") <= store.now().await.expect("a time"));
    let rest = store.take_limits("team", &LimitRequest::default()).await;
    assert_eq!(rest, granted(&holders[1 + GRANTS_AT_ONCE..]));
    assert_eq!(store.read_holders("team", "gpu", holders.len()).await, Ok(holders.clone()));
    let runs = (1..=1 + (count - 1) / 700).map(run_id).collect();
    assert_eq!(store.limited_runs("team").await, Ok(runs));
    let of_first = holders[..700].iter().map(|holder| (*holder, true)).collect();
    assert_eq!(store.read_limited("team", run_id(1)).await, Ok(of_first));
    assert_eq!(store.take_limits("team", &releases(&holders)).await, granted(&[]));
    assert_eq!(store.limited_runs("team").await, Ok(Vec::new()));
}

/// However many ask at once, places are given to as many as there are, and each is told of once to somebody.
pub async fn of_those_who_race_for_a_limit_as_many_have_it_as_it_allows(store: Arc<dyn Store>) {
    const RACERS: u32 = 8;
    const EACH: u32 = 20;
    store.set_limit("team", "gpu", Some(rules(3, 0, 0))).await.expect("set");
    let racers: Vec<_> = (0..RACERS)
        .map(|racer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut told = Vec::new();
                for step in 0..EACH {
                    let request = asks(&[ask(holder(racer, step), &["gpu"])]);
                    let answer = store.take_limits("team", &request).await.expect("answered");
                    let done = releases(&answer.granted);
                    told.extend(answer.granted);
                    told.extend(store.take_limits("team", &done).await.expect("answered").granted);
                    let views = store.read_limits("team").await.expect("read");
                    assert!(views[0].held <= 3, "{views:?}");
                }
                told
            })
        })
        .collect();
    let mut told = Vec::new();
    for racer in racers {
        told.extend(racer.await.expect("it does not panic"));
    }
    // Those who were told of by releases, and their successors.
    loop {
        let held = store.read_holders("team", "gpu", 10).await.expect("read");
        if held.is_empty() {
            break;
        }
        assert!(held.iter().all(|holder| told.contains(holder)), "{held:?} were told of");
        let next = store.take_limits("team", &releases(&held)).await.expect("answered");
        told.extend(next.granted);
    }
    let each: BTreeSet<_> = told.iter().copied().collect();
    assert_eq!((told.len(), each.len()), ((RACERS * EACH) as usize, (RACERS * EACH) as usize));
}

/// The same numbers each time: a linear congruential generator.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) % u64::from(bound)) as u32
    }

    fn holder(&mut self) -> Holder {
        holder(self.below(5), self.below(8))
    }

    fn ask(&mut self) -> LimitAsk {
        let mut names: Vec<&str> =
            ["a", "ab", "b", "long-name"].into_iter().filter(|_| self.below(3) == 0).collect();
        if names.is_empty() {
            names.push("b");
        }
        ask(self.holder(), &names)
    }

    fn request(&mut self) -> LimitRequest {
        let [holds, releases, asks] = [2, 6, 6].map(|bound| self.below(bound));
        LimitRequest {
            holds: (0..holds).map(|_| self.ask()).collect(),
            releases: (0..releases).map(|_| self.holder()).collect(),
            asks: (0..asks).map(|_| self.ask()).collect(),
        }
    }

    /// A rate lets all start that it ever lets start: how long it takes is of no account.
    fn rules(&mut self) -> Option<LimitConfig> {
        let starts = if self.below(2) == 0 { 1 + self.below(6) } else { 0 };
        (self.below(4) > 0).then(|| rules(self.below(5), starts, PERIOD_MS_MAX))
    }
}

/// Whatever is asked for, a store answers as the engine does.
pub async fn limits_are_granted_as_the_engine_grants_them(store: Arc<dyn Store>) {
    let (mut draws, mut engine) = (Draws(20), Limits::default());
    for turn in 0..800 {
        let now = Timestamp(0);
        let (answer, expected) = if draws.below(20) == 0 {
            let (name, rules) = (["a", "ab", "b"][draws.below(3) as usize], draws.rules());
            let answer = store.set_limit("team", name, rules).await;
            (answer, limit::configure(&mut engine, name, rules, now).0)
        } else {
            let request = draws.request();
            let answer = store.take_limits("team", &request).await;
            (answer, limit::take(&mut engine, &request, now).0)
        };
        let answer = answer.expect("answered");
        assert_eq!(answer.granted, expected.granted, "turn {turn}");
        assert_eq!(answer.next_at.is_some(), expected.next_at.is_some(), "turn {turn}");
        if turn % 10 == 0 {
            assert_eq!(store.read_limits("team").await, Ok(limit::views(&engine)));
            assert_eq!(store.limited_runs("team").await, Ok(limit::runs(&engine)));
            for run in (0..5).map(run_id) {
                let of_run = limit::read_run(&engine, run);
                assert_eq!(store.read_limited("team", run).await, Ok(of_run.clone()));
                for (holder, _) in of_run {
                    let places = limit::places(&engine, &holder);
                    assert_eq!(store.read_places("team", holder).await, Ok(places));
                }
            }
            for name in ["a", "ab", "b", "long-name"] {
                let held: Vec<_> = engine.holders(name).copied().collect();
                assert_eq!(store.read_holders("team", name, 100).await, Ok(held));
            }
        }
    }
}
