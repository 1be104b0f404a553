//! The server's side.

use std::{path::PathBuf, time::Duration};

use rustls::server::WebPkiClientVerifier;
use secrecy::ExposeSecret as _;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::{
    TlsError, TlsFile,
    pem::{self, Authorities},
};

/// How long a client has for the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a server's certificates are.
#[derive(Debug, Clone)]
pub struct ServerTlsFiles {
    /// Its certificate, followed by those between it and its authority.
    pub cert_file: PathBuf,
    /// The certificate's private key.
    pub key_file: PathBuf,
    /// The authorities that clients' certificates must come from. Clients without one are refused; none asks them for nothing.
    pub client_ca_file: Option<PathBuf>,
}

/// The certificates of a server, checked.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: ServerTlsConfig,
}

impl ServerTls {
    /// Reads the files.
    pub fn read(files: &ServerTlsFiles) -> Result<Self, TlsError> {
        let identity = pem::Identity::read(&files.cert_file, &files.key_file)?;
        let mut config = ServerTlsConfig::new().timeout(HANDSHAKE_TIMEOUT).identity(
            Identity::from_pem(identity.certificate_pem, identity.key_pem.expose_secret()),
        );
        if let Some(path) = &files.client_ca_file {
            let Authorities { pem, roots } = Authorities::read(TlsFile::ClientAuthorities, path)?;
            // What makes no verifier is told now, with the file's name.
            WebPkiClientVerifier::builder_with_provider(roots.into(), pem::provider())
                .build()
                .map_err(|error| TlsError::Content {
                    file: TlsFile::ClientAuthorities,
                    path: path.clone(),
                    wanted: "certificate",
                    problem: error.to_string(),
                })?;
            config = config.client_ca_root(Certificate::from_pem(pem));
        }
        Ok(Self { config })
    }

    pub(crate) fn config(&self) -> ServerTlsConfig {
        self.config.clone()
    }
}
