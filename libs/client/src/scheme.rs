//! Telling a server that speaks TLS from one that does not, for those who wrote the other one's address: to each of them the
//! first bytes of the other one are noise, and neither says what is wrong.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::codegen::http::Uri;

/// How long a server has to say something.
const LIMIT: Duration = Duration::from_secs(3);
/// How a client of HTTP/2 begins: the preface, and a frame of settings that changes none.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// What a server without TLS may begin with besides a frame of settings: one that wants to hear HTTP/1.
const HTTP_1: &[u8] = b"HTTP/1.";
/// The bytes that are looked at: the head of a frame has as many.
const HEAD: usize = 9;

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// It answers plain text with an alert of TLS.
    Tls,
    /// It answers plain text with plain text.
    Plain,
}

impl Spoken {
    fn of(first: &[u8]) -> Option<Self> {
        /// The number of TLS's alerts, and the first one of its versions.
        const ALERT: [u8; 2] = [0x15, 3];
        /// The type of a frame of settings, which comes first.
        const SETTINGS: u8 = 4;
        if first.starts_with(&ALERT) {
            return Some(Self::Tls);
        }
        let is_settings = first.len() == HEAD && first[3] == SETTINGS && first[5..] == [0; 4];
        (is_settings || first.starts_with(HTTP_1)).then_some(Self::Plain)
    }
}

/// What the server at an address speaks; none where that cannot be told.
pub(crate) async fn spoken(endpoint: &str) -> Option<Spoken> {
    let uri: Uri = endpoint.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']);
    let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let asked = ask(host, uri.port_u16().unwrap_or(default_port));
    timeout(LIMIT, asked).await.ok()?.ok()?
}

async fn ask(host: &str, port: u16) -> io::Result<Option<Spoken>> {
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.write_all(GREETING).await?;
    let mut first = [0; HEAD];
    let mut length = 0;
    while length < HEAD {
        match stream.read(&mut first[length..]).await? {
            0 => break,
            more => length += more,
        }
        let spoken = Spoken::of(&first[..length]);
        if spoken.is_some() {
            return Ok(spoken);
        }
    }
    Ok(None)
}

/// The same address with the scheme of what is spoken there.
pub(crate) fn corrected(endpoint: &str, spoken: Spoken) -> String {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    match spoken {
        Spoken::Tls => format!("https://{rest}"),
        Spoken::Plain => format!("http://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_is_spoken() {
        assert_eq!(Spoken::of(&[0x15, 3, 3, 0, 2, 2, 10]), Some(Spoken::Tls));
        assert_eq!(Spoken::of(&[0, 0, 24, 4, 0, 0, 0, 0, 0]), Some(Spoken::Plain));
        assert_eq!(Spoken::of(b"HTTP/1.1 "), Some(Spoken::Plain));
        for unknown in [&b""[..], b"\x15", b"220 mail.", &[0, 0, 24, 4, 0]] {
            assert_eq!(Spoken::of(unknown), None);
        }
    }
}
