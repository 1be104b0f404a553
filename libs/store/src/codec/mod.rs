//! The stored form of the engine's records: little-endian, without padding, the same in every store that keeps bytes.
//!
//! A step's record is the one that there are a million of: it has a fixed size and a form of its own ([`step`]); so have
//! expansions ([`expansion`]), which lie behind each other. The others ([`run`], [`attempt`]) begin with [`FORMAT`], but for
//! [`submission`], [`amendment`], [`cache_entry`] and [`order`], which can grow by themselves. What cannot be understood is an
//! error, never a panic.

mod amendment;
mod attempt;
mod cache_entry;
mod expansion;
mod number;
mod order;
mod run;
mod step;
mod submission;

pub(crate) use amendment::{decode_amendment, encode_amendment};
pub(crate) use attempt::{decode_attempt, encode_attempt};
pub(crate) use cache_entry::{decode_cache_entry, encode_cache_entry};
pub(crate) use expansion::{EXPANSION_SIZE, decode_expansions, encode_expansions};
pub(crate) use order::{decode_order, encode_order};
pub(crate) use run::{decode_run, encode_run};
pub(crate) use step::{STEP_SIZE, decode_step, encode_step};
pub(crate) use submission::{decode_submission, encode_submission};

use windlass_engine::time::Timestamp;

use crate::StoreError;

/// The form that this version of the program writes, and the only one there has been.
const FORMAT: u8 = 1;

/// Bytes that are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("a {what} record ends too early")]
    Short { what: &'static str },
    #[error("a {what} record goes on after its end")]
    Long { what: &'static str },
    #[error("a {what} record has the form {format}, which this version does not know")]
    Format { what: &'static str, format: u8 },
    #[error("a {what} record has {value} as its {field}, which means nothing")]
    Value { what: &'static str, field: &'static str, value: u8 },
    #[error("a {what} record has a text that is not UTF-8")]
    Text { what: &'static str },
}

impl From<DecodeError> for StoreError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Reads a record from its beginning to its end.
struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins to read a record that begins with its form.
    fn new(what: &'static str, bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Self { what, rest: bytes };
        match reader.u8()? {
            FORMAT => Ok(reader),
            format => Err(DecodeError::Format { what, format }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) =
            self.rest.split_first_chunk().ok_or(DecodeError::Short { what: self.what })?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Result<Timestamp, DecodeError> {
        self.u64().map(Timestamp)
    }

    /// A value behind a byte that is 1, or none behind a byte that is 0.
    fn option<T>(
        &mut self,
        field: &'static str,
        value: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.u8()? {
            0 => Ok(None),
            1 => value(self).map(Some),
            other => Err(self.means_nothing(field, other)),
        }
    }

    /// The text that takes up the rest.
    fn text(&mut self) -> Result<String, DecodeError> {
        let text = str::from_utf8(self.rest).map_err(|_| DecodeError::Text { what: self.what })?;
        self.rest = &[];
        Ok(text.to_owned())
    }

    fn means_nothing(&self, field: &'static str, value: u8) -> DecodeError {
        DecodeError::Value { what: self.what, field, value }
    }

    fn end<T>(self, record: T) -> Result<T, DecodeError> {
        if self.rest.is_empty() { Ok(record) } else { Err(DecodeError::Long { what: self.what }) }
    }
}

/// Writes what [`Reader::option`] reads.
fn put_option<const N: usize>(bytes: &mut Vec<u8>, value: Option<[u8; N]>) {
    bytes.push(u8::from(value.is_some()));
    bytes.extend_from_slice(value.as_ref().map_or(&[], <[u8; N]>::as_slice));
}
