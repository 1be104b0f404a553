//! Kubernetes: a real control plane, nodes that are played, and a gate before the API server.

mod authority;
mod call;
mod control_plane;
mod fake_nodes;
mod gate;
mod programs;
mod real_node;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{
    Api, Client, Config,
    api::{ObjectMeta, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{Value, json};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep},
};

use self::authority::Authority;
pub use self::{
    call::{Call, Calls, Verb},
    fake_nodes::{FakeNodes, StartedAttempt},
    gate::{Fault, KubernetesGate, Rule},
    real_node::RealNode,
};
use crate::process::{LOOK, PATIENCE, Process};

/// How many fake nodes a control plane gets.
const FAKE_NODES: u32 = 3;

/// A control plane: etcd, API server, controller manager and scheduler, with access rules (RBAC) as anywhere. It has no
/// nodes but those that [`Kubernetes::fake_nodes`] plays and a [`RealNode`]. A start takes some five seconds.
#[derive(Debug)]
pub struct Kubernetes {
    // In the order in which they are dropped.
    fake_nodes: OnceCell<FakeNodes>,
    scheduler: Process,
    controller_manager: Process,
    apiserver: Process,
    etcd: Process,
    admin: PathBuf,
    authority: Authority,
}

impl Kubernetes {
    /// Whether there are no programs of Kubernetes. Then it says so, for a test to end by; where `CI` is set, where all
    /// tests count, it panics.
    pub fn is_missing() -> bool {
        programs::find().is_err_and(|why| missing(&why))
    }

    /// Starts one, and waits until it answers.
    pub async fn start() -> Self {
        let programs = programs::find().unwrap_or_else(|why| panic!("{why}"));
        let authority = Authority::make();
        let etcd =
            Process::start(|directory, port| control_plane::etcd(&programs, directory, port));
        let etcd = etcd.await;
        let apiserver = Process::start(|_, port| {
            control_plane::apiserver(&programs, &authority, etcd.address(), port)
        });
        let apiserver = apiserver.await;
        let url = format!("https://{}", apiserver.address());
        let admin = authority.kubeconfig(&url, "admin", Some("system:masters"));
        until_ready(&connect(&admin)).await;
        let [controllers, schedulers] = ["system:kube-controller-manager", "system:kube-scheduler"]
            .map(|user| authority.kubeconfig(&url, user, None));
        let (controller_manager, scheduler) = tokio::join!(
            Process::start(|_, port| {
                control_plane::controller_manager(&programs, &authority, &controllers, port)
            }),
            Process::start(|_, port| control_plane::scheduler(&programs, &schedulers, port)),
        );
        let fake_nodes = OnceCell::new();
        Self { fake_nodes, scheduler, controller_manager, apiserver, etcd, admin, authority }
    }

    /// The one that the tests of this process share, each in [a namespace](Self::namespace) of its own. It ends with the
    /// process; its directories are removed when the next test program starts a server.
    ///
    /// Only for tests that neither end its API server nor compact.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Kubernetes> = OnceCell::const_new();
        SHARED.get_or_init(Self::start).await
    }

    /// Its fake nodes: three, from the first call on.
    pub async fn fake_nodes(&self) -> &FakeNodes {
        self.fake_nodes.get_or_init(|| FakeNodes::start(self, "fake", FAKE_NODES)).await
    }

    /// Where the API server listens, such as `https://127.0.0.1:10123`.
    pub fn url(&self) -> String {
        format!("https://{}", self.apiserver.address())
    }

    /// The configuration of a client that may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.admin.clone()
    }

    /// The configuration of a client that is the user of this name, in no group: it may do what a test binds it to.
    pub fn kubeconfig_for(&self, user: &str) -> PathBuf {
        self.authority.kubeconfig(&self.url(), user, None)
    }

    /// A client that may do everything. It works as long as the runtime runs in which this was called.
    pub fn client(&self) -> Client {
        connect(&self.admin)
    }

    /// Makes a namespace, and waits until pods can be created in it: its default service account comes a moment later.
    pub async fn namespace(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let client = self.client();
        let metadata = ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let made = Api::all(client.clone()).create(&PostParams::default(), &namespace).await;
        made.expect("the namespace is made");
        let accounts: Api<ServiceAccount> = Api::namespaced(client, &name);
        until("the namespace has its service account", async || {
            accounts.get_opt("default").await.ok().flatten()
        })
        .await;
        name
    }

    /// Ends the API server at once (SIGKILL). What it has stored stays.
    pub fn stop_apiserver(&self) {
        self.apiserver.kill();
    }

    /// Starts the API server after a kill, on the same port, and waits until it is ready.
    pub async fn start_apiserver(&self) {
        self.apiserver.start_again().await;
        until_ready(&self.client()).await;
    }

    /// Has etcd forget all that was before now: versions to watch from, and to go on with a list that is read in parts.
    ///
    /// An API server answers from what it keeps in memory, though, and notices minutes later. End it and start it again
    /// after this, and they are gone (410) with certainty.
    pub async fn compact(&self) {
        let url = format!("http://{}", self.etcd.address());
        let config = Config::new(url.parse().expect("it is lawful"));
        let etcd = Client::try_from(config).expect("a client");
        // Its own interface is gRPC; this is the same as JSON.
        let ask = async |path: &str, body: Value| -> Value {
            let request = hyper::Request::post(path).body(body.to_string().into_bytes());
            etcd.request(request.expect("it is lawful")).await.expect("etcd answers")
        };
        let status = ask("/v3/maintenance/status", json!({})).await;
        let now = &status["header"]["revision"];
        ask("/v3/kv/compaction", json!({ "revision": now, "physical": true })).await;
    }

    /// What the API server has been asked since it was started the last time, by whomever.
    pub async fn metrics(&self) -> Calls {
        Calls::from_metrics(&get(&self.client(), "/metrics").await.expect("it has metrics"))
    }

    /// What the API server and the controllers have written into their logs since they were started the last time.
    pub fn logs(&self) -> String {
        let programs = [
            ("etcd", &self.etcd),
            ("kube-apiserver", &self.apiserver),
            ("kube-controller-manager", &self.controller_manager),
            ("kube-scheduler", &self.scheduler),
        ];
        programs.map(|(name, process)| format!("== {name}\n{}", process.said())).concat()
    }
}

/// Says why a test is left out; where all tests count it panics.
fn missing(why: &str) -> bool {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    #[expect(clippy::print_stderr, reason = "a test that is left out says why")]
    {
        eprintln!("not tried: {why}");
    }
    true
}

/// A client with this configuration. Nothing is tried again behind the caller's back.
fn connect(kubeconfig: &std::path::Path) -> Client {
    let mut config = configuration(kubeconfig);
    config.default_retry = false;
    Client::try_from(config).expect("a client")
}

fn configuration(kubeconfig: &std::path::Path) -> Config {
    let file = Kubeconfig::read_from(kubeconfig).expect("the configuration is read");
    let options = KubeConfigOptions::default();
    // Nothing in it takes time: neither a program to run nor a token to fetch.
    futures::executor::block_on(Config::from_custom_kubeconfig(file, &options))
        .expect("the configuration is sound")
}

async fn get(client: &Client, path: &str) -> kube::Result<String> {
    let request = hyper::Request::get(path).body(Vec::new()).expect("it is lawful");
    client.request_text(request).await
}

async fn until_ready(client: &Client) {
    until("the API server is ready", async || get(client, "/readyz").await.ok()).await;
}

/// Waits for something that takes far less than a minute.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < limit, "it takes too long until {what}");
        sleep(LOOK).await;
    }
}
