//! What must be true of the files that settings name. They are read now, so that what is wrong with them is told now.

use std::{fs, path::PathBuf};

use secrecy::{ExposeSecret as _, SecretString};

use super::{
    BusSettings, GrpcTlsSettings, Program, StoreSettings,
    file::{FileError, read_secret},
    nkey,
    rules::Rules,
};
use crate::tls::{ClientTls, ClientTlsFiles, ServerTls, ServerTlsFiles, TlsError};

type File = Option<PathBuf>;

impl Rules<'_> {
    /// Reads all files that the program will need.
    pub(super) fn files(&mut self, program: Program) {
        let BusSettings {
            password_file, token_file, nkey_seed_file, credentials_file, tls, ..
        } = &self.settings.bus;
        self.secret("bus.password_file", password_file);
        self.secret("bus.token_file", token_file);
        if let Some(seed) = self.secret("bus.nkey_seed_file", nkey_seed_file)
            && let Err(problem) = nkey::check_seed(seed.expose_secret())
        {
            self.say("bus.nkey_seed_file", problem);
        }
        if let Some(credentials) = self.secret("bus.credentials_file", credentials_file)
            && let Err(problem) = nkey::check_credentials(credentials.expose_secret())
        {
            self.say("bus.credentials_file", problem);
        }
        self.client("bus.tls", &tls.ca_file, &tls.cert_file, &tls.key_file);
        let StoreSettings { password_file, tls, .. } = &self.settings.store;
        self.secret("store.password_file", password_file);
        self.client("store.tls", &tls.ca_file, &tls.cert_file, &tls.key_file);
        if self.settings.grpc_listen(program).is_some() {
            self.server();
        }
        if program == Program::Launcher {
            // What it says is for the launcher, which knows of clusters.
            self.readable("launcher", "clusters_file", &self.settings.launcher.clusters_file);
        }
    }

    /// Reads a secret; none if there is none, or something is wrong with it.
    fn secret(&mut self, key: &str, path: &File) -> Option<SecretString> {
        let path = path.as_ref().filter(|_| self.is_right(key))?;
        read_secret(path).map_err(|error| self.say(key, error.to_string())).ok()
    }

    /// The certificates of a client: those whom it trusts, and who it is. One may be wrong and the other one, too.
    fn client(&mut self, section: &str, ca_file: &File, cert_file: &File, key_file: &File) {
        let ca_file = self.readable(section, "ca_file", ca_file);
        if ca_file.is_some() {
            self.certificates(
                section,
                ClientTls::read(&ClientTlsFiles { ca_file, identity: None }),
            );
        }
        let cert_file = self.readable(section, "cert_file", cert_file);
        let key_file = self.readable(section, "key_file", key_file);
        if let Some(identity) = cert_file.zip(key_file) {
            let files = ClientTlsFiles { ca_file: None, identity: Some(identity) };
            self.certificates(section, ClientTls::read(&files));
        }
    }

    /// The certificates of the gRPC server: who it is, and whom it trusts.
    fn server(&mut self) {
        let section = "grpc.tls";
        let GrpcTlsSettings { cert_file, key_file, client_ca_file } = &self.settings.grpc.tls;
        let cert_file = self.readable(section, "cert_file", cert_file);
        let key_file = self.readable(section, "key_file", key_file);
        let client_ca_file = self.readable(section, "client_ca_file", client_ca_file);
        if let Some((cert_file, key_file)) = cert_file.zip(key_file) {
            let files = ServerTlsFiles { cert_file, key_file, client_ca_file: None };
            self.certificates(section, ServerTls::read(&files));
        }
        let Some(path) = client_ca_file else { return };
        if self.is_sound(section) {
            self.certificates(section, self.settings.grpc.server_tls());
        } else if let Err(error) =
            ClientTls::read(&ClientTlsFiles { ca_file: Some(path), identity: None })
        {
            // What is wrong with the server's own says nothing about it.
            self.say("grpc.tls.client_ca_file", error.to_string());
        }
    }

    fn certificates<T>(&mut self, section: &str, read: Result<T, TlsError>) {
        if let Err(error) = read {
            self.say(&format!("{section}.{}", error.setting()), error.to_string());
        }
    }

    /// A file that is set and can be read; nothing is said of one that something else is wrong with.
    fn readable(&mut self, section: &str, name: &str, path: &File) -> File {
        let key = format!("{section}.{name}");
        let path = path.clone().filter(|_| self.is_right(&key))?;
        match fs::read(&path) {
            Ok(_) => Some(path),
            Err(problem) => {
                self.say(&key, FileError::Unreadable { path, problem }.to_string());
                None
            }
        }
    }
}
