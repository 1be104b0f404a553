//! Which server, and which of its runs.

use std::net::IpAddr;

use windlass_client::{Client, v1::ListRunsRequest};
use windlass_proto::id::RunId;
use windlass_service::error::ErrorReason;

use crate::{
    args::{OneRunArgs, ServerArgs},
    failure::{Failure, InputError},
    submission::BaseDir,
};

/// Runs that an abbreviated id is looked for among.
const NEWEST: i32 = 1000;

pub(super) async fn connect(args: &ServerArgs) -> Result<Client, Failure> {
    Ok(Client::connect(&args.server).await?)
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

/// Steps of a server on this machine start beside the pipeline's file, as those of `windlass run` do.
pub(super) fn base_dir(server: &ServerArgs) -> BaseDir {
    let address = server.server.strip_prefix("http://").unwrap_or(&server.server);
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if is_local { BaseDir::OfFile } else { BaseDir::OfRuntime }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_this_machine_is_known_by_its_address() {
        let of = |url: &str| base_dir(&ServerArgs { server: url.to_owned() });
        for local in ["http://127.0.0.1:7878", "http://localhost:1", "http://[::1]:7878"] {
            assert_eq!(of(local), BaseDir::OfFile, "{local}");
        }
        for remote in ["http://10.0.0.1:7878", "http://windlass:80", "http://[2001:db8::1]:7878"] {
            assert_eq!(of(remote), BaseDir::OfRuntime, "{remote}");
        }
    }
}
