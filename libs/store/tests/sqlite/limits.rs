//! Named limits: they outlive the process, and what is damaged of one namespace harms no other.

use std::{num::NonZeroU32, sync::Arc};

use rusqlite::Connection;
use tempfile::TempDir;
use windlass_engine::{
    limits::{LimitConfig, PERIOD_MS_MAX, Rate},
    record::StepIndex,
};
use windlass_store::{Holder, LimitAsk, LimitRequest, LimitView, SqliteStore, Store, StoreError};

use crate::fixture::run_id;

fn ask(run: u32, limits: &[&str]) -> LimitAsk {
    let holder = Holder { run: run_id(run), step: StepIndex(run), attempt: 1 };
    LimitAsk { holder, limits: limits.iter().map(|name| Arc::from(*name)).collect() }
}

fn asks(asks: &[LimitAsk]) -> LimitRequest {
    LimitRequest { asks: asks.to_vec(), ..LimitRequest::default() }
}

fn releases(run: u32) -> LimitRequest {
    LimitRequest { releases: vec![ask(run, &[]).holder], ..LimitRequest::default() }
}

/// Two starts a day.
fn rate() -> LimitConfig {
    let starts = NonZeroU32::new(2).unwrap();
    LimitConfig { size: None, rate: Some(Rate { starts, period_ms: PERIOD_MS_MAX }) }
}

#[tokio::test]
async fn who_holds_and_who_waits_and_what_has_started_is_there_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("windlass.db");
    let store = SqliteStore::open(&path).unwrap();
    store.set_limit("team", "mail", Some(rate())).await.unwrap();
    let all = [
        ask(1, &["gpu"]),
        ask(2, &["gpu", "mail"]),
        ask(3, &["mail"]),
        ask(4, &["mail"]),
        ask(5, &["gpu"]),
    ];
    let [one, two, three, four, five] = [0, 1, 2, 3, 4].map(|at: usize| all[at].holder);
    let told = store.take_limits("team", &asks(&all)).await.unwrap();
    assert_eq!(told.granted, [one]);
    let told = store.take_limits("team", &releases(1)).await.unwrap();
    assert_eq!(told.granted, [two, three]);
    let next_at = told.next_at.expect("the fourth one waits for the rate");
    let again = store.take_limits("team", &asks(&[ask(1, &["gpu"])])).await.unwrap();
    assert_eq!(again.granted, []);
    drop(store);

    let store = SqliteStore::open(&path).unwrap();
    let view =
        |name: &str, config, held, waiting| LimitView { name: name.into(), config, held, waiting };
    let views = vec![view("gpu", None, 1, 2), view("mail", Some(rate()), 2, 1)];
    assert_eq!(store.read_limits("team").await, Ok(views));
    assert_eq!(store.read_holders("team", "mail", 9).await, Ok(vec![two, three]));
    assert_eq!(store.read_places("team", one).await, Ok(vec![("gpu".into(), 1)]));
    let told = store.take_limits("team", &releases(3)).await.unwrap();
    assert_eq!((told.granted, told.next_at), (vec![], Some(next_at)), "two have started");
    let told = store.take_limits("team", &releases(2)).await.unwrap();
    assert_eq!(told.granted, [five], "it came before the first one came again");
    let any = LimitConfig { size: None, rate: None };
    assert_eq!(store.set_limit("team", "mail", Some(any)).await.unwrap().granted, [four]);
}

#[tokio::test]
async fn damaged_limits_harm_those_of_their_namespace() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("windlass.db");
    let store = SqliteStore::open(&path).unwrap();
    for namespace in ["team", "others"] {
        store.take_limits(namespace, &asks(&[ask(1, &["gpu"])])).await.unwrap();
    }
    drop(store);
    let damage = "UPDATE limited SET run = 'nobody' WHERE namespace = 'team'";
    assert_eq!(Connection::open(&path).unwrap().execute(damage, []), Ok(1));

    let store = SqliteStore::open(&path).unwrap();
    let told = store.take_limits("team", &releases(1)).await;
    assert!(matches!(told, Err(StoreError::Damaged(_))), "{told:?}");
    let read = store.read_limits("team").await;
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
    let held = store.read_holders("others", "gpu", 9).await;
    assert_eq!(held, Ok(vec![ask(1, &[]).holder]));
}
