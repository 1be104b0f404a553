//! A server that has no file descriptor left. In a program of its own, since the limit is the whole process's.

use std::{
    io::{self, Write},
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use windlass_service::grpc::GrpcServer;

/// Longer than anything takes, however busy the machine.
const LIMIT: Duration = Duration::from_mins(1);

/// Where log lines go.
#[derive(Clone)]
struct Log(Sender<String>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.send(String::from_utf8_lossy(line).into_owned());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log() -> Receiver<String> {
    let (lines, log) = channel();
    let writer = Log(lines);
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    log
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_descriptors_says_so_and_accepts_who_has_waited_once_it_has_some() {
    let log = log();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = GrpcServer::new().unwrap();
    let serving = server.serve(TcpListenerStream::new(listener), CancellationToken::new());
    tokio::spawn(serving);
    let socket = TcpSocket::new_v4().unwrap();
    let (given, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();

    setrlimit(Resource::RLIMIT_NOFILE, 0, most).unwrap();
    // The system completes the connection; it is the server that cannot take it.
    let connection = socket.connect(address).await.unwrap();
    let told = log.recv_timeout(LIMIT);
    setrlimit(Resource::RLIMIT_NOFILE, given, most).unwrap();

    let told = told.unwrap();
    assert!(told.contains("no connection can be accepted") && told.contains("ulimit -n"), "{told}");
    let connection = hyper_util::rt::TokioIo::new(connection);
    let mut connection = Some(connection);
    let connect = tower::service_fn(move |_| std::future::ready(connection.take().ok_or("once")));
    let endpoint = tonic::transport::Endpoint::from_static("http://waits");
    let channel = endpoint.connect_with_connector_lazy(connect);
    let mut health = HealthClient::new(channel);
    let answer = health.check(HealthCheckRequest::default());
    tokio::time::timeout(LIMIT, answer).await.unwrap().unwrap();
}
