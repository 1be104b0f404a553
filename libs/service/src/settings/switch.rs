//! An address to listen on that can be `off`.

use std::net::SocketAddr;

use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

const OFF: &str = "off";

#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
pub(super) fn serialize<S: Serializer>(
    address: &Option<SocketAddr>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match address {
        Some(address) => serializer.collect_str(address),
        None => serializer.serialize_str(OFF),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == OFF {
        return Ok(None);
    }
    let address = text.parse();
    address.map(Some).map_err(|_| D::Error::custom(format_args!("`{text}` is no address")))
}
