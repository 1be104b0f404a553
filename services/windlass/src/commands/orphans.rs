//! `windlass cluster orphans`: pods in a cluster whose run the server does not know.
//!
//! **Invariants.** The pods are listed before the server is asked about their runs: a run is in its store before it has a pod. And
//! nothing is removed that the server, of the same installation, has not said to be unknown.

use std::collections::BTreeSet;

use jiff::Timestamp;
use windlass_client::Client;
use windlass_cluster::{AttemptPod, ClusterConfig, InstallationPods};

use super::target;
use crate::{
    args::{OrphansArgs, OutputFormat},
    document::OrphansResult,
    exit::Exit,
    failure::{ClusterFailure, Failure, InputError},
    orphans::Orphans,
    output,
    render::{self, Theme},
};

/// How many runs the server is asked about at once, the most that it takes.
const RUNS_AT_ONCE: usize = 1000;

pub(super) async fn orphans(
    config: &ClusterConfig,
    args: &OrphansArgs,
    format: OutputFormat,
) -> Result<Exit, Failure> {
    let client = target::connect(&args.server, format).await?;
    let installation = client.find_unknown_runs(Vec::new()).await?.installation;
    expect(args.installation.as_deref().unwrap_or(&installation), &installation)?;
    let pods =
        InstallationPods::connect(config, &installation).await.map_err(ClusterFailure::from)?;
    let listed = pods.list().await.map_err(ClusterFailure::from)?;
    let orphans = Orphans {
        cluster: config.name.clone(),
        server: pods.server().to_owned(),
        namespaces: pods.namespaces().to_vec(),
        pods: unknown(&client, &installation, listed).await?,
        installation,
        now: Timestamp::now(),
    };
    if args.remove {
        return remove(&pods, &orphans, format).await;
    }
    match format {
        OutputFormat::Json => output::write_json(&OrphansResult::new(&orphans, None))?,
        OutputFormat::Text => output::write(&render::orphans(&orphans, &Theme::stdout()))?,
    }
    Ok(if orphans.pods.is_empty() { Exit::Success } else { Exit::Failed })
}

/// Those of the pods whose run the server does not know.
async fn unknown(
    client: &Client,
    installation: &str,
    mut pods: Vec<AttemptPod>,
) -> Result<Vec<AttemptPod>, Failure> {
    let runs: BTreeSet<String> = pods.iter().map(|pod| pod.run.to_string()).collect();
    let runs: Vec<String> = runs.into_iter().collect();
    let mut unknown = BTreeSet::new();
    for runs in runs.chunks(RUNS_AT_ONCE) {
        let answer = client.find_unknown_runs(runs.to_vec()).await?;
        // Behind one address there may be several servers.
        expect(installation, &answer.installation)?;
        unknown.extend(answer.run_ids);
    }
    pods.retain(|pod| unknown.contains(pod.run.as_str()));
    Ok(pods)
}

fn expect(expected: &str, installation: &str) -> Result<(), InputError> {
    if installation == expected {
        return Ok(());
    }
    Err(InputError::new(format!(
        "the server is of the installation `{installation}`, and knows nothing of the runs of `{expected}`; name a server of that \
         one with --server or WINDLASS_SERVER"
    )))
}

/// Says what is going to be removed, removes it, and says what came of it.
async fn remove(
    pods: &InstallationPods,
    orphans: &Orphans,
    format: OutputFormat,
) -> Result<Exit, Failure> {
    if format == OutputFormat::Text {
        let theme = Theme::stdout();
        let plan = render::orphans(orphans, &theme) + &render::removal_of(orphans);
        output::write(&plan)?;
    }
    let removed = pods.remove(&orphans.removable()).await.map_err(ClusterFailure::from)?;
    match format {
        OutputFormat::Json => output::write_json(&OrphansResult::new(orphans, Some(removed)))?,
        OutputFormat::Text => output::write(&render::removed(removed))?,
    }
    Ok(if orphans.too_young() == 0 { Exit::Success } else { Exit::Failed })
}
