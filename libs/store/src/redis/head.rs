//! A run's head: all that a commit changes of a run, its steps and details left out.
//!
//! ```text
//! byte  0   the version's number
//!       8   the version's commit id
//!      16   when it was created, inverted (48 bits, big-endian; all else is little-endian)
//!      22   the number of steps, which a commit may raise
//!      26   the submission's size
//!      30   the sequence of the latest order
//!      34   the state that clients see          ┐
//!      35   1 if the record is final            │ the end, which a commit replaces
//!      36   the record's size                   │
//!      40   the record                          ┘
//!           orders, the oldest first: the sequence, the size, and the message that says what is asked
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
    /// What waits in the inbox, each with its sequence. Whether it makes sense is for who asks for it.
    inbox: Vec<(u32, Vec<u8>)>,
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
        let mut rest = orders;
        let mut inbox = Vec::new();
        while !rest.is_empty() {
            let sequence = u32::from_le_bytes(take(&mut rest).ok_or_else(short)?);
            let size = u32::from_le_bytes(take(&mut rest).ok_or_else(short)?);
            let (order, left) = rest.split_at_checked(size as usize).ok_or_else(short)?;
            inbox.push((sequence, order.to_vec()));
            rest = left;
        }
        Ok(Self { version, created_at, steps, submission_size, record, inbox })
    }

    pub(super) fn has_orders(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// The orders in the inbox, the oldest first.
    pub(super) fn orders(&self) -> Result<Vec<PlacedOrder>, StoreError> {
        let decode = |(sequence, order): &(u32, Vec<u8>)| {
            let order = codec::decode_order(order)?;
            Ok(PlacedOrder { sequence: (*sequence).into(), order })
        };
        self.inbox.iter().map(decode).collect()
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(*bytes)
}
