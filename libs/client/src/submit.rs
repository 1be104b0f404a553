//! Submitting: the choice between one message and many, and a request id that makes repeating safe.

use prost::Message as _;
use tokio_stream::iter;
use tonic::Request;
use uuid::Uuid;
use windlass_proto::v1::{
    Pipeline, RerunRunRequest, Run, Step, StepChunk, SubmitLargeRunRequest, SubmitRunRequest,
    submit_large_run_request::Part,
};

use crate::{Client, ClientError, MAX_MESSAGE_BYTES, connect::timed};

/// The most bytes of steps in one message of a large submission.
pub const MAX_CHUNK_BYTES: usize = 4 << 20;

impl Client {
    /// Starts a run, in one message or, where it is larger than a message may be, in parts.
    ///
    /// An empty request id is replaced by a random one, so that the submission can be repeated when the answer got lost.
    pub async fn submit(&self, mut request: SubmitRunRequest) -> Result<Run, ClientError> {
        fill_request_id(&mut request.request_id);
        if request.encoded_len() > MAX_MESSAGE_BYTES {
            return self.submit_large(request).await;
        }
        self.repeat(|| async {
            let answer = self.runs.clone().submit_run(timed(request.clone())).await?.into_inner();
            answer.run.ok_or(ClientError::Incomplete("run"))
        })
        .await
    }

    async fn submit_large(&self, request: SubmitRunRequest) -> Result<Run, ClientError> {
        self.repeat(|| async {
            // The parts are made while they are sent: a second copy of a million steps need not exist whole.
            let parts = iter(Parts::new(request.clone()));
            let answer =
                self.runs.clone().submit_large_run(Request::new(parts)).await?.into_inner();
            answer.run.ok_or(ClientError::Incomplete("run"))
        })
        .await
    }

    /// Starts a new run with the pipeline and the arguments of an old one. As to `request_id`, see [`Client::submit`].
    pub async fn rerun(&self, run_id: &str, mut request_id: String) -> Result<Run, ClientError> {
        fill_request_id(&mut request_id);
        let request = RerunRunRequest { run_id: run_id.to_owned(), request_id };
        self.repeat(|| async {
            let answer = self.runs.clone().rerun_run(timed(request.clone())).await?.into_inner();
            answer.run.ok_or(ClientError::Incomplete("run"))
        })
        .await
    }
}

fn fill_request_id(request_id: &mut String) {
    if request_id.is_empty() {
        *request_id = Uuid::new_v4().to_string();
    }
}

/// The messages of a large submission: the request without steps, then the steps in chunks below [`MAX_CHUNK_BYTES`] (a
/// single larger step goes alone).
struct Parts {
    request: Option<SubmitRunRequest>,
    steps: std::iter::Peekable<std::vec::IntoIter<Step>>,
}

impl Parts {
    fn new(mut request: SubmitRunRequest) -> Self {
        let pipeline = request.pipeline.get_or_insert_with(Pipeline::default);
        let steps = std::mem::take(&mut pipeline.steps).into_iter().peekable();
        Self { request: Some(request), steps }
    }

    fn next_chunk(&mut self) -> Option<StepChunk> {
        let first = self.steps.next()?;
        let mut bytes = encoded_in_list(&first);
        let mut steps = vec![first];
        while let Some(step) =
            self.steps.next_if(|step| bytes + encoded_in_list(step) <= MAX_CHUNK_BYTES)
        {
            bytes += encoded_in_list(&step);
            steps.push(step);
        }
        Some(StepChunk { steps })
    }
}

impl Iterator for Parts {
    type Item = SubmitLargeRunRequest;

    fn next(&mut self) -> Option<Self::Item> {
        let part = match self.request.take() {
            Some(request) => Part::Request(request),
            None => Part::Steps(self.next_chunk()?),
        };
        Some(SubmitLargeRunRequest { part: Some(part) })
    }
}

/// The bytes a step takes as an entry of a list: its own, a tag and its length.
fn encoded_in_list(step: &Step) -> usize {
    let bytes = step.encoded_len();
    1 + prost::length_delimiter_len(bytes) + bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_parts_of_a_large_submission_hold_every_step_in_order_and_stay_small(
            sizes in prop::collection::vec(0_usize..2_000_000, 0..12),
        ) {
            let steps: Vec<Step> = sizes
                .iter()
                .enumerate()
                .map(|(index, size)| Step {
                    name: format!("s{index}"),
                    description: "x".repeat(*size),
                    ..Step::default()
                })
                .collect();
            let pipeline = Pipeline { name: "large".to_owned(), steps: steps.clone(), ..Pipeline::default() };
            let request = SubmitRunRequest { pipeline: Some(pipeline), ..SubmitRunRequest::default() };

            let mut parts = Parts::new(request);
            let Some(Part::Request(head)) = parts.next().and_then(|part| part.part) else {
                return Err(TestCaseError::fail("the first part is the request"));
            };
            prop_assert!(head.pipeline.is_some_and(|p| p.name == "large" && p.steps.is_empty()));
            let mut received = Vec::new();
            for part in parts {
                let Some(Part::Steps(chunk)) = part.part else {
                    return Err(TestCaseError::fail("all further parts are steps"));
                };
                prop_assert!(chunk.encoded_len() <= MAX_CHUNK_BYTES);
                prop_assert!(!chunk.steps.is_empty());
                received.extend(chunk.steps);
            }
            prop_assert_eq!(received, steps);
        }
    }
}
