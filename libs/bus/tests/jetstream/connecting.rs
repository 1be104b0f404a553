//! Every way to connect, and what is said where it fails.

use std::path::PathBuf;

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use windlass_bus::{
    Bus as _, JetStreamBus,
    jetstream::{ClientCertificate, ConnectError, Credentials, JetStreamConfig, SecretString, Tls},
};
use windlass_servers::{Certificates, NatsServer};

use crate::fixture::{config, connect};

async fn is_let_in(mut config: JetStreamConfig, credentials: Credentials) {
    config.credentials = credentials;
    assert_eq!(connect(config).await.check().await, Ok(()));
}

async fn is_refused(mut config: JetStreamConfig, credentials: Credentials) {
    config.credentials = credentials;
    let error = JetStreamBus::connect(config).await.expect_err("it is refused");
    assert!(matches!(error, ConnectError::Credentials { .. }), "{error}");
}

fn user(password: &str) -> Credentials {
    let (user, password) = ("windlass".into(), SecretString::from(password));
    Credentials::UserAndPassword { user, password }
}

#[tokio::test]
async fn a_user_with_the_password_is_let_in() {
    let users = "authorization: { user: windlass, password: right }";
    let server = NatsServer::builder().config(users).start().await;
    is_let_in(config(&server), user("right")).await;
    is_refused(config(&server), user("wrong")).await;
    is_refused(config(&server), Credentials::None).await;
}

#[tokio::test]
async fn the_token_lets_in() {
    let server = NatsServer::builder().config("authorization: { token: right }").start().await;
    is_let_in(config(&server), Credentials::Token("right".into())).await;
    is_refused(config(&server), Credentials::Token("wrong".into())).await;
}

#[tokio::test]
async fn the_holder_of_a_key_is_let_in() {
    let key = KeyPair::new_user();
    let users = format!("authorization: {{ users: [ {{ nkey: {} }} ] }}", key.public_key());
    let server = NatsServer::builder().config(&users).start().await;
    is_let_in(config(&server), Credentials::Nkey(seed(&key))).await;
    is_refused(config(&server), Credentials::Nkey(seed(&KeyPair::new_user()))).await;
    for (wrong, said) in [
        ("not a seed".into(), "`nk -gen user`"),
        (seed(&KeyPair::new_account()), "of kind Account"),
    ] {
        let credentials = Credentials::Nkey(wrong);
        let config = JetStreamConfig { credentials, ..config(&server) };
        let error = JetStreamBus::connect(config).await.expect_err("it is no user's seed");
        assert!(matches!(error, ConnectError::Nkey { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_credentials_file_lets_in() {
    let operator = KeyPair::new_operator();
    let (system, account) = (KeyPair::new_account(), KeyPair::new_account());
    let of_operator = json!({ "type": "operator", "version": 2 });
    let of_account = json!({ "type": "account", "version": 2, "limits": {
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    } });
    let of_system = json!({ "type": "account", "version": 2 });
    let config_text = format!(
        "operator: \"{}\"\nsystem_account: {}\nresolver: MEMORY\n\
         resolver_preload: {{ {}: \"{}\", {}: \"{}\" }}\n",
        token(&operator, &operator, &of_operator),
        system.public_key(),
        system.public_key(),
        token(&operator, &system, &of_system),
        account.public_key(),
        token(&operator, &account, &of_account),
    );
    let server = NatsServer::builder().config(&config_text).start().await;
    let directory = tempfile::tempdir().unwrap();
    for (issuer, lets_in) in [(&account, true), (&KeyPair::new_account(), false)] {
        let user = KeyPair::new_user();
        let of_user =
            json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
        let path = directory.path().join("user.creds");
        std::fs::write(&path, credentials(&token(issuer, &user, &of_user), &user)).unwrap();
        let credentials = Credentials::File(path);
        if lets_in {
            is_let_in(config(&server), credentials).await;
        } else {
            is_refused(config(&server), credentials).await;
        }
    }
    let missing = PathBuf::from("/nowhere/user.creds");
    let mut config = config(&server);
    config.credentials = Credentials::File(missing.clone());
    let error = JetStreamBus::connect(config).await.expect_err("there is no such file");
    assert!(matches!(&error, ConnectError::File { path, .. } if *path == missing), "{error}");
}

/// The seed of a key pair, as a secret.
fn seed(key: &KeyPair) -> SecretString {
    key.seed().expect("it was made with one").into()
}

/// A JSON web token as NATS has them: what `issuer` says of `subject`.
fn token(issuer: &KeyPair, subject: &KeyPair, says: &Value) -> String {
    let claims = json!({
        "jti": subject.public_key(), "iat": 1_700_000_000, "iss": issuer.public_key(),
        "sub": subject.public_key(), "name": "test", "nats": says,
    });
    let header = json!({ "typ": "JWT", "alg": "ed25519-nkey" });
    let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = issuer.sign(signed.as_bytes()).expect("it has its seed");
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// The text of a credentials file.
fn credentials(token: &str, user: &KeyPair) -> String {
    let seed = user.seed().expect("it was made with one");
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

#[tokio::test]
async fn certificates_are_checked_on_both_sides() {
    let (ours, theirs) = (Certificates::make(), Certificates::make());
    let (certificate, key) = ours.server();
    let tls = format!(
        "tls: {{ cert_file: {certificate:?}, key_file: {key:?}, ca_file: {:?}, verify: true }}",
        ours.authority()
    );
    let server = NatsServer::builder().config(&tls).start().await;
    let shown = |certificates: &Certificates| {
        let (certificate, key) = certificates.client();
        Some(ClientCertificate { certificate, key })
    };
    let with = |authority, client| {
        let tls = Some(Tls { authority: Some(authority), client, first: false });
        JetStreamConfig { tls, ..config(&server) }
    };
    let bus = connect(with(ours.authority(), shown(&ours))).await;
    assert_eq!(bus.check().await, Ok(()));
    let tls_first = tls.replace("verify: true", "verify: true, handshake_first: true");
    let first = NatsServer::builder().config(&tls_first).start().await;
    let mut config_first = with(ours.authority(), shown(&ours));
    config_first.servers = vec![first.url()];
    config_first.tls.as_mut().expect("it was set").first = true;
    assert_eq!(connect(config_first).await.check().await, Ok(()));
    for refused in [
        with(theirs.authority(), shown(&ours)),
        with(ours.authority(), shown(&theirs)),
        with(ours.authority(), None),
        config(&server),
    ] {
        let error = JetStreamBus::connect(refused).await.expect_err("it is refused");
        assert!(matches!(error, ConnectError::Tls { .. }), "{error}");
    }
    let missing = PathBuf::from("/nowhere/ca.pem");
    let error = JetStreamBus::connect(with(missing.clone(), None)).await.expect_err("no such file");
    assert!(matches!(&error, ConnectError::File { path, .. } if *path == missing), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_without_the_secrets_in_its_address() {
    let server = NatsServer::start().await;
    server.kill();
    let mut config = config(&server);
    config.servers = vec![format!("nats://somebody:xyzzy@{}", server.address())];
    let error = JetStreamBus::connect(config.clone()).await.expect_err("nobody is there");
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&server.url()) && !error.to_string().contains("xyzzy"));
    config.prefix = "a.b".into();
    let error = JetStreamBus::connect(config).await.expect_err("no prefix");
    assert!(matches!(&error, ConnectError::Setting { is, .. } if is == "a.b"), "{error}");
}
