//! Who is who in a cluster: certificates, the key that signs tokens, and the files with which clients come.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::json;
use tempfile::TempDir;

use crate::process;

/// A certificate authority, whose word the cluster takes, and a directory with what it has signed. All keys are P-256.
#[derive(Debug)]
pub(super) struct Authority {
    directory: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one that has signed a certificate for the API server.
    pub(super) fn make() -> Self {
        let mut params = params("authority", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, key()).expect("it signs itself");
        let authority = Self { directory: process::directory(), issuer };
        authority.write("ca.pem", &authority.issuer.pem());
        let tokens = key();
        authority.write("tokens-key.pem", &tokens.serialize_pem());
        authority.write("tokens.pem", &tokens.public_key_pem());
        authority.sign("apiserver", "kube-apiserver", None);
        // With this the API server asks kubelets for logs.
        authority.sign("kubelet-client", "kube-apiserver", Some("system:masters"));
        authority
    }

    /// The authority's own certificate.
    pub(super) fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The API server's certificate and key.
    pub(super) fn server(&self) -> (PathBuf, PathBuf) {
        (self.path("apiserver.pem"), self.path("apiserver-key.pem"))
    }

    /// The certificate and key with which the API server comes to kubelets.
    pub(super) fn kubelet_client(&self) -> (PathBuf, PathBuf) {
        (self.path("kubelet-client.pem"), self.path("kubelet-client-key.pem"))
    }

    /// The key with which the tokens of service accounts are signed, and that by which they are known.
    pub(super) fn tokens(&self) -> (PathBuf, PathBuf) {
        (self.path("tokens-key.pem"), self.path("tokens.pem"))
    }

    /// Writes a file with which a client is this user, of this group, at this server.
    pub(super) fn kubeconfig(&self, server: &str, user: &str, group: Option<&str>) -> PathBuf {
        // Names of users have colons and may have slashes.
        let name: String =
            user.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' }).collect();
        let (certificate, key) = self.sign(&name, user, group);
        let cluster = json!({ "server": server, "certificate-authority": self.certificate() });
        let user = json!({ "client-certificate": certificate, "client-key": key });
        self.write(&format!("{name}.kubeconfig"), &kubeconfig(&cluster, &user))
    }

    /// Signs a certificate, for a server on 127.0.0.1 as well as for a client, and writes it and its key.
    fn sign(&self, name: &str, user: &str, group: Option<&str>) -> (PathBuf, PathBuf) {
        let mut params = params(user, group);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = key();
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority signs");
        let certificate = self.write(&format!("{name}.pem"), &certificate.pem());
        (certificate, self.write(&format!("{name}-key.pem"), &key.serialize_pem()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        replace(&path, text);
        path
    }
}

/// The text of a file with which clients come, which may as well be JSON.
pub(super) fn kubeconfig(cluster: &serde_json::Value, user: &serde_json::Value) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "clusters": [{ "name": "test", "cluster": cluster }],
        "users": [{ "name": "test", "user": user }],
    })
    .to_string()
}

/// Writes a file at once, so that who reads the one before sees all of one of them.
fn replace(path: &Path, text: &str) {
    let directory = path.parent().expect("it is a file");
    let new = tempfile::NamedTempFile::new_in(directory).expect("a new file");
    fs::write(new.path(), text).expect("the file is written");
    new.persist(path).expect("the file is moved");
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// Kubernetes takes a certificate's common name for the user, and its organization for a group.
fn params(user: &str, group: Option<&str>) -> CertificateParams {
    let names = ["127.0.0.1", "localhost"].map(str::to_owned);
    let mut params = CertificateParams::new(names).expect("the names are lawful");
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params
}
