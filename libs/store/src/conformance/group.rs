//! What replicas share: the number of partitions, and leases.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{Installation, ShareRequest, Shares, Store};

/// Longer than any test.
const LONG: Duration = Duration::from_hours(1);

/// How long to wait for something that comes by itself.
const LIMIT: Duration = Duration::from_secs(20);

fn request(member: &str, acquire: impl IntoIterator<Item = u32>) -> ShareRequest {
    ShareRequest {
        group: "schedulers".into(),
        member: member.into(),
        leaving: false,
        ttl: LONG,
        acquire: acquire.into_iter().collect(),
        release: Vec::new(),
    }
}

async fn share(store: &dyn Store, request: &ShareRequest) -> Shares {
    store.share(request).await.expect("shared")
}

fn shares<const M: usize, const L: usize>(members: [&str; M], leases: [(u32, &str); L]) -> Shares {
    Shares {
        members: members.map(Into::into).into(),
        leases: leases.map(|(lease, member)| (lease, member.into())).into(),
    }
}

/// What was offered first is recorded, and the store has one life as long as nothing happens to it.
pub async fn an_installation_keeps_its_first_number_of_partitions(store: Arc<dyn Store>) {
    let first = Installation::new(16);
    assert_eq!(store.install(first.clone()).await, Ok(first.clone()));
    assert_eq!(store.install(Installation::new(32)).await, Ok(first.clone()));
    assert_eq!(store.install(Installation::new(16)).await, Ok(first));
    let incarnation = store.incarnation().await.expect("known");
    assert!(!incarnation.0.is_empty());
    assert_eq!(store.incarnation().await, Ok(incarnation));
}

/// A lease that is held is not given to anybody else before it is released, and groups do not know of each other.
pub async fn a_lease_is_held_by_one_until_it_is_released(store: Arc<dyn Store>) {
    let of_one = share(&*store, &request("one", [3, 1, 3])).await;
    assert_eq!(of_one, shares(["one"], [(1, "one"), (3, "one")]));
    let of_two = share(&*store, &request("two", [1, 2])).await;
    assert_eq!(of_two, shares(["one", "two"], [(1, "one"), (2, "two"), (3, "one")]));
    let mut exchange = request("one", [2]);
    exchange.release = vec![1, 2, 9];
    let of_one = share(&*store, &exchange).await;
    assert_eq!(of_one, shares(["one", "two"], [(2, "two"), (3, "one")]), "2 is not its own");
    let of_two = share(&*store, &request("two", [1])).await;
    assert_eq!(of_two, shares(["one", "two"], [(1, "two"), (2, "two"), (3, "one")]));
    let mut elsewhere = request("two", [3]);
    elsewhere.group = "launchers".into();
    assert_eq!(share(&*store, &elsewhere).await, shares(["two"], [(3, "two")]));
}

/// Who is leaving does not count, gets nothing, and keeps what it has not released yet.
pub async fn a_member_leaves_step_by_step(store: Arc<dyn Store>) {
    share(&*store, &request("one", [1, 2])).await;
    share(&*store, &request("two", [])).await;
    let mut leaving = ShareRequest { leaving: true, ..request("one", [5]) };
    assert_eq!(share(&*store, &leaving).await, shares(["two"], [(1, "one"), (2, "one")]));
    leaving.release = vec![2];
    assert_eq!(share(&*store, &leaving).await, shares(["two"], [(1, "one")]));
    let of_two = share(&*store, &request("two", [1, 2])).await;
    assert_eq!(of_two, shares(["two"], [(1, "one"), (2, "two")]));
    leaving.release = vec![1, 2];
    assert_eq!(share(&*store, &leaving).await, shares(["two"], [(2, "two")]));
}

