//! The inbox of orders, which runs are active, and which have finished.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::sync::Arc;

use windlass_engine::{
    event::{Decision, Order},
    record::{RunState, StepIndex},
    time::Timestamp,
};

use super::fixture::{commit, commit_state, commit_to, create, read, run_id};
use crate::{
    FinishedRun, FinishedRuns, INBOX_BYTES_MAX, ORDER_BYTES_MAX, Placed, PlacedOrder, Store, codec,
    run::ORDER_OVERHEAD,
};

const RETRY: Order = Order::Retry { from: None, changes: None };

fn decision(comment: &str) -> Order {
    Order::Decide(Decision {
        step: StepIndex(7),
        approved: true,
        by: "Ann".into(),
        comment: comment.into(),
    })
}

/// Orders are numbered upwards for ever, stay until they are taken, and do not change the version.
pub async fn orders_wait_in_the_order_they_came(store: Arc<dyn Store>) {
    let view = create(&*store, 1, 1).await;
    create(&*store, 2, 1).await;
    let from = Order::Retry { from: Some(StepIndex(0)), changes: None };
    let all = [Order::Pause, Order::Resume, Order::Cancel, RETRY, from, decision("\u{e9}\0")];
    for order in all.clone() {
        assert_eq!(store.place_order(run_id(1), order).await, Ok(Placed::Waiting));
    }
    assert_eq!(read(&*store, 1).await, view);
    let placed = store.read_orders(run_id(1)).await.expect("read");
    assert_eq!(orders(&placed), all);
    assert!(placed.is_sorted_by(|one, next| one.sequence < next.sequence), "{placed:?}");
    let mut change = commit_to(&view);
    change.orders_taken = Some(placed[1].sequence);
    commit(&*store, change).await;
    let loaded = store.load(run_id(1)).await.expect("read").expect("there");
    assert_eq!(loaded.orders, placed[2..]);
    let mut change = commit_to(&loaded.view);
    change.orders_taken = Some(placed[5].sequence);
    commit(&*store, change).await;
    store.place_order(run_id(1), Order::Pause).await.expect("placed");
    let later = store.read_orders(run_id(1)).await.expect("read");
    assert_eq!(orders(&later), [Order::Pause]);
    assert!(later[0].sequence > placed[5].sequence, "a number is not used again");
    assert_eq!(store.read_orders(run_id(2)).await, Ok(vec![]));
    assert_eq!(store.place_order(run_id(3), Order::Pause).await, Ok(Placed::NoRun));
}

/// What does not fit into an inbox is refused and changes nothing; what was taken makes room.
pub async fn an_inbox_has_bounds(store: Arc<dyn Store>) {
    let view = create(&*store, 1, 1).await;
    let overhead = codec::encode_order(&decision(&"x".repeat(ORDER_BYTES_MAX))).len();
    let largest = decision(&"x".repeat(2 * ORDER_BYTES_MAX - overhead));
    let size = codec::encode_order(&largest).len();
    assert_eq!(size, ORDER_BYTES_MAX);
    let larger = decision(&"x".repeat(2 * ORDER_BYTES_MAX - overhead + 1));
    assert_eq!(store.place_order(run_id(1), larger).await, Ok(Placed::TooLarge));
    assert_eq!(store.read_orders(run_id(1)).await, Ok(vec![]));

    let fit = INBOX_BYTES_MAX / (size + ORDER_OVERHEAD);
    for _ in 0..fit {
        assert_eq!(store.place_order(run_id(1), largest.clone()).await, Ok(Placed::Waiting));
    }
    let placed = store.read_orders(run_id(1)).await.expect("read");
    assert_eq!(store.place_order(run_id(1), largest.clone()).await, Ok(Placed::Full));
    assert_eq!(store.read_orders(run_id(1)).await, Ok(placed.clone()));
    assert_eq!(store.place_order(run_id(1), Order::Cancel).await, Ok(Placed::Waiting));
    let mut change = commit_to(&view);
    change.orders_taken = Some(placed[0].sequence);
    commit(&*store, change).await;
    assert_eq!(store.place_order(run_id(1), largest.clone()).await, Ok(Placed::Waiting));
    let left = store.load(run_id(1)).await.expect("read").expect("there").orders;
    assert_eq!(left.len(), fit + 1);
    let [rest @ .., Order::Cancel, last] = &orders(&left)[..] else { panic!("{}", left.len()) };
    assert!(rest.iter().chain([last]).all(|order| *order == largest));
}

