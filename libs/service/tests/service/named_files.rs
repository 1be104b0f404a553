//! The files that settings name are read before anything starts.

use std::path::Path;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use windlass_service::settings::{self, BusAuthentication, Program};

use crate::{
    certificates::{Authority, write},
    configuration::{refused, sources},
};

fn set(key: &str, path: &Path) -> String {
    format!("{key}={}", path.display())
}

fn told(program: Program, sets: &[String]) -> String {
    let sets: Vec<_> = sets.iter().map(String::as_str).collect();
    refused(program, &sources(None, &[], &sets))
}

#[test]
fn a_secret_is_what_stands_in_its_file_without_the_line_end() {
    let dir = TempDir::new().unwrap();
    let token = write(dir.path(), "token", "hunter2\n");
    let sets = [set("bus.token_file", &token)];
    let sets: Vec<_> = sets.iter().map(String::as_str).collect();
    let configuration = settings::load(Program::Launcher, &sources(None, &[], &sets)).unwrap();
    let bus = configuration.settings.bus.authentication().unwrap();
    let BusAuthentication::Token(secret) = &bus else { panic!("{bus:?}") };
    assert_eq!(secret.expose_secret(), "hunter2");
    assert!(!format!("{bus:?}").contains("hunter2"));
}

#[test]
fn secrets_whose_files_are_missing_or_empty_are_told_with_key_and_file() {
    let dir = TempDir::new().unwrap();
    let empty = write(dir.path(), "empty", "\n");
    let missing = dir.path().join("missing");
    let said = told(
        Program::Scheduler,
        &[set("bus.credentials_file", &missing), set("store.password_file", &empty)],
    );
    assert!(said.contains("`bus.credentials_file`, from --set: the file"), "{said}");
    assert!(said.contains("missing cannot be read: No such file"), "{said}");
    assert!(said.contains("`store.password_file`") && said.contains("is empty"), "{said}");
}

#[test]
fn what_nats_is_shown_is_looked_at_before_nats_is() {
    let dir = TempDir::new().unwrap();
    let file = write(dir.path(), "secret", "hunter2\n");
    for (key, words) in [
        ("bus.nkey_seed_file", "holds no seed of an NKey"),
        ("bus.credentials_file", "holds no JWT and seed"),
    ] {
        let said = told(Program::Scheduler, &[set(key, &file)]);
        assert!(said.contains(&format!("`{key}`, from --set")) && said.contains(words), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn certificates_that_cannot_be_used_are_told_with_key_and_file() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str, text: &str| write(dir.path(), name, text);
    let (one, other) = (Authority::new().sign(), Authority::new());
    let cert = set("grpc.tls.cert_file", &file("server.crt", &one.cert_pem));
    let key = set("grpc.tls.key_file", &file("server.key", &one.key_pem));
    let foreign_key = set("grpc.tls.key_file", &file("foreign.key", &other.sign().key_pem));
    let no_key = set("grpc.tls.key_file", &file("no.key", "hunter2"));
    let no_cert = set("grpc.tls.cert_file", &file("no.crt", &one.key_pem));
    let no_ca = set("grpc.tls.client_ca_file", &file("no.ca", ""));
    let ca = set("grpc.tls.client_ca_file", &file("ca.crt", &other.pem));

    for (sets, words) in [
        (
            [&cert, &foreign_key, &ca],
            ["`grpc.tls.key_file`", "does not belong to the certificate in"],
        ),
        ([&cert, &no_key, &ca], ["`grpc.tls.key_file`", "no.key holds no private key"]),
        ([&no_cert, &key, &ca], ["`grpc.tls.cert_file`", "no.crt holds no certificate"]),
        ([&cert, &key, &no_ca], ["`grpc.tls.client_ca_file`", "no.ca holds no certificate"]),
    ] {
        let sets = sets.map(Clone::clone);
        let said = told(Program::Submitter, &sets);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
        // A program without a gRPC server may run where these files are not.
        let sets: Vec<_> = sets.iter().map(String::as_str).collect();
        settings::load(Program::Launcher, &sources(None, &[], &sets)).unwrap();
    }

    let store = [
        "store.url=rediss://a:1".to_owned(),
        set("store.tls.ca_file", &dir.path().join("missing.crt")),
        set("bus.tls.ca_file", &dir.path().join("no.ca")),
    ];
    let said = told(Program::Launcher, &store);
    assert!(said.contains("`store.tls.ca_file`") && said.contains("`bus.tls.ca_file`"), "{said}");
}

#[test]
fn with_right_certificates_tls_needs_no_word_about_plaintext() {
    let dir = TempDir::new().unwrap();
    let signed = Authority::new().sign();
    let sets = [
        "streamer.listen=0.0.0.0:4601".to_owned(),
        set("grpc.tls.cert_file", &write(dir.path(), "server.crt", &signed.cert_pem)),
        set("grpc.tls.key_file", &write(dir.path(), "server.key", &signed.key_pem)),
    ];
    let sets: Vec<_> = sets.iter().map(String::as_str).collect();
    let configuration = settings::load(Program::Streamer, &sources(None, &[], &sets)).unwrap();
    assert!(configuration.settings.grpc.server_tls().unwrap().is_some());
}
