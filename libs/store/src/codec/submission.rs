//! The stored form of what was submitted: the digest, and a message in the form of protocol buffers. The run's id is where it
//! is kept, not inside.

use std::collections::BTreeMap;

use prost::Message;
use windlass_proto::id::RunId;

use crate::{StoreError, Submission};

#[derive(Clone, PartialEq, Eq, Message)]
struct Stored {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    pipeline: String,
    #[prost(btree_map = "string, string", tag = "3")]
    labels: BTreeMap<String, String>,
    #[prost(string, tag = "4")]
    arguments_json: String,
    #[prost(string, optional, tag = "5")]
    rerun_of: Option<String>,
    #[prost(uint32, tag = "6")]
    steps: u32,
    #[prost(bool, tag = "7")]
    no_cache: bool,
    #[prost(sint32, tag = "8")]
    priority: i32,
}

pub(crate) fn encode_submission(submission: &Submission) -> Vec<u8> {
    let stored = Stored {
        namespace: submission.namespace.clone(),
        pipeline: submission.pipeline.clone(),
        labels: submission.labels.clone(),
        arguments_json: submission.arguments_json.clone(),
        rerun_of: submission.rerun_of.map(|run| run.to_string()),
        steps: submission.steps,
        no_cache: submission.no_cache,
        priority: submission.priority,
    };
    let mut bytes = submission.digest.to_vec();
    bytes.extend(stored.encode_to_vec());
    bytes
}

/// The inverse of [`encode_submission`].
pub(crate) fn decode_submission(id: RunId, bytes: &[u8]) -> Result<Submission, StoreError> {
    let damaged = |why: String| StoreError::Damaged(format!("what was submitted as {id}: {why}"));
    let (digest, rest) =
        bytes.split_first_chunk().ok_or_else(|| damaged("it ends too early".into()))?;
    let stored = Stored::decode(rest).map_err(|error| damaged(error.to_string()))?;
    let rerun_of = stored.rerun_of.map(|run| run.parse()).transpose();
    Ok(Submission {
        id,
        namespace: stored.namespace,
        pipeline: stored.pipeline,
        labels: stored.labels,
        arguments_json: stored.arguments_json,
        digest: *digest,
        rerun_of: rerun_of.map_err(|error| damaged(format!("{error}")))?,
        steps: stored.steps,
        no_cache: stored.no_cache,
        priority: stored.priority,
    })
}
