//! The client's side, for connections to NATS and Redis.

use std::path::PathBuf;

use secrecy::SecretSlice;

use super::{
    TlsError, TlsFile,
    pem::{self, Authorities},
};

/// Where a client's certificates are.
#[derive(Debug, Clone, Default)]
pub struct ClientTlsFiles {
    /// The authorities that the server's certificate must come from; none means those of the system.
    pub ca_file: Option<PathBuf>,
    /// The certificate that the client shows, and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The certificates of a client, checked, as PEM texts: each client library wants them in its own way.
#[derive(Debug, Clone)]
pub struct ClientTls {
    /// The authorities that the server's certificate must come from; none means those of the system.
    pub ca_pem: Option<Vec<u8>>,
    /// Who the client is; none if it shows nothing.
    pub identity: Option<ClientIdentity>,
}

/// A certificate and its private key, as PEM texts.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// The certificate.
    pub cert_pem: Vec<u8>,
    /// The private key.
    pub key_pem: SecretSlice<u8>,
}

impl ClientTls {
    /// Reads the files.
    pub fn read(files: &ClientTlsFiles) -> Result<Self, TlsError> {
        let authorities = files.ca_file.as_deref();
        let authorities =
            authorities.map(|path| Authorities::read(TlsFile::Authorities, path)).transpose()?;
        let identity = files.identity.as_ref();
        let identity = identity.map(|(cert, key)| pem::Identity::read(cert, key)).transpose()?;
        Ok(Self {
            ca_pem: authorities.map(|authorities| authorities.pem),
            identity: identity.map(|identity| ClientIdentity {
                cert_pem: identity.certificate_pem,
                key_pem: identity.key_pem,
            }),
        })
    }
}
