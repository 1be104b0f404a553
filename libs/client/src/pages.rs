//! Lists that come in pages.

use windlass_proto::v1::{
    Attempt, ListAttemptsRequest, ListRunsRequest, ListStepsRequest, Run, StepStatus,
};

use crate::{Client, ClientError, connect::timed};

/// A list that is being read, page after page.
#[derive(Debug)]
pub struct Pages<R> {
    client: Client,
    request: R,
    ended: bool,
}

impl<R: Paged> Pages<R> {
    pub(crate) fn new(client: Client, request: R) -> Self {
        Self { client, request, ended: false }
    }

    /// The next page, which may be empty before the end; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<R::Item>>, ClientError> {
        if self.ended {
            return Ok(None);
        }
        let fetched = self.client.repeat(|| self.request.clone().fetch(self.client.clone()));
        let (items, token) = fetched.await?;
        self.ended = token.is_empty();
        self.request.turn_to(token);
        Ok(Some(items))
    }

    /// At most `limit` further items, and whether there are more.
    pub async fn take(mut self, limit: usize) -> Result<(Vec<R::Item>, bool), ClientError> {
        let mut items = Vec::new();
        while items.len() <= limit
            && let Some(page) = self.next().await?
        {
            items.extend(page);
        }
        let more = items.len() > limit;
        items.truncate(limit);
        Ok((items, more))
    }

    /// All further items.
    pub async fn all(self) -> Result<Vec<R::Item>, ClientError> {
        Ok(self.take(usize::MAX - 1).await?.0)
    }
}

/// A request that is answered in pages. Implemented for the contract's own, and for nothing else.
pub trait Paged: Clone + sealed::Sealed {
    /// What the pages hold.
    type Item;

    /// Asks for the page that `token` names.
    fn turn_to(&mut self, token: String);

    /// Reads one page, and the token of the next, which is empty after the last.
    fn fetch(
        self,
        client: Client,
    ) -> impl Future<Output = Result<(Vec<Self::Item>, String), ClientError>> + Send;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ListRunsRequest {}
    impl Sealed for super::ListStepsRequest {}
    impl Sealed for super::ListAttemptsRequest {}
}

impl Paged for ListRunsRequest {
    type Item = Run;

    fn turn_to(&mut self, token: String) {
        self.page_token = token;
    }

    async fn fetch(self, mut client: Client) -> Result<(Vec<Run>, String), ClientError> {
        let page = client.runs.list_runs(timed(self)).await?.into_inner();
        Ok((page.runs, page.next_page_token))
    }
}

impl Paged for ListStepsRequest {
    type Item = StepStatus;

    fn turn_to(&mut self, token: String) {
        self.page_token = token;
    }

    async fn fetch(self, mut client: Client) -> Result<(Vec<StepStatus>, String), ClientError> {
        let page = client.runs.list_steps(timed(self)).await?.into_inner();
        Ok((page.steps, page.next_page_token))
    }
}

impl Paged for ListAttemptsRequest {
    type Item = Attempt;

    fn turn_to(&mut self, token: String) {
        self.page_token = token;
    }

    async fn fetch(self, mut client: Client) -> Result<(Vec<Attempt>, String), ClientError> {
        let page = client.runs.list_attempts(timed(self)).await?.into_inner();
        Ok((page.attempts, page.next_page_token))
    }
}
