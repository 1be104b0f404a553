//! One file per command: from arguments to results. What is shown is made by `render` and `document`.

mod approve;
mod cache;
mod cluster;
mod dev;
mod explain;
mod get;
mod graph;
mod limit;
mod list;
mod logs;
mod orders;
mod orphans;
mod plan;
mod run;
mod submit;
mod target;
mod validate;
mod watch;

use std::{env, io, time::Duration};

use clap::CommandFactory as _;
use clap_complete::Shell;
use tracing_subscriber::filter::LevelFilter;
use windlass_service::{
    signal::EndSignals,
    telemetry::{self, LogFormat},
};

use crate::{
    args::{Cli, Command, OutputFormat},
    exit::Exit,
    failure::Failure,
    output,
    warnings::Warnings,
};

/// Where somebody may ask for log lines; see [`telemetry::init`].
const LOG_VARIABLE: &str = "WINDLASS_LOG";
/// How long what goes on in the background may take to end with the process.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);

/// Does a command, and tells why if it fails.
pub(crate) fn main(cli: Cli) -> Exit {
    let format = cli.output;
    dispatch(cli).unwrap_or_else(|failure| {
        output::report(&failure, format);
        // Whoever read the output has seen enough of it: that is success.
        if failure.is_broken_pipe() { Exit::Success } else { failure.exit() }
    })
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let warnings = listen_to_services(&cli.command);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { action: "starting threads", source })?;
    let exit = runtime.block_on(Box::pin(command(cli.command, cli.output, warnings)));
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    exit
}

async fn command(
    command: Command,
    format: OutputFormat,
    warnings: Warnings,
) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(args, format, warnings).await,
        Command::Dev(args) => dev::dev(args, format).await,
        Command::Submit(args) => submit::submit(args, format).await,
        Command::List(args) => list::list(args, format).await,
        Command::Get(args) => get::get(args, format).await,
        Command::Explain(args) => explain::explain(args, format).await,
        Command::Watch(args) => watch::watch(args, format).await,
        Command::Logs(args) => logs::logs(args, format).await,
        Command::Cancel(args) => orders::order(orders::Order::Cancel, &args, format).await,
        Command::Pause(args) => orders::order(orders::Order::Pause, &args, format).await,
        Command::Resume(args) => orders::order(orders::Order::Resume, &args, format).await,
        Command::Approve(args) => approve::approve(args, format).await,
        Command::Retry(args) => orders::retry(args, format).await,
        Command::Rerun(args) => orders::rerun(args, format).await,
        Command::Delete(args) => orders::delete(&args, format).await,
        Command::Cache(command) => cache::cache(command, format).await,
        Command::Limit(command) => limit::limit(command, format).await,
        Command::Cluster(command) => cluster::cluster(command, format).await,
        Command::Graph(args) => graph::graph(&args, format),
        Command::Validate(args) => validate::validate(&args, format),
        Command::Schema => schema(),
        Command::Completions { shell } => completions(shell),
    }
}

fn schema() -> Result<Exit, Failure> {
    output::write(&format!("{:#}\n", windlass_pipeline::schema::json_schema()))?;
    Ok(Exit::Success)
}

fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "windlass", &mut script);
    output::write_bytes(&script).map_err(Failure::Output)?;
    Ok(Exit::Success)
}

/// A server tells what it does in a log. Everything else is a dialogue, which log lines would disturb, so that they come
/// only where they are asked for; of what the services of `run` do, a person is told the warnings.
fn listen_to_services(command: &Command) -> Warnings {
    let wants_log = env::var_os(LOG_VARIABLE).is_some_and(|value| !value.is_empty());
    match command {
        Command::Dev(_) => telemetry::init(LogFormat::Text, LevelFilter::INFO),
        Command::Run(_) if !wants_log => return Warnings::take(),
        _ => telemetry::init(LogFormat::Text, LevelFilter::OFF),
    }
    Warnings::default()
}

fn end_signals() -> Result<EndSignals, Failure> {
    EndSignals::new()
        .map_err(|source: io::Error| Failure::System { action: "listening for Ctrl-C", source })
}
