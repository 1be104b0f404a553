//! The inbox of orders, and which runs are active.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::sync::Arc;

use windlass_engine::{event::Order, record::RunState};

use super::fixture::{commit, commit_state, commit_to, create, read, run_id};
use crate::{PlacedOrder, Store};

/// Orders are numbered upwards for ever, stay until they are taken, and do not change the version.
pub async fn orders_wait_in_the_order_they_came(store: Arc<dyn Store>) {
    let view = create(&*store, 1, 1).await;
    create(&*store, 2, 1).await;
    for order in [Order::Pause, Order::Resume, Order::Cancel, Order::Retry] {
        assert_eq!(store.place_order(run_id(1), order).await, Ok(true));
    }
    assert_eq!(read(&*store, 1).await, view);
    let placed = store.read_orders(run_id(1)).await.expect("read");
    assert_eq!(orders(&placed), [Order::Pause, Order::Resume, Order::Cancel, Order::Retry]);
    assert!(placed.is_sorted_by(|one, next| one.sequence < next.sequence), "{placed:?}");
    let mut change = commit_to(&view);
    change.orders_taken = Some(placed[1].sequence);
    commit(&*store, change).await;
    let loaded = store.load(run_id(1)).await.expect("read").expect("there");
    assert_eq!(loaded.orders, placed[2..]);
    let mut change = commit_to(&loaded.view);
    change.orders_taken = Some(placed[3].sequence);
    commit(&*store, change).await;
    store.place_order(run_id(1), Order::Pause).await.expect("placed");
    let later = store.read_orders(run_id(1)).await.expect("read");
    assert_eq!(orders(&later), [Order::Pause]);
    assert!(later[0].sequence > placed[3].sequence, "a number is not used again");
    assert_eq!(store.read_orders(run_id(2)).await, Ok(vec![]));
}

fn orders(placed: &[PlacedOrder]) -> Vec<Order> {
    placed.iter().map(|placed| placed.order).collect()
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
    store.place_order(run, Order::Retry).await.expect("placed");
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
