//! What retries have changed of runs: a field among a run's details.
//!
//! It is read of runs alone that were retried, so that other reads cost nothing for it; and after the run's head, which it may
//! then be ahead of. So it names the version that has brought it, and who has an older head reads again.

use std::sync::Arc;

use redis::from_redis_value;
use windlass_proto::id::RunId;

use super::{
    RedisStore,
    fault::Fault,
    head::Head,
    keys::AMENDMENT,
    link::{Link, Text},
    read::SHORT_SUBMISSION,
};
use crate::{Amendment, StoreError, Version, codec};

impl RedisStore {
    /// A run's head, and what retries have changed of the run. Where there may be anything of that, the head is read anew with
    /// it.
    pub(super) async fn amended(
        &self,
        run: RunId,
        head: Text,
    ) -> Result<(Text, Option<Arc<Amendment>>), StoreError> {
        if retried_at(head.as_deref())?.is_none() {
            return Ok((head, None));
        }
        let limit = self.quick.limit(SHORT_SUBMISSION);
        let (mut texts, amendment) = self.of_one_version(&self.quick, run, limit, |_| {}).await?;
        Ok((texts.pop().flatten(), amendment))
    }

    /// What retries have changed of a run, and the number of the version that has brought the last of it.
    pub(super) async fn latest_amendment(
        &self,
        link: &Link,
        run: RunId,
    ) -> Result<Option<(u64, Amendment)>, StoreError> {
        let command = redis::Cmd::hget(self.keys.of(run).details(run), AMENDMENT);
        let answer = link.ask(&command, link.limit(SHORT_SUBMISSION)).await;
        let bytes: Text = from_redis_value(answer.map_err(Fault::while_reading)?)
            .map_err(super::write::unexpected)?;
        bytes.map(|bytes| decode_amendment(run, &bytes)).transpose()
    }
}

/// The number of a head's version, where it is of a run that was retried: of others nothing was changed.
pub(super) fn retried_at(head: Option<&[u8]>) -> Result<Option<u64>, StoreError> {
    let head = head.map(Head::decode).transpose()?;
    Ok(head.filter(|head| head.record.retries > 0).map(|head| head.version.number))
}

/// What retries have changed, behind the number of the version that has brought the last of it.
pub(super) fn encode_amendment(version: Version, amendment: &Amendment) -> Vec<u8> {
    let mut bytes = version.number.to_le_bytes().to_vec();
    bytes.extend(codec::encode_amendment(amendment));
    bytes
}

/// The inverse of [`encode_amendment`].
fn decode_amendment(run: RunId, bytes: &[u8]) -> Result<(u64, Amendment), StoreError> {
    let short = || StoreError::Damaged(format!("what a retry of {run} has changed ends too early"));
    let (number, rest) = bytes.split_first_chunk().ok_or_else(short)?;
    Ok((u64::from_le_bytes(*number), codec::decode_amendment(rest)?))
}