fn orders(placed: &[PlacedOrder]) -> Vec<Order> {
    placed.iter().map(|placed| placed.order.clone()).collect()
}

/// A run is among the active ones of its partition while its record is not final or orders wait.
pub async fn a_run_is_active_until_it_has_ended_and_its_orders_are_taken(store: Arc<dyn Store>) {
    const PARTITIONS: u32 = 4;
    let run = run_id(1);
    let partition = run.partition(PARTITIONS);
    create(&*store, 1, 1).await;
    create(&*store, 2, 1).await;
    for other in 0..PARTITIONS {
        let active = store.active_runs(other, PARTITIONS).await.expect("read");
        assert_eq!(active.contains(&run), other == partition, "partition {other}");
    }
    let is_active = async || {
        let active = store.active_runs(partition, PARTITIONS).await.expect("read");
        active.contains(&run)
    };
    commit_state(&*store, 1, RunState::Failed).await;
    assert!(!is_active().await, "it has ended");
    store.place_order(run, RETRY).await.expect("placed");
    assert!(is_active().await, "an order waits");
    commit_state(&*store, 1, RunState::Failed).await;
    assert!(is_active().await, "the order was not taken");
    let mut change = commit_to(&read(&*store, 1).await);
    change.orders_taken = Some(store.read_orders(run).await.expect("read")[0].sequence);
    change.record.state = RunState::Running;
    commit(&*store, change).await;
    assert!(is_active().await, "it was taken up again");
    commit_state(&*store, 1, RunState::Succeeded).await;
    assert!(!is_active().await, "it has ended again");
}

/// A run has finished when it has ended and nothing is asked of it; who ended first comes first.
pub async fn finished_runs_are_those_that_ended_and_have_no_orders(store: Arc<dyn Store>) {
    for number in 1..=5 {
        create(&*store, number, 1).await;
    }
    assert_eq!(store.finished_runs(10).await, Ok(FinishedRuns::default()));
    let mut expected = Vec::new();
    for (number, ended_at) in [(3, 100), (1, 300), (2, 200), (4, 200)] {
        let mut change = commit_to(&read(&*store, number).await);
        change.record.state = RunState::Succeeded;
        change.record.ended_at = Timestamp(ended_at);
        let version = commit(&*store, change).await;
        expected.push(FinishedRun { run: run_id(number), version, ended_at: Timestamp(ended_at) });
    }
    expected.sort_by_key(|finished| (finished.ended_at, finished.run));
    let all = FinishedRuns { total: 4, oldest: expected.clone() };
    assert_eq!(store.finished_runs(10).await, Ok(all.clone()));
    let some = FinishedRuns { total: 4, oldest: expected[..2].to_vec() };
    assert_eq!(store.finished_runs(2).await, Ok(some));

    store.place_order(run_id(2), RETRY).await.expect("placed");
    let rest: Vec<_> = expected.iter().copied().filter(|it| it.run != run_id(2)).collect();
    let without = FinishedRuns { total: 3, oldest: rest.clone() };
    assert_eq!(store.finished_runs(10).await, Ok(without.clone()), "an order waits");
    let mut change = commit_to(&read(&*store, 2).await);
    change.orders_taken = Some(store.read_orders(run_id(2)).await.expect("read")[0].sequence);
    change.record.state = RunState::Running;
    change.record.ended_at = Timestamp(0);
    commit(&*store, change).await;
    assert_eq!(store.finished_runs(10).await, Ok(without), "it was taken up again");
    let FinishedRun { run, version, .. } = rest[0];
    store.remove(run, version).await.expect("removed");
    let left = FinishedRuns { total: 2, oldest: rest[1..].to_vec() };
    assert_eq!(store.finished_runs(10).await, Ok(left));
}
