//! Real handshakes over real sockets.

use std::{fs, net::SocketAddr, time::Duration};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use windlass_client::{Client, ClientError, ClientIdentity, Code, Patience, TlsOptions, v1};
use windlass_service::{
    grpc::GrpcServer,
    tls::{ServerTls, ServerTlsFiles},
};

use crate::certificates::{Authority, write};

/// A server with TLS. It has no services, so that what gets through is told that nothing is there.
struct TlsServer {
    address: SocketAddr,
    authority: Authority,
}

impl TlsServer {
    /// Starts it; with `clients`, it asks clients for certificates of that authority.
    async fn start(clients: Option<&Authority>) -> Self {
        let authority = Authority::new();
        let signed = authority.sign();
        let dir = TempDir::new().unwrap();
        let tls = ServerTls::read(&ServerTlsFiles {
            cert_file: write(dir.path(), "server.crt", &signed.cert_pem),
            key_file: write(dir.path(), "server.key", &signed.key_pem),
            client_ca_file: clients.map(|clients| write(dir.path(), "clients.crt", &clients.pem)),
        })
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = GrpcServer::new().unwrap();
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(server.serve_tls(incoming, &tls, CancellationToken::new()).unwrap());
        Self { address, authority }
    }

    fn trusted(&self) -> TlsOptions {
        TlsOptions { ca_pem: Some(self.authority.pem.clone().into_bytes()), ..Default::default() }
    }

    async fn connect(&self, tls: &TlsOptions) -> Result<Client, ClientError> {
        let client = Client::connect_with(&format!("https://{}", self.address), tls).await?;
        Ok(client.with_patience(Patience(Duration::ZERO)))
    }

    /// Asserts that a call gets through: the server answers it, by saying that there is no such service.
    async fn assert_answers(&self, tls: &TlsOptions) {
        let code = call(&self.connect(tls).await.unwrap()).await.code();
        assert_eq!(code, Code::Unimplemented);
    }
}

async fn call(client: &Client) -> ClientError {
    client.list_runs(v1::ListRunsRequest::default()).next().await.unwrap_err()
}

fn identity(authority: &Authority) -> ClientIdentity {
    let signed = authority.sign();
    ClientIdentity { cert_pem: signed.cert_pem.into_bytes(), key_pem: signed.key_pem.into_bytes() }
}

#[tokio::test]
async fn a_client_that_trusts_the_servers_authority_is_answered() {
    let server = TlsServer::start(None).await;
    server.assert_answers(&server.trusted()).await;
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused_by_the_client_and_goes_on() {
    let server = TlsServer::start(None).await;
    let other = Authority::new();
    for ca_pem in [Some(other.pem.into_bytes()), None] {
        let tls = TlsOptions { ca_pem, ..Default::default() };
        let error = server.connect(&tls).await.unwrap_err();
        assert!(matches!(error, ClientError::Untrusted { .. }), "{error}");
    }
    server.assert_answers(&server.trusted()).await;
}

#[tokio::test]
async fn a_server_with_another_name_is_refused_by_the_client() {
    let server = TlsServer::start(None).await;
    let tls = TlsOptions { server_name: Some("windlass.example".to_owned()), ..server.trusted() };
    let error = server.connect(&tls).await.unwrap_err();
    assert!(matches!(error, ClientError::Untrusted { .. }), "{error}");
}

#[tokio::test]
async fn with_mutual_tls_only_clients_with_a_certificate_of_the_right_authority_are_answered() {
    let clients = Authority::new();
    let server = TlsServer::start(Some(&clients)).await;
    for wrong in [None, Some(identity(&Authority::new()))] {
        let tls = TlsOptions { identity: wrong, ..server.trusted() };
        // The client may take its side of the handshake for done before the server has refused it.
        let error = match server.connect(&tls).await {
            Ok(client) => call(&client).await,
            Err(error) => error,
        };
        assert!(error.code() != Code::Unimplemented, "{error}");
    }
    let tls = TlsOptions { identity: Some(identity(&clients)), ..server.trusted() };
    server.assert_answers(&tls).await;
}

#[tokio::test]
async fn a_client_without_tls_is_not_answered_on_a_tls_port() {
    let server = TlsServer::start(None).await;
    let endpoint = format!("http://{}", server.address);
    let error = Client::connect(&endpoint).await.unwrap_err();
    assert!(!error.is_transient(), "it will not do later either: {error}");
    let ClientError::OtherScheme { corrected, .. } = error else { panic!("{error}") };
    assert_eq!(corrected, format!("https://{}", server.address));
    server.assert_answers(&server.trusted()).await;
}

#[tokio::test]
async fn a_tls_client_finds_that_a_server_speaks_no_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = GrpcServer::new().unwrap();
    tokio::spawn(server.serve(TcpListenerStream::new(listener), CancellationToken::new()));
    let error = Client::connect(&format!("https://{address}")).await.unwrap_err();
    let ClientError::OtherScheme { corrected, .. } = error else { panic!("{error}") };
    assert_eq!(corrected, format!("http://{address}"));
}

#[test]
fn one_provider_of_cryptography_is_all_there_is() {
    // rustls panics at the first connection where two are compiled in and none is chosen.
    let lock =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock")).unwrap();
    assert!(lock.contains("name = \"ring\""));
    for other in ["aws-lc-rs", "openssl-sys", "native-tls"] {
        assert!(
            !lock.contains(&format!("name = \"{other}\"")),
            "`cargo tree -i {other}` tells whence"
        );
    }
}
