//! Results that are taken instead of running what would come to the same.

use tracing::{info, warn};
use windlass_engine::record::CacheSource;
use windlass_store::{CacheEntry, Store, StoreError};

use crate::runtime::{AttemptSpec, CachedResult};

/// Gives those attempts a result whose key has one that is not too old.
///
/// Only for attempts that are this launcher's to create, so that what is taken for one of them by somebody else is not run
/// here.
pub(crate) async fn take(
    store: &dyn Store,
    namespace: &str,
    attempts: &mut [AttemptSpec],
) -> Result<(), StoreError> {
    let keys: Vec<_> = attempts.iter().filter_map(|it| it.cache.map(|cache| cache.key)).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let found = match store.read_cache(namespace, &keys).await {
        Err(StoreError::Damaged(why)) => {
            warn!(
                namespace,
                why, "no results are taken: restore the store, or clear the cache of the namespace"
            );
            return Ok(());
        }
        found => found?,
    };
    if found.iter().all(Option::is_none) {
        return Ok(());
    }
    let now = store.now().await?;
    let cached = attempts.iter_mut().filter_map(|it| it.cache.map(|cache| (it, cache)));
    for ((attempt, cache), entry) in cached.zip(found) {
        let max_age = u64::try_from(cache.max_age.as_millis()).unwrap_or(u64::MAX);
        let Some(entry) = entry.filter(|entry| now.since(entry.ended_at) <= max_age) else {
            continue;
        };
        let (step, key, from_run, from_step) = (&attempt.step, cache.key, entry.run, &entry.step);
        info!(attempt = %attempt.key, step, %key, %from_run, from_step, "a result is taken from the cache");
        attempt.cached = Some(result(entry));
    }
    Ok(())
}

fn result(entry: CacheEntry) -> CachedResult {
    let CacheEntry { outputs, run, step, ended_at, .. } = entry;
    CachedResult { outputs, source: CacheSource { run: run.to_string(), step, ended_at } }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use windlass_engine::time::Timestamp;
    use windlass_proto::cache_key::CacheKey;
    use windlass_store::MemoryStore;

    use super::*;
    use crate::runtime::{AttemptKey, CacheUse};

    fn attempt(step: u32, cache: Option<(u8, u64)>) -> AttemptSpec {
        let cache = cache.map(|(key, max_age_ms)| CacheUse {
            key: CacheKey([key; 32]),
            max_age: Duration::from_millis(max_age_ms),
        });
        let run = "run_0123456789abcdefghijklmnop".parse().unwrap();
        AttemptSpec {
            key: AttemptKey { run, step, attempt: 1 },
            namespace: "default".to_owned(),
            pipeline: "p".to_owned(),
            image: None,
            args: Vec::new(),
            secrets: BTreeMap::new(),
            pod: None,
            step: format!("step-{step}"),
            command: vec!["true".to_owned()],
            env: BTreeMap::new(),
            working_dir: None,
            termination_grace: Duration::ZERO,
            memory_bytes: None,
            outputs: Vec::new(),
            cache,
            cached: None,
        }
    }

    #[tokio::test]
    async fn a_result_is_taken_by_its_key_in_its_namespace_while_it_is_young_enough() {
        let store = MemoryStore::new();
        let hour = 3_600_000;
        let now = store.now().await.unwrap();
        let entry = |key, age| CacheEntry {
            key: CacheKey([key; 32]),
            outputs: Some(format!("{{\"of\":{key}}}").into()),
            run: "run_ponmlkjihgfedcba9876543210".parse().unwrap(),
            pipeline: "p".to_owned(),
            step: "load".to_owned(),
            ended_at: Timestamp(now.0 - age),
        };
        let entries = [entry(1, 0), entry(2, 2 * hour)];
        store.write_cache("team", &entries).await.unwrap();
        let mut attempts = [
            attempt(0, Some((1, hour))),
            attempt(1, None),
            attempt(2, Some((2, hour))),
            attempt(3, Some((2, 3 * hour))),
            attempt(4, Some((3, hour))),
        ];
        take(&store, "others", &mut attempts).await.unwrap();
        assert!(attempts.iter().all(|attempt| attempt.cached.is_none()));
        take(&store, "team", &mut attempts).await.unwrap();
        let outputs = |attempt: &AttemptSpec| {
            attempt.cached.as_ref().and_then(|cached| cached.outputs.as_deref().map(str::to_owned))
        };
        let first = Some("{\"of\":1}".to_owned());
        let second = Some("{\"of\":2}".to_owned());
        assert_eq!(attempts.each_ref().map(outputs), [first, None, None, second, None]);
        let source = attempts[0].cached.as_ref().map(|cached| &cached.source).unwrap();
        assert_eq!((source.step.as_str(), source.ended_at), ("load", entries[0].ended_at));
    }
}
