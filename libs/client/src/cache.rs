//! The cache of results.

use windlass_proto::v1::ClearCacheRequest;

use crate::{Client, ClientError, connect::timed};

impl Client {
    /// Forgets results that were kept, and tells how many there were.
    pub async fn clear_cache(&self, request: ClearCacheRequest) -> Result<u64, ClientError> {
        let answer = self.runs.clone().clear_cache(timed(request)).await?.into_inner();
        Ok(answer.forgotten)
    }
}
