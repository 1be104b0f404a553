//! Reads the outputs of a step from the termination message of its program.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::names;
use crate::{label::OUTPUTS, observed::ObservedPod};

/// The most that a node keeps of one container's message.
const MESSAGE_BYTES: usize = 4096;
/// The most that it keeps of all containers of a pod: each may have an even share of it.
const ALL_MESSAGES_BYTES: usize = 12 * 1024;

/// What is wrong with the outputs.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    #[error(
        "the outputs were cut off: the cluster keeps no more than {limit} bytes of what this pod's program writes to the file \
         named by WINDLASS_OUTPUT; write large data where later steps can read it, and its place as the output"
    )]
    TooLarge { limit: usize },
    #[error(
        "the outputs are not a JSON object: {0}; write one object, such as {{\"rows\": 3}}, to the file named by \
         WINDLASS_OUTPUT"
    )]
    NotAnObject(serde_json::Error),
    #[error(
        "the step declares outputs that it did not write: {}; write them as one JSON object to the file named by \
         WINDLASS_OUTPUT, or do not declare them", .0.join(", ")
    )]
    Missing(Vec<String>),
}

/// The outputs as JSON text; none where the program wrote none or declares none: then its message is for people.
pub(super) fn read(pod: &ObservedPod, message: &str) -> Result<Option<Arc<str>>, OutputError> {
    let declared: Vec<&str> = names(pod.annotation(OUTPUTS).unwrap_or_default()).collect();
    if declared.is_empty() {
        return Ok(None);
    }
    let text = message.trim();
    let written = match text {
        "" => Map::new(),
        text => serde_json::from_str::<Map<String, Value>>(text).map_err(|error| {
            let limit = limit(pod);
            // What was cut off is no JSON any more; what just fits may be.
            if message.len() >= limit {
                OutputError::TooLarge { limit }
            } else {
                OutputError::NotAnObject(error)
            }
        })?,
    };
    let missing = declared.into_iter().filter(|name| !written.contains_key(*name));
    let missing: Vec<String> = missing.map(str::to_owned).collect();
    if !missing.is_empty() {
        return Err(OutputError::Missing(missing));
    }
    // As it was written: numbers keep all their digits.
    Ok((!text.is_empty()).then(|| text.into()))
}

/// How much of the message of a container the node keeps.
fn limit(pod: &ObservedPod) -> usize {
    let status = &pod.status;
    let containers = status.container_statuses.len() + status.init_container_statuses.len();
    MESSAGE_BYTES.min(ALL_MESSAGES_BYTES / containers.max(1))
}
