//! A gate between one service and one server: to part them as networks do.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// Passes connections on to a server. Dropping it ends them.
#[derive(Debug)]
pub struct TcpGate {
    address: SocketAddr,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    HalfOpen,
    Cut,
}

impl TcpGate {
    /// An open gate before a server.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (state, seen) = watch::channel(State::Open);
        let accepting = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("connections are accepted");
                tokio::spawn(pass_on(client, server, seen.clone()));
            }
        });
        Self { address, state, accepting }
    }

    /// Where it listens, in place of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets everything through, also what was held back.
    pub fn open(&self) {
        self.state.send_replace(State::Open);
    }

    /// Ends all connections, and every new one at once.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Lets nothing through, and ends nothing: connections stay and are made, and nobody answers.
    pub fn half_open(&self) {
        self.state.send_replace(State::HalfOpen);
    }
}

impl Drop for TcpGate {
    fn drop(&mut self) {
        self.cut();
        self.accepting.abort();
    }
}

async fn pass_on(client: TcpStream, server: SocketAddr, mut state: watch::Receiver<State>) {
    let cut = {
        let mut state = state.clone();
        async move {
            // The gate that is gone is cut.
            let _ = state.wait_for(|state| *state == State::Cut).await;
        }
    };
    let passing = async {
        let _ = state.wait_for(|state| *state != State::HalfOpen).await;
        let Ok(server) = TcpStream::connect(server).await else {
            return;
        };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::join!(
            copy(from_client, to_server, state.clone()),
            copy(from_server, to_client, state.clone()),
        );
    };
    tokio::select! {
        () = cut => {}
        () = passing => {}
    }
}

/// Passes bytes on while the gate is open, and the end of them.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        // What was read while the gate closed waits here, as it would in the network.
        let _ = state.wait_for(|state| *state == State::Open).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = state.wait_for(|state| *state == State::Open).await;
    let _ = to.shutdown().await;
}
