//! `windlass submit`.

use std::{net::IpAddr, path::Path};

use windlass_client::{
    Client,
    v1::{Pipeline, Run, Step, SubmitRunRequest, step::Work},
};

use super::{end_signals, plan, target};
use crate::{
    args::{OutputFormat, ServerArgs, SubmitArgs},
    document::RunResult,
    exit::Exit,
    failure::Failure,
    files,
    follow::{Manner, OnSignal, follow},
    output,
    submission::{self, BaseDir},
    view,
    warnings::Warnings,
};

pub(super) async fn submit(args: SubmitArgs, format: OutputFormat) -> Result<Exit, Failure> {
    if args.submission.dry_run {
        let base_dir = given_base_dir(&args).unwrap_or(BaseDir::OfRuntime);
        return plan::tell(&submission::request(&args.submission, &base_dir)?, format);
    }
    let server = reach(&args, format).await;
    // What is wrong with the file is told even if there is no server.
    let base_dir = server.as_ref().map_or(&BaseDir::OfRuntime, |(_, base_dir)| base_dir);
    let request = submission::request(&args.submission, base_dir)?;
    let (client, base_dir) = server?;
    if format == OutputFormat::Text && is_elsewhere(&args, &base_dir, request.pipeline.as_ref()) {
        output::note(
            "steps start in their launcher's directory, since this server may not see your files; name a directory that its \
             launchers see with --base-dir",
        );
    }
    let request =
        SubmitRunRequest { request_id: args.request_id, namespace: args.namespace, ..request };
    let run = client.submit(request).await?;
    if !args.watch {
        tell(&run, format)?;
        return Ok(Exit::Success);
    }
    if format == OutputFormat::Text {
        output::note(&format!("submitted {}", run.run_id));
    }
    let mut signals = end_signals()?;
    let mut view = view::of(format, false);
    let mut manner =
        Manner { on_signal: OnSignal::Detach, with_logs: true, warnings: Warnings::default() };
    Ok(follow(&client, &run, view.as_mut(), &mut signals, &mut manner).await?.exit())
}

/// Connects, and finds out where steps start.
async fn reach(args: &SubmitArgs, format: OutputFormat) -> Result<(Client, BaseDir), Failure> {
    let client = target::connect(&args.server, format).await?;
    let base_dir = base_dir(&client, args).await?;
    Ok((client, base_dir))
}

/// Steps start beside the pipeline's file, as those of `windlass run` do, where they see it; elsewhere where they are told.
async fn base_dir(client: &Client, args: &SubmitArgs) -> Result<BaseDir, Failure> {
    if let Some(given) = given_base_dir(args) {
        return Ok(given);
    }
    if see_the_same(client.files().await?.as_deref(), files::identity().as_deref()) {
        return Ok(BaseDir::OfFile);
    }
    Ok(BaseDir::OfRuntime)
}

/// Whether steps start elsewhere than one might expect from an address of this machine; standard input has no directory.
fn is_elsewhere(args: &SubmitArgs, base_dir: &BaseDir, pipeline: Option<&Pipeline>) -> bool {
    let is_file = args.submission.file != Path::new("-");
    let has_processes =
        || pipeline.is_some_and(|it| have_processes(&it.steps) || have_processes(&it.exit_steps));
    matches!(base_dir, BaseDir::OfRuntime)
        && is_file
        && is_of_this_machine(&args.server)
        && has_processes()
}

/// Whether programs run that may be processes. Without an image there is no pod; and who asks something of a pod, or has an image,
/// means one, which has no directory of a launcher.
fn have_processes(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.work {
        Some(Work::Task(task)) => task.image.is_empty() && task.pod.is_none(),
        Some(Work::Group(group)) => have_processes(&group.steps),
        Some(Work::Branches(branches)) => have_processes(&branches.branches),
        Some(Work::Approval(_)) | None => false,
    })
}

fn given_base_dir(args: &SubmitArgs) -> Option<BaseDir> {
    let dir = args.base_dir.as_ref()?;
    Some(BaseDir::Given(std::path::absolute(dir).unwrap_or_else(|_| dir.clone())))
}

/// Nobody who does not say what they see is taken to see the same.
fn see_the_same(theirs: Option<&str>, ours: Option<&str>) -> bool {
    theirs.is_some() && theirs == ours
}

fn is_of_this_machine(server: &ServerArgs) -> bool {
    let schemes = ["http://", "https://"];
    let address = schemes.iter().find_map(|scheme| server.address().strip_prefix(scheme));
    let address = address.unwrap_or(server.address());
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// The new run's id is the result, so that a script can use it; what to do with it is told beside it.
pub(super) fn tell(run: &Run, format: OutputFormat) -> Result<(), Failure> {
    match format {
        OutputFormat::Json => output::write_json(&RunResult { run: run.into() }),
        OutputFormat::Text => {
            output::note(&format!("follow it with `windlass watch {}`", run.run_id));
            output::write(&format!("{}\n", run.run_id))
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_pipeline::file::{self, FileOptions};

    use super::*;

    #[test]
    fn only_a_server_that_says_so_sees_the_same_files() {
        assert!(see_the_same(Some("a"), Some("a")));
        for (theirs, ours) in [(Some("b"), Some("a")), (None, Some("a")), (None, None)] {
            assert!(!see_the_same(theirs, ours));
        }
        assert_eq!(files::identity(), files::identity());
        assert!(files::identity().is_some());
    }

    #[test]
    fn where_processes_start_is_of_interest_where_there_are_some() {
        let steps = |text: &str| {
            let text = format!("name: p\nsteps:\n  a: {text}\n");
            file::parse(text.as_bytes(), &FileOptions::default()).unwrap().steps
        };
        let pods = [
            "{image: i, run: a}",
            "{image: i, run: a, pod: {namespace: jobs}}",
            "{for_each: [1], steps: {b: {image: i, run: a}}}",
            "{approval: {}}",
        ];
        for pod in pods {
            assert!(!have_processes(&steps(pod)), "{pod}");
        }
        let processes = [
            "{run: a}",
            "{cluster: north, run: a}",
            "{steps: {b: {image: i, run: a}, c: {run: a}}}",
            "{branches: {b: {when: 'true', image: i, run: a}, c: {run: a}}}",
        ];
        for process in processes {
            assert!(have_processes(&steps(process)), "{process}");
        }
    }

    #[test]
    fn a_server_on_this_machine_is_known_by_its_address() {
        let of = |url: &str| {
            is_of_this_machine(&ServerArgs {
                server: Some(url.to_owned()),
                ..ServerArgs::default()
            })
        };
        for local in ["http://127.0.0.1:7878", "https://localhost:1", "http://[::1]:7878"] {
            assert!(of(local), "{local}");
        }
        for remote in ["http://10.0.0.1:7878", "http://windlass:80", "http://[2001:db8::1]:7878"] {
            assert!(!of(remote), "{remote}");
        }
    }
}
