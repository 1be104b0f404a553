//! The stored form of a result: a message in the form of protocol buffers. Its key is where it is kept, not inside.

use prost::Message;
use windlass_engine::time::Timestamp;
use windlass_proto::cache_key::CacheKey;

use crate::{CacheEntry, StoreError};

#[derive(Clone, PartialEq, Eq, Message)]
struct Stored {
    #[prost(string, tag = "1")]
    run: String,
    #[prost(string, tag = "2")]
    pipeline: String,
    #[prost(string, tag = "3")]
    step: String,
    #[prost(uint64, tag = "4")]
    ended_at: u64,
    #[prost(string, optional, tag = "5")]
    outputs: Option<String>,
}

pub(crate) fn encode_cache_entry(entry: &CacheEntry) -> Vec<u8> {
    let stored = Stored {
        run: entry.run.to_string(),
        pipeline: entry.pipeline.clone(),
        step: entry.step.clone(),
        ended_at: entry.ended_at.0,
        outputs: entry.outputs.as_deref().map(str::to_owned),
    };
    stored.encode_to_vec()
}

/// The inverse of [`encode_cache_entry`].
pub(crate) fn decode_cache_entry(key: CacheKey, bytes: &[u8]) -> Result<CacheEntry, StoreError> {
    let damaged =
        |why: String| StoreError::Damaged(format!("the result that is kept as {key}: {why}"));
    let stored = Stored::decode(bytes).map_err(|error| damaged(error.to_string()))?;
    Ok(CacheEntry {
        key,
        outputs: stored.outputs.map(Into::into),
        run: stored.run.parse().map_err(|error| damaged(format!("{error}")))?,
        pipeline: stored.pipeline,
        step: stored.step,
        ended_at: Timestamp(stored.ended_at),
    })
}
