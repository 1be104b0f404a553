//! A gate between one client and the API server: it counts what is asked, and makes go wrong what it is told to.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Bytes, Frame, Incoming},
    header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use kube::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use super::{
    authority,
    call::{Call, Calls, Verb},
    connect,
};

/// Passes requests on to the API server, as the client of one configuration, and answers back, watches as they come. What
/// takes over its connection (exec, attach) does not pass. Dropping it ends all connections.
#[derive(Debug)]
pub struct KubernetesGate {
    address: SocketAddr,
    directory: TempDir,
    gate: Arc<Gate>,
    accepting: JoinHandle<()>,
}

/// What befalls a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// It is answered with 429, and when to come again: in so many seconds.
    TooManyRequests {
        /// The answer's `Retry-After`.
        retry_after: u32,
    },
    /// It is answered with an error of this code, such as 500 or 503.
    Code(u16),
    /// It is answered with this `Status`, and its `code`.
    Status(Value),
    /// It is taken, and nobody ever answers.
    Silence,
    /// It does not arrive, and its connection ends.
    LostRequest,
    /// It arrives and is followed; then its connection ends instead of an answer.
    LostReply,
}

/// Which requests a fault befalls: all, until they are told apart.
#[derive(Debug, Clone)]
#[must_use]
pub struct Rule {
    fault: Fault,
    verb: Option<Verb>,
    resource: Option<String>,
    percent: u64,
    times: u64,
    /// How many requests it was for so far, and how many it befell.
    seen: u64,
    befell: u64,
}

#[derive(Debug)]
struct Gate {
    client: Hidden<Client>,
    state: Mutex<State>,
    /// Changes when all that is under way is to end.
    cut: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    calls: Calls,
    delay: Duration,
    rules: Vec<Rule>,
}

/// A client has no words for itself.
struct Hidden<T>(T);

impl<T> std::fmt::Debug for Hidden<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

impl Rule {
    /// This befalls all requests.
    pub fn new(fault: Fault) -> Self {
        let times = u64::MAX;
        Self { fault, verb: None, resource: None, percent: 100, times, seen: 0, befell: 0 }
    }

    /// Only those that do this.
    pub fn verb(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Only those for this, such as `pods` or `pods/status`.
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only so many of a hundred, evenly, the last of them among these.
    pub fn percent(mut self, percent: u32) -> Self {
        self.percent = percent.into();
        self
    }

    /// Only so many, and then no more.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Whether it befalls this one.
    fn befalls(&mut self, call: &Call) -> bool {
        let meant = self.verb.is_none_or(|it| it == call.verb)
            && self.resource.as_ref().is_none_or(|it| *it == call.resource);
        if !meant || self.befell == self.times {
            return false;
        }
        let before = self.seen * self.percent / 100;
        self.seen += 1;
        let befalls = self.seen * self.percent / 100 > before;
        self.befell += u64::from(befalls);
        befalls
    }
}

impl KubernetesGate {
    /// An open gate, on a free port, that passes on with this configuration.
    pub async fn to(kubeconfig: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let directory = crate::process::directory();
        let cluster = json!({ "server": format!("http://{address}") });
        let text = authority::kubeconfig(&cluster, &json!({}));
        std::fs::write(directory.path().join("kubeconfig"), text).expect("the file is written");
        let (state, cut) = (Mutex::default(), watch::Sender::new(()));
        let gate = Arc::new(Gate { client: Hidden(connect(kubeconfig)), state, cut });
        let accepting = tokio::spawn(accept(listener, gate.clone()));
        Self { address, directory, gate, accepting }
    }

    /// The configuration of clients that go through it. They need no certificate.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }

