//! `windlass run`: a server within the process, one run, and its end.

use std::{path::PathBuf, time::Duration};

use tokio::time::timeout;
use windlass_client::{
    Client,
    v1::{Run, SetLimitRequest, Step, SubmitRunRequest, step::Work},
};
use windlass_proto::{cluster, id::RunId};
use windlass_service::signal::EndSignals;
use windlass_submitter::check_limit;

use super::{end_signals, plan};
use crate::{
    args::{OutputFormat, RunArgs},
    embedded::{Embedded, EmbeddedConfig, RuntimeConfig, StateDir},
    exit::Exit,
    failure::{Failure, InputError},
    follow::{Followed, Manner, OnSignal, follow},
    output,
    state::{self, StateError, StateWatch},
    submission::{self, BaseDir},
    view,
    warnings::Warnings,
};

/// How long the services may take to end when somebody wants to leave at once.
const LEAVE: Duration = Duration::from_secs(2);

/// What of the run is shown.
struct Show {
    format: OutputFormat,
    quiet: bool,
    logs: bool,
}

/// How the one run ended for whoever waited for it.
struct End {
    exit: Result<Exit, Failure>,
    /// The run that was left while it is being cancelled.
    cancelled: Option<RunId>,
}

pub(super) async fn run(
    args: RunArgs,
    format: OutputFormat,
    warnings: Warnings,
) -> Result<Exit, Failure> {
    let request = submission::request(&args.submission, &BaseDir::OfFile)?;
    for (name, size) in &args.limits {
        check_limit(name, Some(*size), None).map_err(InputError::from)?;
    }
    if args.submission.dry_run {
        return plan::tell(&request, format);
    }
    refuse_approvals(&request)?;
    refuse_clusters(&request)?;
    if format == OutputFormat::Text {
        warn_of_unnamed(&args.limits, &request);
    }
    let mut signals = end_signals()?;
    let state = match args.state_dir {
        Some(dir) => StateDir::Persistent(std::path::absolute(&dir).unwrap_or(dir)),
        None => StateDir::temporary().map_err(crate::embedded::StartError::from)?,
    };
    let dir = match &state {
        StateDir::Persistent(dir) => Some(dir.clone()),
        StateDir::Temporary(_) => None,
    };
    dir.as_deref().map_or(Ok(()), state::check)?;
    let runtime = RuntimeConfig::Process { slots: args.slots, supervisor: None };
    windlass_service::descriptors::raise_limit();
    let embedded = Embedded::start(EmbeddedConfig { state, runtime }).await?;
    let show = Show { format, quiet: args.quiet, logs: !args.no_logs && !args.quiet };
    let ended = tokio::select! {
        ended = async {
            set_limits(&embedded.client(), args.limits).await?;
            one_run(&embedded, request, &mut signals, &show, warnings).await
        } => ended,
        lost = lost(dir) => Err(lost.into()),
    };
    // What has not ended by then ends with the process.
    match &ended {
        Ok(End { cancelled: Some(run), .. }) => drop(timeout(LEAVE, embedded.leave(*run)).await),
        Ok(End { exit: Ok(Exit::Left), .. }) => drop(timeout(LEAVE, embedded.shutdown()).await),
        Ok(_) | Err(_) => embedded.shutdown().await,
    }
    ended?.exit
}

/// Refuses a pipeline with a step that somebody has to approve: a run within this process cannot be reached from outside, and
/// would wait for ever.
fn refuse_approvals(request: &SubmitRunRequest) -> Result<(), InputError> {
    let pipeline = request.pipeline.iter();
    let mut lists = pipeline.flat_map(|pipeline| [&pipeline.steps, &pipeline.exit_steps]);
    let Some(step) = lists.find_map(|steps| first_approval(steps)) else {
        return Ok(());
    };
    Err(InputError::new(format!(
        "step `{step}` waits for somebody's approval, and nobody can reach a run of `windlass run` to give it; start a server with \
         `windlass dev`, and give the pipeline to `windlass submit`"
    )))
}

/// The name of the first approval in a list, or in what lies in it.
fn first_approval(steps: &[Step]) -> Option<&str> {
    steps.iter().find_map(|step| match &step.work {
        Some(Work::Approval(_)) => Some(step.name.as_str()),
        Some(Work::Group(group)) => first_approval(&group.steps),
        Some(Work::Branches(branches)) => first_approval(&branches.branches),
        Some(Work::Task(_)) | None => None,
    })
}

/// Refuses a pipeline with a step of a cluster that this process does not serve: no launcher of it will ever come.
fn refuse_clusters(request: &SubmitRunRequest) -> Result<(), InputError> {
    let pipeline = request.pipeline.iter();
    let mut lists = pipeline.flat_map(|pipeline| [&pipeline.steps, &pipeline.exit_steps]);
    let Some((step, name)) = lists.find_map(|steps| first_elsewhere(steps)) else {
        return Ok(());
    };
    Err(InputError::new(format!(
        "step `{step}` is to run in cluster `{name}`, and `windlass run` serves cluster `{}` alone; give the pipeline to a server that \
         has launchers of `{name}` (`windlass submit`), or leave the step's cluster out",
        cluster::DEFAULT
    )))
}

