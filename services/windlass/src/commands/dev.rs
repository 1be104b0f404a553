//! `windlass dev`: a server on this machine.

use std::{
    env,
    io::ErrorKind,
    net::SocketAddr,
    path::{self, PathBuf},
    time::Duration,
};

use tokio::{
    net::{TcpListener, lookup_host},
    time::timeout,
};
use windlass_service::signal::EndSignals;

use super::end_signals;
use crate::{
    args::{DevArgs, OutputFormat},
    document::DevResult,
    embedded::{Embedded, EmbeddedConfig, RuntimeConfig, StateDir},
    exit::Exit,
    failure::{Failure, InputError},
    output,
    state::{self, StateWatch},
};

/// How long clients that are being answered have when the server ends.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

pub(super) async fn dev(args: DevArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let mut signals = end_signals()?;
    let addresses = addresses(&args).await?;
    let listener = listen(&args.listen, &addresses).await?;
    let state_dir = args.state_dir.map_or_else(default_state_dir, Ok)?;
    let state_dir = path::absolute(&state_dir).unwrap_or(state_dir);
    let address = listener
        .local_addr()
        .map_err(|source| Failure::System { action: "reading the listener's address", source })?;
    state::check(&state_dir)?;
    windlass_service::descriptors::raise_limit();
    let embedded = Embedded::start(EmbeddedConfig {
        state: StateDir::Persistent(state_dir.clone()),
        runtime: RuntimeConfig::Process { slots: args.slots, supervisor: None },
    })
    .await?;
    let watch = StateWatch::new(state_dir.clone());
    tell(&DevResult { server: format!("http://{address}"), state_dir }, format)?;
    let served = serve(&embedded, listener, &mut signals, &watch).await;
    // A second signal is a wish to leave whatever has not ended.
    tokio::select! {
        () = embedded.shutdown() => {}
        () = signals.next() => output::note("left before the services had ended; nothing that was told is lost"),
    }
    served
}

async fn addresses(args: &DevArgs) -> Result<Vec<SocketAddr>, Failure> {
    let listen = &args.listen;
    let found = lookup_host(listen).await.map_err(|error| {
        InputError::new(format!(
            "cannot listen on `{listen}`: {error}; write --listen as HOST:PORT"
        ))
    })?;
    let addresses: Vec<_> = found.collect();
    if addresses.iter().all(|address| address.ip().is_loopback()) {
        return Ok(addresses);
    }
    if !args.allow_remote {
        return Err(InputError::new(format!(
            "`{listen}` can be reached from other machines, and whoever can connect can run any program as you; listen \
             on 127.0.0.1, or accept that with --allow-remote"
        ))
        .into());
    }
    output::note(&format!(
        "WARNING: whoever can connect to {listen} can run any program on this machine as you. There is no password."
    ));
    Ok(addresses)
}

async fn listen(listen: &str, addresses: &[SocketAddr]) -> Result<TcpListener, Failure> {
    TcpListener::bind(addresses).await.map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::AddrInUse => {
                "is taken; is another `windlass dev` running? Choose another port with --listen"
                    .to_owned()
            }
            _ => format!("cannot be listened on: {error}; choose another one with --listen"),
        };
        InputError::new(format!("the address {listen} {advice}")).into()
    })
}

fn default_state_dir() -> Result<PathBuf, Failure> {
    let dir = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state_home = dir("XDG_STATE_HOME").or_else(|| Some(dir("HOME")?.join(".local/state")));
    state_home.map(|state_home| state_home.join("windlass")).ok_or_else(|| {
        InputError::new(
            "neither XDG_STATE_HOME nor HOME is set; say where to keep state with --state-dir",
        )
        .into()
    })
}

fn tell(listening: &DevResult, format: OutputFormat) -> Result<(), Failure> {
    match format {
        OutputFormat::Json => output::write_json(listening),
        OutputFormat::Text => output::write(&format!(
            "listening on {}, with state in {}\n",
            listening.server,
            listening.state_dir.display()
        )),
    }
}

/// Serves until a signal comes, then lets running answers end. Ends at once where nothing can be kept any more.
async fn serve(
    embedded: &Embedded,
    listener: TcpListener,
    signals: &mut EndSignals,
    watch: &StateWatch,
) -> Result<Exit, Failure> {
    let mut serving = std::pin::pin!(embedded.serve(listener));
    let served = tokio::select! {
        served = &mut serving => served,
        lost = watch.lost() => return Err(lost.into()),
        () = signals.next() => {
            output::note("ending; steps that run go on, and the next start on the same directory finds them again");
            embedded.stop_serving().cancel();
            // A watch may be open for as long as its run takes.
            timeout(LAST_ANSWERS, &mut serving).await.unwrap_or(Ok(()))
        }
    };
    served.map_err(crate::embedded::StartError::from)?;
    Ok(Exit::Success)
}
