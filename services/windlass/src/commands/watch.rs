//! `windlass watch`.

use super::{end_signals, target};
use crate::{
    args::{OutputFormat, WatchArgs},
    exit::Exit,
    failure::Failure,
    follow::{OnSignal, follow},
    view,
};

pub(super) async fn watch(args: WatchArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let (client, run_id) = target::connect_to_run(&args.target).await?;
    let run = client.get(&run_id).await?;
    let mut signals = end_signals()?;
    let mut view = view::of(format, false);
    follow(&client, &run, view.as_mut(), &mut signals, OnSignal::Detach, args.logs).await
}
