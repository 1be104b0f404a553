//! A network that parts one kind of program from one server, for a while.

use std::time::Duration;

use tokio::time::sleep;
use windlass_servers::TcpGate;

use crate::{
    crew::Crew,
    deployment::{Deployment, Kind},
};

/// How long they are parted: longer than any program waits for an answer here.
const PARTED: Duration = Duration::from_secs(3);

/// Short, so that programs give up what they wait for while they are parted.
const SHORT_PATIENCE: [&str; 2] = ["store.response_timeout=1s", "bus.publish_timeout=1s"];

#[derive(Debug, Clone, Copy)]
enum Server {
    Nats,
    Redis,
}

async fn a_program_is_parted(kind: Kind, server: Server, part: fn(&TcpGate)) {
    let deployment = Deployment::start().await;
    let gate = match server {
        Server::Nats => TcpGate::to(deployment.nats.address()).await,
        Server::Redis => TcpGate::to(deployment.redis.address()).await,
    };
    let through_gate = match server {
        Server::Nats => format!("bus.url=nats://{}", gate.address()),
        Server::Redis => format!("store.url=redis://{}", gate.address()),
    };
    let crew = Crew::start_with(&deployment, &SHORT_PATIENCE, |other| {
        if other == kind { vec![through_gate.clone()] } else { Vec::new() }
    })
    .await;
    crew.is_undisturbed_by(&deployment, async || {
        part(&gate);
        sleep(PARTED).await;
        gate.open();
    })
    .await;
}

async fn programs_are_parted(server: Server, part: fn(&TcpGate)) {
    tokio::join!(
        Box::pin(a_program_is_parted(Kind::Submitter, server, part)),
        Box::pin(a_program_is_parted(Kind::Scheduler, server, part)),
        Box::pin(a_program_is_parted(Kind::Launcher, server, part)),
        Box::pin(a_program_is_parted(Kind::Streamer, server, part)),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_program_is_cut_off_from_nats() {
    programs_are_parted(Server::Nats, TcpGate::cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_program_is_cut_off_from_redis() {
    programs_are_parted(Server::Redis, TcpGate::cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_between_each_program_and_nats() {
    programs_are_parted(Server::Nats, TcpGate::half_open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_passes_between_each_program_and_redis() {
    programs_are_parted(Server::Redis, TcpGate::half_open).await;
}
