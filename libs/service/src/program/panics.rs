//! Panics of any thread and task.

use std::panic;

use tokio_util::sync::CancellationToken;
use tracing::error;

/// Tells of every panic in a log line, and cancels the token at the first one. Tokio keeps a panic to the task it happened
/// in; without this, a program could go on with a part of it gone.
pub(super) fn watch() -> CancellationToken {
    let panicked = CancellationToken::new();
    let token = panicked.clone();
    panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or("no message");
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        error!(location, "panicked: {message}; this is a defect of Windlass, please report it");
        token.cancel();
    }));
    panicked
}
