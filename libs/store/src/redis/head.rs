//! A run's head: all that a commit changes of a run, its steps and details left out.
//!
//! ```text
//! byte  0   the version's number
//!       8   the version's commit id
//!      16   when it was created, inverted (48 bits, big-endian; all else is little-endian)
//!      22   the number of steps
//!      26   the submission's size
//!      30   the sequence of the latest order
//!      34   the state that clients see          ┐
//!      35   1 if the record is final            │ the end, which a commit replaces
//!      36   the record's size                   │
//!      40   the record                          ┘
//!           orders, 5 bytes each: the sequence, and what is asked
//! ```

use windlass_engine::{record::RunRecord, time::Timestamp};
use windlass_proto::convert;

use super::keys;
use crate::{PlacedOrder, StoreError, Version, codec};

/// A head as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: Version,
    pub(super) created_at: Timestamp,
    pub(super) steps: u32,
    pub(super) submission_size: u32,
    pub(super) record: RunRecord,
    pub(super) orders: Vec<PlacedOrder>,
}

/// A version as scripts compare it.
pub(super) fn encode_version(version: Version) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&version.number.to_le_bytes());
    bytes[8..].copy_from_slice(&version.commit.to_le_bytes());
    bytes
}

/// The part of a head that a commit replaces.
pub(super) fn encode_end(record: &RunRecord) -> Vec<u8> {
    let encoded = codec::encode_run(record);
    let mut bytes = shown_of(record).to_vec();
    bytes.extend((encoded.len() as u32).to_le_bytes());
    bytes.extend(encoded);
    bytes
}

/// What scripts read of a record: the state that clients see, and whether it is final.
fn shown_of(record: &RunRecord) -> [u8; 2] {
    let state = i32::from(convert::run_state(record)).to_le_bytes()[0];
    [state, u8::from(record.state.is_final())]
}

impl Head {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let short = || StoreError::Damaged("a run's head ends too early".into());
        let mut rest = bytes;
        let version = Version {
            number: u64::from_le_bytes(take(&mut rest).ok_or_else(short)?),
            commit: u64::from_le_bytes(take(&mut rest).ok_or_else(short)?),
        };
        let created_at = keys::time(take(&mut rest).ok_or_else(short)?);
        let [steps, submission_size, _] = {
            let mut number = || take(&mut rest).map(u32::from_le_bytes).ok_or_else(short);
            [number()?, number()?, number()?]
        };
        let shown = take::<2>(&mut rest).ok_or_else(short)?;
        let size = u32::from_le_bytes(take(&mut rest).ok_or_else(short)?);
        let (record, orders) = rest.split_at_checked(size as usize).ok_or_else(short)?;
        let record = codec::decode_run(record)?;
        if shown != shown_of(&record) {
            return Err(StoreError::Damaged("a run's head contradicts itself".into()));
        }
        let (orders, left) = orders.as_chunks();
        if !left.is_empty() {
            return Err(short());
        }
        let orders = orders.iter().copied().map(decode_order).collect::<Result<_, _>>()?;
        Ok(Self { version, created_at, steps, submission_size, record, orders })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*bytes)
}

fn decode_order([a, b, c, d, kind]: [u8; 5]) -> Result<PlacedOrder, StoreError> {
    let order = codec::order(kind).ok_or_else(|| {
        StoreError::Damaged(format!("an order has the kind {kind}, which means nothing"))
    })?;
    Ok(PlacedOrder { sequence: u32::from_le_bytes([a, b, c, d]).into(), order })
}
