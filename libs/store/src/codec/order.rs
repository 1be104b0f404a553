//! The stored form of an order: the message `windlass.v1.Order`.

use prost::Message as _;
use windlass_engine::event::Order;
use windlass_proto::{convert, v1};

use crate::StoreError;

pub(crate) fn encode_order(order: &Order) -> Vec<u8> {
    convert::order_to_proto(order).encode_to_vec()
}

/// The inverse of [`encode_order`].
pub(crate) fn decode_order(bytes: &[u8]) -> Result<Order, StoreError> {
    let damaged = |why: String| StoreError::Damaged(format!("an order makes no sense: {why}"));
    let order = v1::Order::decode(bytes).map_err(|error| damaged(error.to_string()))?;
    convert::order_from_proto(order).map_err(|error| damaged(error.to_string()))
}
