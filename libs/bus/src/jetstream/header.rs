//! The headers of a message, as NATS has them.

use async_nats::{HeaderMap, header::NATS_MESSAGE_ID};

use crate::{BusError, Headers, Message};

/// The line that begins a block of headers, and the empty one that ends it, in bytes.
const FRAME: usize = "NATS/1.0\r\n\r\n".len();

/// What stands around a header's name and value, in bytes.
const AROUND: usize = ": \r\n".len();

pub(super) fn to_nats(headers: &Headers) -> HeaderMap {
    headers.iter().fold(HeaderMap::new(), |mut map, (name, value)| {
        map.insert(name, value);
        map
    })
}

/// Leaves out what Windlass did not send.
pub(super) fn from_nats(map: Option<&HeaderMap>) -> Headers {
    let mut headers = Headers::default();
    for (name, values) in map.into_iter().flat_map(HeaderMap::iter) {
        if let Some(value) = values.last() {
            // A name with capitals is the server's own.
            let _ = headers.insert(name.as_ref(), value.as_str());
        }
    }
    headers
}

/// Refuses what the server does not take, so that the connection does not end for it. `id` is the length of the id that
/// names the publication; 0 where it has none.
pub(super) fn check_size(message: &Message, id: usize, limit: usize) -> Result<(), BusError> {
    let line = |(name, value): (&str, &str)| name.len() + value.len() + AROUND;
    let name: &str = NATS_MESSAGE_ID.as_ref();
    let id = if id == 0 { 0 } else { name.len() + id + AROUND };
    let lines = message.headers.iter().map(line).sum::<usize>() + id;
    let bytes = message.payload.len() + if lines == 0 { 0 } else { lines + FRAME };
    if bytes > limit { Err(BusError::TooLarge { bytes, limit }) } else { Ok(()) }
}
