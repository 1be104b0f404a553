//! Reaching a server: who is let in, and in which directory steps start.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use prost::Message as _;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::spawn_blocking};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use windlass_bus::MemoryBus;
use windlass_proto::v1::{self, RunState, run_service_server::RunServiceServer, step::Work};
use windlass_servers::Certificates;
use windlass_service::{
    grpc::GrpcServer,
    tls::{ServerTls, ServerTlsFiles},
};
use windlass_store::{MemoryStore, Store as _};
use windlass_submitter::{Submitter, SubmitterConfig};

use crate::support::World;

/// A submitter on a port of this machine, as it serves where launchers are elsewhere.
struct Server {
    url: String,
    store: Arc<MemoryStore>,
    _stop: DropGuard,
}

impl Server {
    async fn start(tls: Option<ServerTls>) -> Self {
        let (store, stop) = (Arc::new(MemoryStore::new()), CancellationToken::new());
        let config = SubmitterConfig { installation: "test".to_owned(), partitions: 1 };
        let bus = Arc::new(MemoryBus::new());
        let submitter = Submitter::new(config, bus, store.clone(), stop.clone());
        let server = GrpcServer::new().unwrap().with(RunServiceServer::new(submitter)).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = TcpListenerStream::new(listener);
        let scheme = if let Some(tls) = &tls {
            tokio::spawn(server.serve_tls(incoming, tls, stop.clone()).unwrap());
            "https"
        } else {
            tokio::spawn(server.serve(incoming, stop.clone()));
            "http"
        };
        Self { url: format!("{scheme}://{address}"), store, _stop: stop.drop_guard() }
    }
}

/// Runs the command to its end while the server answers.
async fn windlass(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-under-test"));
    command.args(args).current_dir(dir).env("NO_COLOR", "1");
    for variable in ["SERVER", "LOG_SERVER", "TLS_CA", "TLS_CERT", "TLS_KEY"] {
        command.env_remove(format!("WINDLASS_{variable}"));
    }
    spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_mutual_tls_keeps_out_is_told_at_once_and_what_it_lacks() {
    let (ours, others) = (Certificates::make(), Certificates::make());
    let (cert_file, key_file) = ours.server();
    let client_ca_file = Some(ours.authority());
    let tls = ServerTls::read(&ServerTlsFiles { cert_file, key_file, client_ca_file }).unwrap();
    let server = Server::start(Some(tls)).await;
    let dir = TempDir::new().unwrap();
    let list = async |identity: Option<(PathBuf, PathBuf)>| {
        let identity = identity.map(|(cert, key)| (text(cert), text(key)));
        let ca = text(ours.authority());
        let mut args = vec!["list", "--server", &server.url, "--tls-ca", &ca];
        if let Some((cert, key)) = &identity {
            args.extend(["--tls-cert", cert, "--tls-key", key]);
        }
        let output = windlass(dir.path(), &args).await;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap().replace(&server.url, "URL");
        // How the connection ends depends on who is faster.
        let said = match (said.find(" ("), said.find("): ")) {
            (Some(begin), Some(end)) => format!("{} (HOW){}", &said[..begin], &said[end + 1..]),
            _ => said,
        };
        format!("exit code {}\n{said}", output.status.code().unwrap())
    };
    let told = [
        ("none", list(None).await),
        ("one of another authority", list(Some(others.client())).await),
        ("the right one", list(Some(ours.client())).await),
    ]
    .map(|(name, told)| format!("## {name}\n{told}"));
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_with_the_wrong_scheme_is_told_with_the_right_one() {
    let certificates = Certificates::make();
    let (cert_file, key_file) = certificates.server();
    let tls = ServerTls::read(&ServerTlsFiles { cert_file, key_file, client_ca_file: None });
    let dir = TempDir::new().unwrap();
    for (tls, wrong, speaks) in
        [(Some(tls.unwrap()), "http", "speaks TLS"), (None, "https", "does not speak TLS")]
    {
        let server = Server::start(tls).await;
        let (_, address) = server.url.split_once("://").unwrap();
        let wrong = format!("{wrong}://{address}");
        let output = windlass(dir.path(), &["list", "--server", &wrong]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("error: the server at {wrong} {speaks}: use {}\n", server.url));
        assert_eq!(output.status.code(), Some(4));
    }
}

const PIPELINE: &str = "\
name: p
steps:
  here: {run: pwd}
  below: {run: pwd, working_dir: sub}
";

/// A directory with a pipeline's file and a directory below it.
fn pipeline_dir() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("pipeline.yaml"), PIPELINE).unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    let path = dir.path().canonicalize().unwrap();
    (dir, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_a_server_that_sees_the_same_files_start_beside_the_pipelines_file() {
    let world = World::processes().await;
    let url = world.serve().await;
    let (_dir, path) = pipeline_dir();
    let elsewhere = TempDir::new().unwrap();
    let file = text(path.join("pipeline.yaml"));
    let output = windlass(elsewhere.path(), &["submit", "--server", &url, &file]).await;
    let run_id = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    assert_eq!(world.until_ended(&run_id).await.state(), RunState::Succeeded);
    let logs = world.lines(&run_id).await;
    assert_eq!(logs["here"], text(path.clone()));
    assert_eq!(logs["below"], text(path.join("sub")));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("--base-dir"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_a_server_that_does_not_say_what_they_see_start_where_they_are_told() {
    let server = Server::start(None).await;
    let (_dir, path) = pipeline_dir();
    let submit = async |more: &[&str]| {
        let args = [&["submit", "pipeline.yaml", "--server", &server.url], more].concat();
        let output = windlass(&path, &args).await;
        let run_id = String::from_utf8(output.stdout).unwrap();
        let pipeline = server.store.read_pipeline(run_id.trim().parse().unwrap()).await.unwrap();
        let pipeline = v1::Pipeline::decode(pipeline.unwrap()).unwrap();
        let dirs = pipeline.steps.into_iter().map(|step| {
            let Some(Work::Task(task)) = step.work else { panic!("a task") };
            task.working_dir
        });
        (dirs.collect::<Vec<_>>(), String::from_utf8(output.stderr).unwrap())
    };
    let (dirs, said) = submit(&[]).await;
    assert_eq!(dirs, ["", "sub"]);
    assert!(said.contains("launchers see with --base-dir"), "{said}");
    let (dirs, said) = submit(&["--base-dir", "/data/p"]).await;
    assert_eq!(dirs, ["/data/p", "/data/p/sub"]);
    assert!(!said.contains("--base-dir"), "{said}");
    let (dirs, _) = submit(&["--base-dir", "sub"]).await;
    assert_eq!(dirs, [text(path.join("sub")), text(path.join("sub/sub"))]);
}
