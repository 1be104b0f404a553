//! Puts a pipeline together that comes in parts.

use std::time::Duration;

use prost::Message as _;
use tokio::{sync::Semaphore, time::timeout};
use tonic::Streaming;
use windlass_pipeline::limits;
use windlass_proto::v1::{self, submit_large_run_request::Part};
use windlass_service::error::{ApiError, ErrorReason};

/// How many large submissions are taken in at once: a pipeline takes up many times more memory than on its way.
pub(crate) const AT_ONCE: usize = 4;

/// How long the next part may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads all parts of a submission, where not too many others are read already.
pub(crate) async fn collect(
    mut parts: Streaming<v1::SubmitLargeRunRequest>,
    room: &Semaphore,
) -> Result<v1::SubmitRunRequest, tonic::Status> {
    let _room = room.try_acquire().map_err(|_| {
        let message = format!("{AT_ONCE} large runs are being submitted already; try again soon");
        ApiError::new(ErrorReason::Unavailable, message)
    })?;
    let mut upload = Upload::default();
    loop {
        match timeout(PATIENCE, parts.message()).await {
            Ok(Ok(Some(message))) => upload.add(message)?,
            Ok(Ok(None)) => return Ok(upload.finish()?),
            Ok(Err(status)) => return Err(status),
            Err(_elapsed) => {
                let message = format!("no part came for {} s; submit again", PATIENCE.as_secs());
                return Err(ApiError::new(ErrorReason::Unavailable, message).into());
            }
        }
    }
}

/// A submission of which some parts are there.
#[derive(Debug, Default)]
struct Upload {
    request: Option<v1::SubmitRunRequest>,
    bytes: usize,
}

impl Upload {
    fn add(&mut self, message: v1::SubmitLargeRunRequest) -> Result<(), ApiError> {
        self.bytes += message.encoded_len();
        if self.bytes > limits::PIPELINE_BYTES {
            return Err(ApiError::new(
                ErrorReason::TooLarge,
                format!(
                    "the submission is larger than {} MiB; split the pipeline",
                    limits::PIPELINE_BYTES >> 20
                ),
            ));
        }
        match (message.part, &mut self.request) {
            (Some(Part::Request(request)), None) => self.request = Some(request),
            (Some(Part::Request(_)), Some(_)) => {
                return Err(ApiError::invalid(
                    "request",
                    "came twice; send it in the first message alone",
                ));
            }
            (Some(Part::Steps(chunk)), Some(request)) => {
                let pipeline = request.pipeline.get_or_insert_default();
                if pipeline.steps.len() + chunk.steps.len() > limits::STEPS {
                    let message =
                        format!("a pipeline has at most {} steps; split it", limits::STEPS);
                    return Err(ApiError::new(ErrorReason::TooLarge, message));
                }
                pipeline.steps.extend(chunk.steps);
            }
            (Some(Part::Steps(_)), None) => {
                return Err(ApiError::invalid(
                    "steps",
                    "came before the request; send the request first",
                ));
            }
            (None, _) => {
                return Err(ApiError::invalid("part", "is not set; send the request, then steps"));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<v1::SubmitRunRequest, ApiError> {
        self.request
            .ok_or_else(|| ApiError::invalid("request", "never came; send it in the first message"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> v1::SubmitLargeRunRequest {
        let request = v1::SubmitRunRequest { namespace: "n".into(), ..Default::default() };
        v1::SubmitLargeRunRequest { part: Some(Part::Request(request)) }
    }

    fn steps(names: &[&str]) -> v1::SubmitLargeRunRequest {
        let step = |name: &&str| v1::Step { name: (*name).to_owned(), ..Default::default() };
        let steps = names.iter().map(step).collect();
        v1::SubmitLargeRunRequest { part: Some(Part::Steps(v1::StepChunk { steps })) }
    }

    #[test]
    fn parts_are_put_together_in_order() {
        let mut upload = Upload::default();
        for part in [request(), steps(&["a", "b"]), steps(&["c"])] {
            upload.add(part).unwrap();
        }
        let pipeline = upload.finish().unwrap().pipeline.unwrap();
        let names: Vec<_> = pipeline.steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn parts_out_of_order_are_refused() {
        let nothing = v1::SubmitLargeRunRequest { part: None };
        for parts in [vec![steps(&["a"])], vec![request(), request()], vec![nothing]] {
            let mut upload = Upload::default();
            assert!(parts.into_iter().try_for_each(|part| upload.add(part)).is_err());
        }
        assert!(Upload::default().finish().is_err());
    }

    #[test]
    fn what_is_larger_than_the_limit_is_refused_before_it_is_all_there() {
        let mut upload = Upload { request: None, bytes: limits::PIPELINE_BYTES };
        assert_eq!(upload.add(request()).unwrap_err().reason, ErrorReason::TooLarge);
    }
}
