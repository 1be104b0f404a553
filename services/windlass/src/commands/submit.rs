//! `windlass submit`.

use windlass_client::v1::{Run, SubmitRunRequest};

use super::{end_signals, target};
use crate::{
    args::{OutputFormat, SubmitArgs},
    document::RunResult,
    exit::Exit,
    failure::Failure,
    follow::{Manner, OnSignal, follow},
    output, submission, view,
    warnings::Warnings,
};

pub(super) async fn submit(args: SubmitArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let request = SubmitRunRequest {
        request_id: args.request_id,
        namespace: args.namespace,
        ..submission::request(&args.submission, target::base_dir(&args.server))?
    };
    let client = target::connect(&args.server).await?;
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
    follow(&client, &run, view.as_mut(), &mut signals, &mut manner).await
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