/// Who only looks is told who is there, and changes nothing.
pub async fn members_are_read_by_one_who_is_none(store: Arc<dyn Store>) {
    let members = async |group: &str| store.read_members(group).await.expect("read");
    assert_eq!(members("schedulers").await, BTreeSet::new());
    share(&*store, &request("one", [1])).await;
    let leaving = request("leaving", [2]);
    share(&*store, &leaving).await;
    share(&*store, &ShareRequest { leaving: true, ..leaving }).await;
    let ttl = Duration::from_millis(200);
    share(&*store, &ShareRequest { ttl, ..request("silent", []) }).await;
    let began = Instant::now();
    while members("schedulers").await != BTreeSet::from(["one".into()]) {
        assert!(began.elapsed() < LIMIT, "who is silent is no member after its time");
        tokio::task::yield_now().await;
    }
    assert_eq!(members("launchers").await, BTreeSet::new());
    let of_one = share(&*store, &request("one", [])).await;
    assert_eq!(of_one, shares(["one"], [(1, "one"), (2, "leaving")]));
}

/// A member that is not heard of is gone after its time, and so are its leases; one that is heard of keeps them.
pub async fn what_is_not_renewed_is_free_after_its_time(store: Arc<dyn Store>) {
    let ttl = Duration::from_millis(200);
    let silent = ShareRequest { ttl, ..request("silent", [1]) };
    let leaving = ShareRequest { ttl, ..request("leaving", [2]) };
    share(&*store, &leaving).await;
    share(&*store, &ShareRequest { leaving: true, ..leaving }).await;
    share(&*store, &silent).await;
    share(&*store, &request("alive", [3])).await;
    let began = Instant::now();
    loop {
        let seen = share(&*store, &request("alive", [1, 2])).await;
        if seen == shares(["alive"], [(1, "alive"), (2, "alive"), (3, "alive")]) {
            break;
        }
        assert_eq!(seen.leases[&3], "alive");
        assert!(began.elapsed() < LIMIT, "{seen:?}");
        tokio::task::yield_now().await;
    }
    let late = share(&*store, &silent).await;
    assert_eq!(late.leases[&1], "alive", "it came back too late");
    assert_eq!(late.members, BTreeSet::from(["alive".into(), "silent".into()]));
}

/// Everyone has the time that it asked for, whatever others ask for.
pub async fn a_member_with_a_short_time_shortens_nobody_elses(store: Arc<dyn Store>) {
    let short = Duration::from_millis(200);
    share(&*store, &request("long", [1])).await;
    share(&*store, &ShareRequest { ttl: short, ..request("short", [2]) }).await;
    // Only looks, and renews nobody's time.
    let look = ShareRequest { leaving: true, ttl: short, ..request("onlooker", []) };
    let began = Instant::now();
    loop {
        let seen = share(&*store, &look).await;
        assert_eq!(seen.leases.get(&1).map(String::as_str), Some("long"), "{seen:?}");
        assert!(seen.members.contains("long"), "{seen:?}");
        // Longer than the short time, and so that it was noticed.
        if began.elapsed() > short * 2 && seen == shares(["long"], [(1, "long")]) {
            break;
        }
        assert!(began.elapsed() < LIMIT, "{seen:?}");
        tokio::task::yield_now().await;
    }
}

/// By all answers of all members together, a lease has one owner.
pub async fn of_those_who_race_for_leases_each_lease_has_one(store: Arc<dyn Store>) {
    let racers: Vec<_> = (0..8_u32)
        .map(|racer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let member = format!("member-{racer}");
                let mut answers = Vec::new();
                for lease in 0..32 {
                    let wanted = request(&member, [(lease + racer * 5) % 32]);
                    answers.push(share(&*store, &wanted).await.leases);
                }
                answers
            })
        })
        .collect();
    let mut owners = BTreeMap::new();
    for racer in racers {
        for (lease, owner) in racer.await.expect("it does not panic").into_iter().flatten() {
            let known = owners.entry(lease).or_insert_with(|| owner.clone());
            assert_eq!(*known, owner, "lease {lease}");
        }
    }
    assert_eq!(owners.len(), 32, "all are taken");
}
