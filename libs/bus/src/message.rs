//! What travels on the bus: bytes, and a few words beside them.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// What is sent; the bus does not look into it.
    pub payload: Bytes,
    /// What goes with it, such as the context of a trace.
    pub headers: Headers,
}

impl From<Bytes> for Message {
    fn from(payload: Bytes) -> Self {
        Self { payload, headers: Headers::default() }
    }
}

impl From<Vec<u8>> for Message {
    fn from(payload: Vec<u8>) -> Self {
        Bytes::from(payload).into()
    }
}

/// What goes with a message: values by name, in the order of the names. Made for the trace context of the W3C
/// (`traceparent`, `tracestate`, `baggage`).
///
/// **Invariant:** what is in here can be sent on every bus. Names consist of lower-case letters, digits, `-`, `_` and `.`;
/// values of printable ASCII, with no space at either end. A bus's own headers can therefore not be forged: NATS spells
/// its own with capitals.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(BTreeMap<Box<str>, Box<str>>);

/// A header that cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHeader {
    /// The name is not one.
    #[error("`{0}` cannot name a header: use 1 to 64 lower-case letters, digits, `-`, `_` and `.`")]
    Name(String),
    /// The value cannot be sent.
    #[error(
        "the value of header `{0}` cannot be sent: use at most 8192 printable ASCII characters, with no space at either end"
    )]
    Value(String),
}

impl Headers {
    /// The longest name, in bytes.
    const MAX_NAME: usize = 64;
    /// The longest value, in bytes: what the W3C allows for `baggage`.
    const MAX_VALUE: usize = 8192;

    /// Sets a value, in the place of the one that had this name.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        let in_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > Self::MAX_NAME || !name.bytes().all(in_name) {
            return Err(InvalidHeader::Name(name.chars().take(Self::MAX_NAME).collect()));
        }
        let in_value = |byte: u8| matches!(byte, b' '..=b'~');
        let fits = value.len() <= Self::MAX_VALUE && value.trim_ascii().len() == value.len();
        if !fits || !value.bytes().all(in_value) {
            return Err(InvalidHeader::Value(name.to_owned()));
        }
        self.0.insert(name.into(), value.into());
        Ok(())
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(AsRef::as_ref)
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_cannot_be_sent_is_refused_and_changes_nothing() {
        let mut headers = Headers::default();
        for name in ["", "Nats-Msg-Id", "trace parent", "a:b", "a\r\nb", "ä", &"n".repeat(65)] {
            let refused = headers.insert(name, "1").unwrap_err();
            assert!(matches!(refused, InvalidHeader::Name(_)), "{refused}");
        }
        for value in [" 1", "1 ", "a\r\nb: 1", "\t", "ä", &"v".repeat(8193)] {
            let refused = headers.insert("name", value).unwrap_err();
            assert_eq!(refused, InvalidHeader::Value("name".into()));
        }
        assert!(headers.is_empty());
    }

    #[test]
    fn a_name_has_its_last_value_and_names_are_in_order() {
        let mut headers = Headers::default();
        for (name, value) in
            [("tracestate", "a=1,b=2"), ("baggage", "k=v;p = 1"), ("tracestate", "")]
        {
            headers.insert(name, value).unwrap();
        }
        assert!(headers.iter().eq([("baggage", "k=v;p = 1"), ("tracestate", "")]));
        assert_eq!((headers.get("tracestate"), headers.get("Baggage")), (Some(""), None));
    }
}
