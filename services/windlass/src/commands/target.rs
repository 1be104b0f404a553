//! Which server, and which of its runs.

use std::path::Path;

use windlass_client::{Client, ClientIdentity, TlsOptions, v1::ListRunsRequest};
use windlass_proto::id::RunId;
use windlass_service::error::ErrorReason;

use crate::{
    args::{OneRunArgs, ServerArgs, TlsArgs},
    bounded,
    failure::{Failure, InputError},
};

/// Runs that an abbreviated id is looked for among.
const NEWEST: i32 = 1000;
/// The most that a file of certificates or of a key may have: several times what a system's list of authorities has.
const PEM_BYTES: usize = 1 << 20;

pub(super) async fn connect(args: &ServerArgs) -> Result<Client, Failure> {
    let tls = tls_options(&args.tls)?;
    let client = Client::connect_with(&args.server, &tls).await?;
    match &args.log_server {
        Some(address) => Ok(client.with_logs_of(&Client::connect_with(address, &tls).await?)),
        None => Ok(client),
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
pub(super) async fn connect_to_run(args: &OneRunArgs) -> Result<(Client, String), Failure> {
    let client = connect(&args.server).await?;
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
