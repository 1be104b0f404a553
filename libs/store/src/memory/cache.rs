//! Results that are kept beyond their runs.

use std::collections::{BTreeMap, HashMap};

use windlass_proto::cache_key::CacheKey;

use crate::{
    CacheEntry, CacheScope,
    cache::{SHARD_ENTRIES, shard, ttl_ms},
};

/// By namespace and shard.
#[derive(Debug, Default)]
pub(super) struct Results(HashMap<(String, u8), BTreeMap<CacheKey, CacheEntry>>);

impl Results {
    pub(super) fn read(&self, namespace: &str, keys: &[CacheKey]) -> Vec<Option<CacheEntry>> {
        let find =
            |key: &CacheKey| self.0.get(&(namespace.to_owned(), shard(*key)))?.get(key).cloned();
        keys.iter().map(find).collect()
    }

    pub(super) fn write(&mut self, namespace: &str, entries: &[CacheEntry]) {
        for entry in entries {
            let shard = self.0.entry((namespace.to_owned(), shard(entry.key))).or_default();
            shard.insert(entry.key, entry.clone());
            shard.retain(|_, kept| entry.ended_at.since(kept.ended_at) <= ttl_ms());
            if shard.len() > SHARD_ENTRIES
                && let Some((key, _)) = shard.iter().min_by_key(|(key, it)| (it.ended_at, **key))
            {
                let key = *key;
                shard.remove(&key);
            }
        }
    }

    pub(super) fn clear(&mut self, namespace: &str, scope: &CacheScope) -> u64 {
        let mut forgotten = 0;
        for ((of, _), shard) in &mut self.0 {
            if of == namespace {
                let before = shard.len();
                shard.retain(|_, entry| !scope.covers(&entry.pipeline, &entry.step));
                forgotten += before - shard.len();
            }
        }
        self.0.retain(|_, shard| !shard.is_empty());
        forgotten as u64
    }
}
