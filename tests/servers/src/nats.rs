//! NATS servers.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Weak},
};

use nix::sys::signal::Signal;
use tokio::sync::Mutex;

use crate::{
    process::{Process, Start},
    program::Program,
};

/// A NATS server with JetStream.
#[derive(Debug)]
pub struct NatsServer {
    process: Process,
}

/// How a NATS server is to be.
#[derive(Debug, Default, Clone)]
#[must_use]
pub struct NatsBuilder {
    config: String,
    jetstream: String,
    without_jetstream: bool,
}

impl NatsBuilder {
    /// Adds lines to the server's configuration, such as `max_payload`, `tls` or `authorization` blocks.
    pub fn config(mut self, text: &str) -> Self {
        self.config.push_str(text);
        self.config.push('\n');
        self
    }

    /// Adds lines to the block that configures JetStream, such as `max_file_store`.
    pub fn jetstream(mut self, text: &str) -> Self {
        self.jetstream.push_str(text);
        self.jetstream.push('\n');
        self
    }

    /// Leaves JetStream off.
    pub fn without_jetstream(mut self) -> Self {
        self.without_jetstream = true;
        self
    }

    /// Starts it, and waits until it answers.
    pub async fn start(self) -> NatsServer {
        let program = Program::Nats.find();
        let process = Process::start(|directory, port| {
            let file = directory.join("nats.conf");
            fs::write(&file, self.text(directory, port)).expect("its configuration is written");
            Start {
                program: program.clone(),
                arguments: vec!["--config".into(), file.into()],
                environment: Vec::new(),
                ready: "Server is ready",
            }
        });
        NatsServer { process: process.await }
    }

    fn text(&self, directory: &Path, port: u16) -> String {
        let Self { config, jetstream, .. } = self;
        let store = directory.join("store");
        let store = store.display();
        let jetstream = if self.without_jetstream {
            String::new()
        } else {
            format!("jetstream {{\nstore_dir: \"{store}\"\n{jetstream}}}\n")
        };
        format!("listen: \"127.0.0.1:{port}\"\n{jetstream}{config}")
    }
}

impl NatsServer {
    /// Says how a server is to be.
    pub fn builder() -> NatsBuilder {
        NatsBuilder::default()
    }

    /// Starts a server, and waits until it answers.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// The server that the tests of this process share, each under names of its own. It runs while somebody holds it.
    pub async fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<NatsServer>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start().await);
        *shared = Arc::downgrade(&server);
        server
    }

    /// Where it is, such as `nats://127.0.0.1:10123`.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.process.address()
    }

    /// Ends it in order, and starts it again.
    pub async fn restart(&self) {
        self.process.stop().await;
        self.start_again().await;
    }

    /// Ends it at once (SIGKILL). What it has stored stays.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts it after a kill, on the same port.
    pub async fn start_again(&self) {
        self.process.start_again().await;
    }

    /// Ends it at once, and starts it again with nothing in it.
    pub async fn wipe(&self) {
        self.process.kill();
        let store = self.process.directory().join("store");
        if store.exists() {
            fs::remove_dir_all(store).expect("the store is emptied");
        }
        self.start_again().await;
    }

    /// Stops its process (SIGSTOP): connections stay, and nothing answers.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets its process go on.
    pub fn resume(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// What it has written into its log since it was started the last time.
    pub fn log(&self) -> String {
        self.process.said()
    }
}
