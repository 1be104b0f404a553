//! The port for operators, and health over gRPC.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_stream::{StreamExt as _, wrappers::TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use windlass_service::{
    grpc::GrpcServer,
    health::{self, Check, Readiness},
};

/// Starts the port for operators.
async fn port(readiness: &Readiness) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(health::http::serve(listener, readiness.clone()));
    address
}

/// The status and the body of an answer.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A check that is well as long as the switch is on.
fn switched(name: &'static str, switch: &Arc<AtomicBool>) -> Check {
    let switch = switch.clone();
    Check::new(name, move || {
        let is_on = switch.load(Ordering::SeqCst);
        async move { if is_on { Ok(()) } else { Err("nobody answers\nat all".to_owned()) } }
    })
}

#[tokio::test]
async fn a_program_is_ready_from_its_beginning_to_its_end_while_all_checks_are_well() {
    let readiness = Readiness::default();
    let address = port(&readiness).await;
    assert_eq!(get(address, "/readyz").await, (503, "starting\n".to_owned()));
    readiness.wait_for("NATS at nats://a:1: nobody\nanswers");
    let waiting = "waiting for NATS at nats://a:1: nobody answers\n";
    assert_eq!(get(address, "/readyz").await, (503, waiting.to_owned()));

    let store = Arc::new(AtomicBool::new(true));
    let well = Check::new("bus", async || Ok(()));
    readiness.begin(vec![well, switched("store", &store)]);
    assert_eq!(get(address, "/readyz").await, (200, "bus: ok\nstore: ok\n".to_owned()));
    store.store(false, Ordering::SeqCst);
    let ill = "bus: ok\nstore: nobody answers at all\n";
    assert_eq!(get(address, "/readyz").await, (503, ill.to_owned()));
    store.store(true, Ordering::SeqCst);
    assert_eq!(get(address, "/readyz").await.0, 200);

    readiness.wait_for("nothing any more");
    assert_eq!(get(address, "/readyz").await.0, 200);
    readiness.end();
    readiness.begin(Vec::new());
    assert_eq!(get(address, "/readyz").await, (503, "ending\n".to_owned()));
    assert_eq!(get(address, "/livez").await, (200, "ok\n".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_or_panics_has_failed_and_keeps_no_other_one_waiting() {
    let readiness = Readiness::default();
    readiness.begin(vec![
        Check::new("hangs", std::future::pending),
        Check::new("panics", async || panic!("a defect in the check")),
        Check::new("is well", async || Ok(())),
    ]);
    let report = readiness.report().await;
    assert!(!report.is_ready());
    let expected =
        "hangs: no answer within 2s\npanics: the check failed; see the log\nis well: ok\n";
    assert_eq!(report.to_string(), expected);
}

#[tokio::test]
async fn grpc_health_follows_the_beginning_and_the_end_of_a_program() {
    let readiness = Readiness::default();
    let server = GrpcServer::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(server.follow(readiness.clone()));
    tokio::spawn(server.serve(TcpListenerStream::new(listener), CancellationToken::new()));

    let channel = Endpoint::from_shared(endpoint).unwrap().connect().await.unwrap();
    let watch = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.unwrap();
    let mut statuses = watch.into_inner().map(|told| told.unwrap().status());
    let mut becomes = async |wanted| while statuses.next().await.unwrap() != wanted {};
    becomes(ServingStatus::NotServing).await;
    readiness.begin(Vec::new());
    becomes(ServingStatus::Serving).await;
    readiness.end();
    becomes(ServingStatus::NotServing).await;
}