/// The first step in a list, or in what lies in it, that another cluster than the default is to run, and that cluster.
fn first_elsewhere(steps: &[Step]) -> Option<(&str, &str)> {
    steps.iter().find_map(|step| match &step.work {
        Some(Work::Task(task)) => {
            let name = cluster::or_default(&task.cluster);
            (name != cluster::DEFAULT).then_some((step.name.as_str(), name))
        }
        Some(Work::Group(group)) => first_elsewhere(&group.steps),
        Some(Work::Branches(branches)) => first_elsewhere(&branches.branches),
        Some(Work::Approval(_)) | None => None,
    })
}

/// Warns of limits on the command line that no step names: most likely the name is wrong, and another limit stays as it was.
fn warn_of_unnamed(limits: &[(String, u32)], request: &SubmitRunRequest) {
    let pipeline = request.pipeline.iter();
    let lists: Vec<_> =
        pipeline.flat_map(|pipeline| [&pipeline.steps, &pipeline.exit_steps]).collect();
    for (name, _) in limits {
        if !lists.iter().any(|steps| names_limit(steps, name)) {
            output::note(&format!(
                "warning: --limit {name}: no step of the pipeline names this limit; see `limits` of its steps"
            ));
        }
    }
}

/// Whether a step of a list, or of what lies in it, names a limit.
fn names_limit(steps: &[Step], name: &str) -> bool {
    steps.iter().any(|step| match &step.work {
        Some(Work::Task(task)) => task.limits.iter().any(|limit| limit == name),
        Some(Work::Group(group)) => names_limit(&group.steps, name),
        Some(Work::Branches(branches)) => names_limit(&branches.branches, name),
        Some(Work::Approval(_)) | None => false,
    })
}

/// Waits until the directory is lost; for ever if there is none.
async fn lost(dir: Option<PathBuf>) -> StateError {
    match dir {
        Some(dir) => StateWatch::new(dir).lost().await,
        None => std::future::pending().await,
    }
}

async fn set_limits(client: &Client, limits: Vec<(String, u32)>) -> Result<(), Failure> {
    for (name, size) in limits {
        let size = Some(size);
        client.set_limit(SetLimitRequest { name, size, ..SetLimitRequest::default() }).await?;
    }
    Ok(())
}

async fn one_run(
    embedded: &Embedded,
    request: SubmitRunRequest,
    signals: &mut EndSignals,
    show: &Show,
    warnings: Warnings,
) -> Result<End, Failure> {
    let client = &embedded.client();
    let run = client.submit(request).await?;
    let mut view = view::of(show.format, show.quiet);
    let mut manner = Manner { on_signal: OnSignal::Cancel, with_logs: show.logs, warnings };
    let followed = follow(client, &run, view.as_mut(), signals, &mut manner).await;
    drop(view);
    let (exit, followed) = match followed {
        Ok(followed) => (None, Ok(followed)),
        Err(failure) => {
            // Whoever read the output has gone, as by `| head`: nobody wants the rest.
            let exit = (!failure.is_broken_pipe()).then(|| {
                output::report(&failure, show.format);
                failure.exit()
            });
            (exit, abandon(client, &run, signals, manner).await)
        }
    };
    // Nobody knows whether an order was taken on which nothing more is heard.
    let cancelled = matches!(followed, Err(_) | Ok(Followed::Left { cancelled: true }));
    Ok(End {
        exit: followed.map(|followed| exit.unwrap_or(followed.exit())),
        cancelled: cancelled.then(|| run.run_id.parse().ok()).flatten(),
    })
}

/// Ends a run that nobody watches any more: its steps must not outlive this process unseen.
async fn abandon(
    client: &Client,
    run: &Run,
    signals: &mut EndSignals,
    manner: Manner,
) -> Result<Followed, Failure> {
    let mut manner = Manner { on_signal: OnSignal::Leave, with_logs: false, ..manner };
    follow(client, run, view::silent().as_mut(), signals, &mut manner).await
}

#[cfg(test)]
mod tests {
    use windlass_client::v1::{Group, Pipeline, Task};

    use super::*;

    fn step(name: &str, work: Work) -> Step {
        Step { name: name.into(), work: Some(work), ..Step::default() }
    }

    fn task(cluster: &str) -> Work {
        Work::Task(Box::new(Task { cluster: cluster.into(), ..Task::default() }))
    }

    #[test]
    fn a_step_of_a_cluster_that_nobody_will_ever_serve_is_refused_wherever_it_lies() {
        let refused = |steps, exit_steps| {
            let pipeline = Some(Pipeline { steps, exit_steps, ..Pipeline::default() });
            let request = SubmitRunRequest { pipeline, ..SubmitRunRequest::default() };
            refuse_clusters(&request).err().map(|error| error.to_string())
        };
        let here = || vec![step("load", task("")), step("fit", task("default"))];
        assert_eq!(refused(here(), here()), None);
        let group = Group { steps: vec![step("train", task("gpu"))], ..Group::default() };
        let said = refused(here(), vec![step("all", Work::Group(Box::new(group)))]).unwrap();
        assert!(said.starts_with("step `train` is to run in cluster `gpu`"), "{said}");
    }
}
