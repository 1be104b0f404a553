//! The context of a caller's trace, carried on to whoever hears of the call.

use tonic::metadata::MetadataMap;
use windlass_bus::Headers;

/// The headers of the W3C's recommendations Trace Context and Baggage.
const NAMES: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// The context that a call brings. What cannot be sent on is left out: it is no reason to refuse the call.
pub(crate) fn context_of(metadata: &MetadataMap) -> Headers {
    let mut headers = Headers::default();
    for name in NAMES {
        let values: Vec<&str> =
            metadata.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        if !values.is_empty() {
            // A list may come in several headers, and is the same one joined.
            let _ = headers.insert(name, values.join(",").trim());
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;
    use tonic::Request;
    use windlass_bus::{Bus as _, MemoryBus};
    use windlass_proto::{
        subject::Subject,
        v1::{self, run_service_server::RunService as _, step::Work},
    };
    use windlass_store::MemoryStore;

    use super::*;
    use crate::{Submitter, SubmitterConfig};

    #[test]
    fn a_context_in_several_headers_is_joined_and_what_cannot_be_sent_is_left_out() {
        let mut metadata = MetadataMap::new();
        metadata.append("tracestate", "a=1".parse().unwrap());
        metadata.append("tracestate", "b=2 ".parse().unwrap());
        metadata.append("baggage", "x".repeat(9000).parse().unwrap());
        metadata.append("authorization", "secret".parse().unwrap());
        let headers = context_of(&metadata);
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("tracestate", "a=1,b=2")]);
    }

    #[tokio::test]
    async fn the_event_of_a_run_carries_the_trace_of_its_submission() {
        let bus = Arc::new(MemoryBus::new());
        let config = SubmitterConfig { installation: "here".into(), partitions: 1 };
        let store = Arc::new(MemoryStore::new());
        let submitter = Submitter::new(config, bus.clone(), store, CancellationToken::new());
        let task = v1::Task { command: vec!["true".into()], ..Default::default() };
        let step = v1::Step {
            name: "s".into(),
            work: Some(Work::Task(task.into())),
            ..Default::default()
        };
        let pipeline = v1::Pipeline { name: "p".into(), steps: vec![step], ..Default::default() };
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut request =
            Request::new(v1::SubmitRunRequest { pipeline: Some(pipeline), ..Default::default() });
        request.metadata_mut().insert("traceparent", parent.parse().unwrap());
        submitter.submit_run(request).await.unwrap();
        let mut consumer = bus.consume(Subject::Event { partition: 0 }).await.unwrap();
        let delivery = consumer.fetch(1).await.unwrap().pop().unwrap();
        assert_eq!(delivery.headers.iter().collect::<Vec<_>>(), [("traceparent", parent)]);
    }
}
