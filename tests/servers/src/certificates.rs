//! Certificates for tests of TLS.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tempfile::TempDir;

/// An authority, and what it has signed: a certificate for a server on 127.0.0.1 or `localhost`, and one for a client.
/// All are files in PEM, in a directory that ends with this.
#[derive(Debug)]
pub struct Certificates {
    directory: TempDir,
}

impl Certificates {
    /// Makes an authority of its own and lets it sign.
    pub fn make() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let write = |name: &str, text: String| {
            fs::write(directory.path().join(name), text).expect("the file is written");
        };
        let key = || KeyPair::generate().expect("a key");
        let params = |subject: &str, names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let mut params = CertificateParams::new(names).expect("the names are lawful");
            // OpenSSL takes a certificate whose subject is its issuer's for one that has signed itself.
            params.distinguished_name.push(DnType::CommonName, subject);
            params
        };
        let mut authority = params("authority", &[]);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, key()).expect("it signs itself");
        write("ca.pem", authority.pem());
        for (name, usage) in [
            ("server", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let mut params = params(name, &["127.0.0.1", "localhost"]);
            params.extended_key_usages = vec![usage];
            let key = key();
            let certificate = params.signed_by(&key, &authority).expect("the authority signs");
            write(&format!("{name}.pem"), certificate.pem());
            write(&format!("{name}-key.pem"), key.serialize_pem());
        }
        Self { directory }
    }

    /// The authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The server's certificate and key.
    pub fn server(&self) -> (PathBuf, PathBuf) {
        (self.path("server.pem"), self.path("server-key.pem"))
    }

    /// The client's certificate and key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.path("client.pem"), self.path("client-key.pem"))
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.directory.path()).join(name)
    }
}
