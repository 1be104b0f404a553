//! What a single message may cost the submitter before it is refused.

use std::fs;

use tonic::{Code, Request, Status, client::Grpc};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;
use windlass_proto::v1;

use crate::deployment::{Deployment, Kind, Program};

/// The bytes of steps in one message: near the most that a message may have.
const STEPS_BYTES: usize = (16 << 20) - 1024;

/// The most that it may cost beyond that: it comes in pieces, which are put together.
const COST_MAX: u64 = 6 * STEPS_BYTES as u64;

/// A submission whose pipeline is bytes, as it is on its way.
#[derive(Clone, PartialEq, prost::Message)]
struct EncodedSubmission {
    #[prost(bytes = "vec", tag = "3")]
    pipeline: Vec<u8>,
}

/// A part of a large submission whose chunk of steps is bytes.
#[derive(Clone, PartialEq, prost::Message)]
struct EncodedPart {
    #[prost(bytes = "vec", tag = "2")]
    chunk: Vec<u8>,
}

/// The most memory that a program has had so far, in bytes.
fn peak(program: &Program) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is told");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

async fn submit(submitter: &Program, pipeline: Vec<u8>) -> Status {
    let mut service = Grpc::new(submitter.channel());
    service.ready().await.expect("it answers");
    let path = "/windlass.v1.RunService/SubmitRun".parse().expect("a path");
    let codec = ProstCodec::<EncodedSubmission, v1::SubmitRunResponse>::default();
    let request = Request::new(EncodedSubmission { pipeline });
    service.unary(request, path, codec).await.expect_err("it is refused")
}

async fn submit_part(submitter: &Program, chunk: Vec<u8>) -> Status {
    let mut service = Grpc::new(submitter.channel());
    service.ready().await.expect("it answers");
    let path = "/windlass.v1.RunService/SubmitLargeRun".parse().expect("a path");
    let codec = ProstCodec::<EncodedPart, v1::SubmitLargeRunResponse>::default();
    let parts = Request::new(tokio_stream::once(EncodedPart { chunk }));
    service.client_streaming(parts, path, codec).await.expect_err("it is refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_full_of_steps_that_do_nothing_costs_little_more_than_its_bytes() {
    let deployment = Deployment::start().await;
    let submitter = deployment.program(Kind::Submitter).await;
    let before = peak(&submitter);
    // A key and a length of 0 each: the fourth field of a pipeline, and the first one of a chunk.
    let refusals = [
        submit(&submitter, [0x22, 0].repeat(STEPS_BYTES / 2)).await,
        submit_part(&submitter, [0x0a, 0].repeat(STEPS_BYTES / 2)).await,
    ];
    for refusal in refusals {
        assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal:?}");
        let details = refusal.get_error_details();
        assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("TOO_LARGE"));
    }
    let cost = peak(&submitter) - before;
    assert!(cost < COST_MAX, "{} MiB", cost >> 20);
}
