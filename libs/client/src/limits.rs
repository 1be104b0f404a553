//! Named limits, which the runs of a namespace share.

use windlass_proto::v1::{
    GetLimitRequest, GetLimitResponse, Limit, ListLimitsRequest, SetLimitRequest, UnsetLimitRequest,
};

use crate::{Client, ClientError, connect::timed};

impl Client {
    /// Sets how many attempts may hold a limit at once, how many may start in a period, or both.
    pub async fn set_limit(&self, request: SetLimitRequest) -> Result<Limit, ClientError> {
        let answer = self.runs.clone().set_limit(timed(request)).await?.into_inner();
        answer.limit.ok_or(ClientError::Incomplete("limit"))
    }

    /// Forgets what was set of a limit.
    pub async fn unset_limit(&self, request: UnsetLimitRequest) -> Result<Limit, ClientError> {
        let answer = self.runs.clone().unset_limit(timed(request)).await?.into_inner();
        answer.limit.ok_or(ClientError::Incomplete("limit"))
    }

    /// Lists the limits of a namespace that are set, held or waited for, by name.
    pub async fn list_limits(&self, request: ListLimitsRequest) -> Result<Vec<Limit>, ClientError> {
        self.repeat(|| async {
            Ok(self.runs.clone().list_limits(timed(request.clone())).await?.into_inner().limits)
        })
        .await
    }

    /// Reads one limit, and who holds it.
    pub async fn get_limit(
        &self,
        request: GetLimitRequest,
    ) -> Result<GetLimitResponse, ClientError> {
        self.repeat(|| async {
            Ok(self.runs.clone().get_limit(timed(request.clone())).await?.into_inner())
        })
        .await
    }
}
