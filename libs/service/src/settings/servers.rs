//! Addresses of servers to connect to.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, SeqAccess, Visitor},
};
use tonic::codegen::http::Uri;

/// Where a server is: a scheme, a host, and a port. It holds no password, so it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(Uri);

/// One server or several of the same kind, in the order in which they are given; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers(Vec<ServerUrl>);

impl ServerUrl {
    /// How it is spoken to, such as `nats`.
    pub fn scheme(&self) -> &str {
        self.0.scheme_str().unwrap_or_default()
    }

    /// The name or address of its machine; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    /// Its port, if one is given.
    pub fn port(&self) -> Option<u16> {
        self.0.port_u16()
    }

    /// The problem never repeats the text, which may hold a password.
    fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.trim().parse().map_err(|_| "is no URL".to_owned())?;
        if uri.scheme().is_none() || uri.host().is_none_or(str::is_empty) {
            return Err("lacks the scheme or the host".to_owned());
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(
                "holds a user or password, which would be shown wherever the URL is; leave them out and use the keys \
                 for user, password and password file"
                    .to_owned(),
            );
        }
        if uri.path_and_query().is_some_and(|path| !matches!(path.as_str(), "" | "/")) {
            return Err("goes on after the port".to_owned());
        }
        Ok(Self(uri))
    }
}

/// `SCHEME://HOST:PORT`, without a slash at the end.
impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.host())?;
        self.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Servers {
    /// All of them.
    pub fn as_slice(&self) -> &[ServerUrl] {
        &self.0
    }

    /// Servers that are written in the program.
    pub(super) fn constant(text: &str) -> Self {
        Self(vec![ServerUrl::parse(text).expect("a URL written in the program")])
    }

    fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let servers: Vec<_> = texts.into_iter().map(ServerUrl::parse).collect::<Result<_, _>>()?;
        if servers.is_empty() {
            return Err("names no server".to_owned());
        }
        Ok(Self(servers))
    }
}

impl<'de> Deserialize<'de> for Servers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;

        impl<'de> Visitor<'de> for TextOrList {
            type Value = Servers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a URL or a list of URLs")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Servers, E> {
                Servers::parse(text.split(',')).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Servers, A::Error> {
                let mut texts: Vec<String> = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Servers::parse(texts.iter().map(String::as_str)).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(TextOrList)
    }
}

/// As a text if there is one server, as a list otherwise.
impl Serialize for Servers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_slice() {
            [server] => serializer.collect_str(server),
            servers => serializer.collect_seq(servers.iter().map(ToString::to_string)),
        }
    }
}
