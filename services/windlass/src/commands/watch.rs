//! `windlass watch`.

use super::{end_signals, target};
use crate::{
    args::{OutputFormat, WatchArgs},
    exit::Exit,
    failure::Failure,
    follow::{Manner, OnSignal, follow},
    view,
    warnings::Warnings,
};

pub(super) async fn watch(args: WatchArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let (client, run_id) = target::connect_to_run(&args.target, format).await?;
    let run = client.get(&run_id).await?;
    let mut signals = end_signals()?;
    let mut view = view::of(format, false);
    let mut manner =
        Manner { on_signal: OnSignal::Detach, with_logs: args.logs, warnings: Warnings::default() };
    Ok(follow(&client, &run, view.as_mut(), &mut signals, &mut manner).await?.exit())
}
