//! Which server, and which of its runs.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use windlass_client::{
    Client, ClientError, ClientIdentity, TlsOptions, Waiting, v1::ListRunsRequest,
};
use windlass_proto::id::RunId;
use windlass_service::error::ErrorReason;

use crate::{
    args::{OneRunArgs, OutputFormat, ServerArgs, TlsArgs},
    bounded,
    failure::{Failure, InputError},
    output,
};

/// Runs that an abbreviated id is looked for among.
const NEWEST: i32 = 1000;
/// The most that a file of certificates or of a key may have: several times what a system's list of authorities has.
const PEM_BYTES: usize = 1 << 20;

pub(super) async fn connect(args: &ServerArgs, format: OutputFormat) -> Result<Client, Failure> {
    let tls = tls_options(&args.tls)?;
    let connected = Client::connect_with(args.address(), &tls).await;
    let client = connected.map_err(|error| match error {
        ClientError::Unreachable { .. } if args.server.is_none() => Failure::NoServer(error),
        error => error.into(),
    })?;
    let client = match &args.log_server {
        Some(address) => client.with_logs_of(&Client::connect_with(address, &tls).await?),
        None => client,
    };
    Ok(match format {
        OutputFormat::Text => client.with_notice(tell_once()),
        // Whoever reads standard error as JSON has no use for a line of text.
        OutputFormat::Json => client,
    })
}

/// Tells a person that a call waits; of several calls that wait for the same reason, once.
fn tell_once() -> impl Fn(&Waiting<'_>) {
    let last = Mutex::new(String::new());
    move |waiting| {
        let told = waits(waiting);
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != told {
            output::note(&told);
            *last = told;
        }
    }
}

fn waits(waiting: &Waiting<'_>) -> String {
    let seconds = waiting.patience.0.as_secs();
    match waiting.error {
        ClientError::Refused(refusal) if !refusal.from_transport => format!(
            "the server is not ready: {}; trying again for up to {seconds} s",
            waiting.error
        ),
        error => format!("{error}; trying again for up to {seconds} s"),
    }
}

fn tls_options(args: &TlsArgs) -> Result<TlsOptions, Failure> {
    let identity = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => {
            Some(ClientIdentity { cert_pem: read(cert)?, key_pem: read(key)? })
        }
        _ => None,
    };
    let ca_pem = args.tls_ca.as_deref().map(read).transpose()?;
    Ok(TlsOptions { ca_pem, identity, ..TlsOptions::default() })
}

fn read(path: &Path) -> Result<Vec<u8>, InputError> {
    let refused = |why: String| {
        let path = path.display();
        InputError::new(format!("cannot read {path}: {why}; name a file in PEM that you may read"))
    };
    bounded::read_file(path, PEM_BYTES)
        .map_err(|error| refused(error.to_string()))?
        .ok_or_else(|| refused(format!("it has more than {} MiB", PEM_BYTES >> 20)))
}

/// Connects, and finds out the run's whole id.
pub(super) async fn connect_to_run(
    args: &OneRunArgs,
    format: OutputFormat,
) -> Result<(Client, String), Failure> {
    let client = connect(&args.server, format).await?;
    let run_id = whole_id(&client, &args.run).await?;
    Ok((client, run_id))
}

async fn whole_id(client: &Client, text: &str) -> Result<String, Failure> {
    if text.parse::<RunId>().is_ok() {
        return Ok(text.to_owned());
    }
    let beginning = if text.starts_with("run_") { text.to_owned() } else { format!("run_{text}") };
    let request = ListRunsRequest { page_size: NEWEST, ..ListRunsRequest::default() };
    let newest = client.list_runs(request).next().await?.unwrap_or_default();
    let mut fitting =
        newest.into_iter().map(|run| run.run_id).filter(|id| id.starts_with(&beginning));
    match (fitting.next(), fitting.next()) {
        (Some(only), None) => Ok(only),
        (Some(one), Some(other)) => Err(InputError::new(format!(
            "several runs begin with `{text}`, such as {one} and {other}; write more of the id"
        ))
        .into()),
        (None, _) => Err(InputError::because(
            ErrorReason::RunNotFound,
            format!(
                "none of the newest {NEWEST} runs has an id that begins with `{text}`; `windlass list` shows them"
            ),
        )
        .into()),
    }
}
