//! Results that are kept beyond their runs.
//!
//! Those of a namespace lie in shards, each with a hash tag of its own, so that lookups do not all go to one node. A shard
//! goes as a whole once nothing was written to it for as long as a result is kept.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use redis::{Value, from_redis_value};
use tracing::warn;
use windlass_proto::cache_key::CacheKey;

use super::{RedisStore, fault::Fault, link::Text, write::unexpected};
use crate::{
    CacheEntry, CacheScope, StoreError,
    cache::{SHARD_ENTRIES, SHARDS, shard, ttl_ms},
    codec,
};

/// The most results of one call.
const AT_ONCE: usize = 256;

/// What an answer may take up for each key, in bytes: as much as a step may write, and its names.
const LARGEST_RESULT: usize = 65 << 10;

/// Between the name of a pipeline and the path of a step.
const SEPARATOR: char = ' ';

impl RedisStore {
    pub(super) async fn results(
        &self,
        namespace: &str,
        keys: &[CacheKey],
    ) -> Result<Vec<Option<CacheEntry>>, StoreError> {
        let parts = by_shard(keys.iter().copied(), |key| *key);
        let found = try_join_all(parts.iter().flat_map(|(shard, keys)| {
            keys.chunks(AT_ONCE).map(|keys| self.results_of_shard(namespace, *shard, keys))
        }));
        let found: BTreeMap<CacheKey, CacheEntry> =
            found.await?.into_iter().flatten().map(|entry| (entry.key, entry)).collect();
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn results_of_shard(
        &self,
        namespace: &str,
        shard: u8,
        keys: &[CacheKey],
    ) -> Result<Vec<CacheEntry>, StoreError> {
        let [results, ..] = self.keys.cache(namespace, shard);
        let mut command = redis::cmd("HMGET");
        command.arg(results);
        for key in keys {
            command.arg(&key.0[..]);
        }
        let limit = self.bulk.limit(keys.len() * LARGEST_RESULT);
        let answer = self.bulk.ask(&command, limit).await.map_err(Fault::while_reading)?;
        let texts: Vec<Text> = from_redis_value(answer).map_err(unexpected)?;
        let found = keys.iter().zip(texts).filter_map(|(key, text)| {
            // One that cannot be read is as good as none, and is replaced by the next.
            codec::decode_cache_entry(*key, &text?)
                .inspect_err(|error| warn!(%error, "a result is passed over"))
                .ok()
        });
        Ok(found.collect())
    }

    pub(super) async fn keep_results(
        &self,
        namespace: &str,
        entries: &[CacheEntry],
    ) -> Result<(), StoreError> {
        let parts = by_shard(entries.iter(), |entry| entry.key);
        let written = try_join_all(parts.iter().flat_map(|(shard, entries)| {
            entries.chunks(AT_ONCE).map(|entries| self.keep_in_shard(namespace, *shard, entries))
        }));
        written.await.map(drop)
    }

    async fn keep_in_shard(
        &self,
        namespace: &str,
        shard: u8,
        entries: &[&CacheEntry],
    ) -> Result<(), StoreError> {
        let mut call = self.scripts.cache_write.call().keys(self.keys.cache(namespace, shard));
        call = call.arg(ttl_ms()).arg(SHARD_ENTRIES);
        for entry in entries {
            call.push(&entry.key.0[..]);
            call.push(entry.ended_at.0);
            call.push(format!("{}{SEPARATOR}{}", entry.pipeline, entry.step));
            call.push(codec::encode_cache_entry(entry));
        }
        call.run(self.link_for(call.size())).await.map_err(Fault::while_writing)?;
        Ok(())
    }

    pub(super) async fn forget_results(
        &self,
        namespace: &str,
        scope: &CacheScope,
    ) -> Result<u64, StoreError> {
        let forgotten =
            try_join_all((0..SHARDS).map(|shard| self.forget_in_shard(namespace, shard, scope)));
        Ok(forgotten.await?.into_iter().sum())
    }

    async fn forget_in_shard(
        &self,
        namespace: &str,
        shard: u8,
        scope: &CacheScope,
    ) -> Result<u64, StoreError> {
        let keys = self.keys.cache(namespace, shard);
        if scope.is_all() {
            return self.forget_fields(keys, &[]).await;
        }
        let mut command = redis::cmd("HGETALL");
        command.arg(&keys[1]);
        let limit = self.bulk.limit(SHARD_ENTRIES * 256);
        let answer = self.bulk.ask(&command, limit).await.map_err(Fault::while_reading)?;
        let names: Vec<(Vec<u8>, Vec<u8>)> = from_redis_value(answer).map_err(unexpected)?;
        let is_meant = |name: &[u8]| {
            let name = String::from_utf8_lossy(name);
            let (pipeline, step) = name.split_once(SEPARATOR).unwrap_or((&name, ""));
            scope.covers(pipeline, step)
        };
        let fields: Vec<_> =
            names.into_iter().filter(|(_, name)| is_meant(name)).map(|(key, _)| key).collect();
        let mut forgotten = 0;
        for fields in fields.chunks(AT_ONCE) {
            forgotten += self.forget_fields(keys.clone(), fields).await?;
        }
        Ok(forgotten)
    }

    /// Forgets the results under these keys of a shard, or all of them where none is named.
    async fn forget_fields(
        &self,
        keys: [String; 3],
        fields: &[Vec<u8>],
    ) -> Result<u64, StoreError> {
        let mut call = self.scripts.cache_clear.call().keys(keys);
        for field in fields {
            call.push(&field[..]);
        }
        match call.run(&self.bulk).await.map_err(Fault::while_writing)? {
            Value::Int(forgotten) => Ok(forgotten.unsigned_abs()),
            other => Err(unexpected(format!("{other:?}"))),
        }
    }
}

fn by_shard<T>(
    items: impl Iterator<Item = T>,
    key: impl Fn(&T) -> CacheKey,
) -> BTreeMap<u8, Vec<T>> {
    let mut parts: BTreeMap<u8, Vec<T>> = BTreeMap::new();
    for item in items {
        parts.entry(shard(key(&item))).or_default().push(item);
    }
    parts
}
