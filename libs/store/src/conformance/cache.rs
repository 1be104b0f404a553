//! Results that outlive their runs.

#![expect(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

use std::sync::Arc;

use windlass_engine::time::Timestamp;
use windlass_proto::cache_key::CacheKey;

use super::fixture::{create, run_id};
use crate::{
    CACHE_TTL, CacheEntry, CacheScope, Committed, Store,
    cache::{SHARD_ENTRIES, ttl_ms},
};

/// The n-th key; all of them share a shard with those whose numbers have the same remainder by 16.
fn key(number: u32) -> CacheKey {
    let mut bytes = [0xfe; 32];
    bytes[0] = ((number % 16) << 4).to_le_bytes()[0];
    bytes[1..5].copy_from_slice(&number.to_be_bytes());
    CacheKey(bytes)
}

/// The result under the n-th key.
fn entry(number: u32) -> CacheEntry {
    CacheEntry {
        key: key(number),
        outputs: (number % 2 == 1).then(|| format!("{{\"number\":{number}}}").into()),
        run: run_id(1),
        pipeline: "nightly".into(),
        step: "train".into(),
        ended_at: Timestamp(1_700_000_000_000 + u64::from(number)),
    }
}

/// A result is read as it was written last, in its namespace and in no other, and stays when its run is removed.
pub async fn results_are_kept_by_namespace_and_key_whatever_becomes_of_their_run(
    store: Arc<dyn Store>,
) {
    let version = create(&*store, 1, 1).await.version;
    let keys: Vec<_> = (0..40).map(key).collect();
    assert_eq!(store.read_cache("team", &keys).await, Ok(vec![None; 40]), "there are none yet");
    assert_eq!(store.read_cache("team", &[]).await, Ok(Vec::new()));
    assert_eq!(store.write_cache("team", &[]).await, Ok(()));
    let entries: Vec<_> = (0..39).map(entry).collect();
    assert_eq!(store.write_cache("team", &entries).await, Ok(()));
    let newer = CacheEntry { run: run_id(2), outputs: Some("{}".into()), ..entry(7) };
    let other = CacheEntry { outputs: Some("{\"of\":\"others\"}".into()), ..entry(8) };
    assert_eq!(store.write_cache("team", std::slice::from_ref(&newer)).await, Ok(()));
    assert_eq!(store.write_cache("others", std::slice::from_ref(&other)).await, Ok(()));
    assert_eq!(store.remove(run_id(1), version).await, Ok(Committed::Done(version)));

    let mut expected: Vec<_> = entries.into_iter().map(Some).collect();
    expected[7] = Some(newer);
    expected.push(None);
    assert_eq!(store.read_cache("team", &keys).await, Ok(expected.clone()));
    let twice = [key(3), key(39), key(3)];
    let found = vec![expected[3].clone(), None, expected[3].clone()];
    assert_eq!(store.read_cache("team", &twice).await, Ok(found), "in the order asked");
    let of_others = store.read_cache("others", &[key(7), key(8)]).await;
    assert_eq!(of_others, Ok(vec![None, Some(other)]));
}

/// What is forgotten is what was named, and nothing of another namespace.
pub async fn results_are_forgotten_by_pipeline_and_step(store: Arc<dyn Store>) {
    let names = [
        ("nightly", "train"),
        ("nightly", "train.0"),
        ("nightly", "train.0.fit"),
        ("nightly", "training"),
        ("nightly", "report"),
        ("hourly", "train"),
        ("hourly", "report"),
    ];
    let of_one = |number: u32| CacheEntry {
        pipeline: names[number as usize % names.len()].0.into(),
        step: names[number as usize % names.len()].1.into(),
        ..entry(number)
    };
    let entries: Vec<_> = (0..70).map(of_one).collect();
    let keys: Vec<_> = (0..70).map(key).collect();
    for namespace in ["team", "others"] {
        store.write_cache(namespace, &entries).await.expect("written");
    }
    let scope = |pipeline: &str, step: &str| CacheScope {
        pipeline: (!pipeline.is_empty()).then(|| pipeline.to_owned()),
        step: (!step.is_empty()).then(|| step.to_owned()),
    };
    for (pipeline, step, forgotten, left) in [
        ("nightly", "load", 0, 70),
        ("nightly", "train.0", 20, 50),
        ("nightly", "train", 10, 40),
        ("nightly", "train", 0, 40),
        ("hourly", "", 20, 20),
        ("", "", 20, 0),
        ("", "", 0, 0),
    ] {
        let scope = scope(pipeline, step);
        assert_eq!(store.clear_cache("team", &scope).await, Ok(forgotten), "{scope:?}");
        let found = store.read_cache("team", &keys).await.expect("read");
        assert_eq!(found.iter().flatten().count(), left, "{scope:?}");
        let covered = found.iter().flatten().filter(|it| scope.covers(&it.pipeline, &it.step));
        assert_eq!(covered.count(), 0, "{scope:?}");
    }
    let of_others = store.read_cache("others", &keys).await.expect("read");
    assert_eq!(of_others, entries.into_iter().map(Some).collect::<Vec<_>>());
}

/// A shard that is full makes room by its oldest results, in whichever order they are written.
pub async fn of_many_results_the_newest_are_kept(store: Arc<dyn Store>) {
    let most = u32::try_from(SHARD_ENTRIES).expect("few");
    // All of one shard, the newest first.
    let numbers: Vec<u32> = (0..most + 10).rev().map(|number| number * 16).collect();
    for numbers in numbers.chunks(1000) {
        let entries: Vec<_> = numbers.iter().copied().map(entry).collect();
        store.write_cache("team", &entries).await.expect("written");
    }
    let others: Vec<_> = (0..15).map(|number| entry(number * 16 + 1)).collect();
    store.write_cache("team", &others).await.expect("written");
    let keys: Vec<_> = (0..most + 10).map(|number| key(number * 16)).collect();
    let found = store.read_cache("team", &keys).await.expect("read");
    let kept = |from: usize, to: usize| found[from..to].iter().flatten().count();
    assert_eq!((kept(0, 10), kept(10, found.len())), (0, SHARD_ENTRIES));
    let keys: Vec<_> = others.iter().map(|entry| entry.key).collect();
    let found = store.read_cache("team", &keys).await.expect("read");
    assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), others, "of another shard");
}

/// A result stays for [`CACHE_TTL`], and goes when a newer one of its shard comes after that.
pub async fn results_that_are_too_old_go_when_others_come(store: Arc<dyn Store>) {
    assert!(CACHE_TTL.as_millis() > 0);
    let (old, other) = (entry(0), entry(1));
    let later = |number: u32, by: u64| CacheEntry {
        ended_at: Timestamp(old.ended_at.0 + by),
        ..entry(number * 16)
    };
    let (in_time, late) = (later(1, ttl_ms()), later(2, ttl_ms() + 1));
    store.write_cache("team", &[old.clone(), other.clone()]).await.expect("written");
    store.write_cache("team", std::slice::from_ref(&in_time)).await.expect("written");
    let keys = [old.key, other.key, in_time.key, late.key];
    let all = vec![Some(old), Some(other.clone()), Some(in_time.clone()), None];
    assert_eq!(store.read_cache("team", &keys).await, Ok(all));
    store.write_cache("team", std::slice::from_ref(&late)).await.expect("written");
    let left = vec![None, Some(other), Some(in_time), Some(late)];
    assert_eq!(store.read_cache("team", &keys).await, Ok(left));
}