    /// A client that goes through it, and tries nothing again by itself.
    pub fn client(&self) -> Client {
        connect(&self.kubeconfig())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked so far, also what it did not pass on.
    pub fn calls(&self) -> Calls {
        self.gate.state().calls.clone()
    }

    /// Holds every request back so long before anything else befalls it.
    pub fn delay(&self, delay: Duration) {
        self.gate.state().delay = delay;
    }

    /// Adds a fault. Of several that are meant for a request, the first one befalls it.
    pub fn add(&self, rule: Rule) {
        self.gate.state().rules.push(rule);
    }

    /// No delay and no faults any more. What nobody answers goes on so: see [`Self::cut`].
    pub fn heal(&self) {
        let mut state = self.gate.state();
        (state.delay, state.rules) = (Duration::ZERO, Vec::new());
    }

    /// Ends the connections of all requests under way, watches and those that nobody answers among them. New ones pass.
    pub fn cut(&self) {
        self.gate.cut.send_replace(());
    }
}

impl Drop for KubernetesGate {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves connections. They end with it.
async fn accept(listener: TcpListener, gate: Arc<Gate>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (connection, _) = accepted.expect("connections are accepted");
                connections.spawn(serve(connection, gate.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(connection: TcpStream, gate: Arc<Gate>) {
    let service = service_fn(move |request| {
        let gate = gate.clone();
        async move { gate.answer(request).await }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    // It fails where an answer is lost, as it is meant to.
    let _ = server.serve_connection(TokioIo::new(connection), service).await;
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request. An error ends its connection.
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Answer> {
        let mut cut = self.cut.subscribe();
        tokio::select! {
            _ = cut.changed() => Err(io::ErrorKind::ConnectionReset.into()),
            answer = self.follow(request) => answer,
        }
    }

    async fn follow(&self, request: Request<Incoming>) -> io::Result<Answer> {
        let uri = request.uri();
        let call = Call::of(request.method().as_str(), uri.path(), uri.query());
        let (delay, fault) = {
            let mut state = self.state();
            state.calls.add(call.clone(), 1);
            let rule =
                state.rules.iter_mut().find_map(|it| it.befalls(&call).then(|| it.fault.clone()));
            (state.delay, rule)
        };
        if !delay.is_zero() {
            sleep(delay).await;
        }
        match fault {
            None => self.pass_on(request).await,
            Some(Fault::TooManyRequests { retry_after }) => {
                let mut answer = refuse(429);
                answer.headers_mut().insert(RETRY_AFTER, retry_after.into());
                Ok(answer)
            }
            Some(Fault::Code(code)) => Ok(refuse(code)),
            Some(Fault::Status(status)) => Ok(status_answer(&status)),
            Some(Fault::Silence) => std::future::pending().await,
            Some(Fault::LostRequest) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(Fault::LostReply) => {
                // All of it, so that what was asked is done.
                let answer = self.pass_on(request).await?;
                let _ = answer.into_body().collect().await;
                Err(io::ErrorKind::ConnectionReset.into())
            }
        }
    }

    async fn pass_on(&self, request: Request<Incoming>) -> io::Result<Answer> {
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        // They are of this connection, and the next one has its own.
        for header in [HOST, CONNECTION, TRANSFER_ENCODING] {
            head.headers.remove(header);
        }
        let request = Request::from_parts(head, body.into());
        let answer = self.client.0.send(request).await.map_err(io::Error::other)?;
        let (mut head, body) = answer.into_parts();
        for header in [CONNECTION, TRANSFER_ENCODING] {
            head.headers.remove(header);
        }
        let body = Box::pin(body.into_data_stream().map_err(io::Error::other));
        let body = stream::unfold((body, self.cut.subscribe()), |(mut body, mut cut)| async {
            let next = tokio::select! {
                // Also when the gate is gone.
                _ = cut.changed() => Some(Err(io::ErrorKind::ConnectionReset.into())),
                next = body.next() => next,
            };
            next.map(|next| (next.map(Frame::data), (body, cut)))
        });
        Ok(Response::from_parts(head, StreamBody::new(body).boxed_unsync()))
    }
}

/// An error as the API server words it.
fn refuse(code: u16) -> Answer {
    let reason = match code {
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    };
    status_answer(&json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the gate was told to answer so",
        "reason": reason,
        "code": code,
    }))
}

fn status_answer(status: &Value) -> Answer {
    let body = Full::from(status.to_string()).map_err(|never: Infallible| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok());
    *answer.status_mut() = code
        .and_then(|code| hyper::StatusCode::from_u16(code).ok())
        .unwrap_or_else(|| panic!("a status needs a `code`: {status}"));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
