//! The stored form of what retries have changed of a run: a message in the form of protocol buffers.

use prost::Message;
use windlass_engine::policy::LimitChanges;

use crate::{Amendment, StoreError};

#[derive(Clone, PartialEq, Eq, Message)]
struct Stored {
    #[prost(string, optional, tag = "1")]
    arguments_json: Option<String>,
    #[prost(uint32, optional, tag = "2")]
    max_parallelism: Option<u32>,
    #[prost(uint64, optional, tag = "3")]
    timeout_ms: Option<u64>,
}

pub(crate) fn encode_amendment(amendment: &Amendment) -> Vec<u8> {
    let Amendment { arguments_json, limits } = amendment;
    let LimitChanges { max_parallelism, timeout_ms } = *limits;
    Stored { arguments_json: arguments_json.clone(), max_parallelism, timeout_ms }.encode_to_vec()
}

/// The inverse of [`encode_amendment`].
pub(crate) fn decode_amendment(bytes: &[u8]) -> Result<Amendment, StoreError> {
    let damaged = |error| StoreError::Damaged(format!("what a retry has changed: {error}"));
    let Stored { arguments_json, max_parallelism, timeout_ms } =
        Stored::decode(bytes).map_err(damaged)?;
    Ok(Amendment { arguments_json, limits: LimitChanges { max_parallelism, timeout_ms } })
}
