//! TLS: certificates and keys from files, checked when they are read.
//!
//! What is wrong with a file is told when a program starts, not when the first connection fails. Files are read at start
//! only: whoever replaces them starts the program again.

mod client;
mod pem;
mod server;

use std::{io, path::PathBuf};

pub use self::{
    client::{ClientIdentity, ClientTls, ClientTlsFiles},
    server::{ServerTls, ServerTlsFiles},
};

/// Makes `ring` the process's cryptography. The first thing that a program does: rustls panics where it has to choose between
/// several.
pub fn install_provider() {
    // An error means that somebody has installed one before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFile {
    /// The certificate of this side.
    Certificate,
    /// Its private key.
    Key,
    /// The authorities of the other side.
    Authorities,
    /// The authorities of clients, where this side is the server.
    ClientAuthorities,
}

/// A file cannot be used for TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It is not there, or may not be read.
    #[error("the file {} cannot be read: {problem}; see that it is there and may be read by this program", .path.display())]
    Unreadable {
        /// What it is for.
        file: TlsFile,
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        #[source]
        problem: io::Error,
    },
    /// It does not hold what it should.
    #[error("the file {} holds no {wanted} in PEM that can be used: {problem}; see that it is the right file", .path.display())]
    Content {
        /// What it is for.
        file: TlsFile,
        /// Where it is.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The key belongs to another certificate.
    #[error(
        "the key in {} does not belong to the certificate in {}; give the two that were made together",
        .key.display(), .certificate.display()
    )]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
}

impl TlsError {
    /// The name of the setting that names the file.
    pub fn setting(&self) -> &'static str {
        match self {
            Self::Unreadable { file, .. } | Self::Content { file, .. } => file.setting(),
            Self::Mismatch { .. } => TlsFile::Key.setting(),
        }
    }
}

impl TlsFile {
    fn setting(self) -> &'static str {
        match self {
            Self::Certificate => "cert_file",
            Self::Key => "key_file",
            Self::Authorities => "ca_file",
            Self::ClientAuthorities => "client_ca_file",
        }
    }
}
