//! PEM files.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use secrecy::{ExposeSecret as _, SecretSlice};

use super::{TlsError, TlsFile};

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Certificates of authorities: the text, and what it says.
pub(super) struct Authorities {
    pub(super) pem: Vec<u8>,
    pub(super) roots: RootCertStore,
}

/// A certificate and its key, which belong together.
pub(super) struct Identity {
    pub(super) certificate_pem: Vec<u8>,
    pub(super) key_pem: SecretSlice<u8>,
}

impl Authorities {
    pub(super) fn read(file: TlsFile, path: &Path) -> Result<Self, TlsError> {
        let pem = read(file, path)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(file, path, &pem)? {
            roots
                .add(certificate)
                .map_err(|error| content(file, path, "certificate", error.to_string()))?;
        }
        Ok(Self { pem, roots })
    }
}

impl Identity {
    pub(super) fn read(certificate_path: &Path, key_path: &Path) -> Result<Self, TlsError> {
        let certificate_pem = read(TlsFile::Certificate, certificate_path)?;
        let certificates = certificates(TlsFile::Certificate, certificate_path, &certificate_pem)?;
        let key_pem = SecretSlice::from(read(TlsFile::Key, key_path)?);
        let not_a_key = |problem: String| content(TlsFile::Key, key_path, "private key", problem);
        let key = PrivateKeyDer::from_pem_slice(key_pem.expose_secret())
            .map_err(|error| not_a_key(error.to_string()))?;
        CertifiedKey::from_der(certificates, key, &provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
                key: key_path.to_owned(),
                certificate: certificate_path.to_owned(),
            },
            rustls::Error::InvalidCertificate(problem) => content(
                TlsFile::Certificate,
                certificate_path,
                "certificate",
                format!("{problem:?}"),
            ),
            other => not_a_key(other.to_string()),
        })?;
        Ok(Self { certificate_pem, key_pem })
    }
}

fn read(file: TlsFile, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|problem| TlsError::Unreadable { file, path: path.to_owned(), problem })
}

fn certificates(
    file: TlsFile,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| content(file, path, "certificate", error.to_string()))?;
    if certificates.is_empty() {
        return Err(content(file, path, "certificate", "there is none in it".to_owned()));
    }
    Ok(certificates)
}

fn content(file: TlsFile, path: &Path, wanted: &'static str, problem: String) -> TlsError {
    TlsError::Content { file, path: PathBuf::from(path), wanted, problem }
}
