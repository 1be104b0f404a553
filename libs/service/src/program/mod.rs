//! What makes the main of a program a few lines.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use windlass_service::{program::{self, Context}, settings::Program};
//!
//! fn main() -> ExitCode {
//!     program::run(Program::Scheduler, env!("CARGO_PKG_VERSION"), async |context: Context| {
//!         // Connect as `context.settings` says, then:
//!         context.readiness.begin(Vec::new());
//!         context.shutdown.cancelled().await;
//!         Ok(())
//!     })
//! }
//! ```

mod flags;
mod life;
mod panics;
mod serve;

use std::{
    env,
    io::{self, Write as _},
    process::ExitCode,
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use tracing::info;

use self::flags::Flags;
use crate::{
    descriptors,
    health::Readiness,
    settings::{self, Configuration, Program, Settings},
    telemetry, tls,
};

/// How long what goes on in the background may take to end with the process.
const RUNTIME_SHUTDOWN: Duration = Duration::from_secs(1);

/// What a service is given.
#[derive(Debug, Clone)]
pub struct Context {
    /// What is configured.
    pub settings: Settings,
    /// Where the service says that it has begun, and what must be well for it to be ready. It begins as not ready.
    pub readiness: Readiness,
    /// Cancelled when the service is to end: it takes no more requests, ends what it does, and returns.
    pub shutdown: CancellationToken,
}

/// Why a service has ended on its own.
pub type ServiceError = Box<dyn std::error::Error + Send + Sync>;

/// What the exit code of a program tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// It was asked to end, and has.
    Success = 0,
    /// It could not start, failed, or had not ended within `shutdown.limit`.
    Failure = 1,
    /// The command line or the configuration is wrong.
    Configuration = 2,
    /// A second signal asked it to leave at once.
    Left = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The whole life of a program: flags, configuration, log lines, the port for operators, the service, and its end.
///
/// On SIGTERM or SIGINT, the program first is no longer ready, after `shutdown.delay` the service is told to end, and it has
/// `shutdown.limit` to do so. A second signal ends the program at once. A panic anywhere in it is a defect after which nothing
/// in memory can be relied on: the program ends as if it had been asked to, with exit code 1, so that whoever watches over it
/// starts it again.
///
/// Exit codes: 0 ended as asked, 1 failed, 2 the command line or the configuration is wrong, 130 left by a second signal.
pub fn run<S, F>(program: Program, version: &'static str, service: S) -> ExitCode
where
    S: FnOnce(Context) -> F + Send + 'static,
    F: Future<Output = Result<(), ServiceError>> + Send,
{
    run_with(program, version, |_| Ok(()), |context, ()| service(context))
}

/// [`run`] for a program whose settings name files that only it understands: `read` takes them in, asks no server, and is part of
/// what `--check-config` checks. What it refuses ends the program with code 2 before anything starts.
pub fn run_with<R, T, S, F>(
    program: Program,
    version: &'static str,
    read: R,
    service: S,
) -> ExitCode
where
    R: FnOnce(&Settings) -> Result<T, ServiceError>,
    T: Send + 'static,
    S: FnOnce(Context, T) -> F + Send + 'static,
    F: Future<Output = Result<(), ServiceError>> + Send,
{
    tls::install_provider();
    let flags = match Flags::parse(program, version, env::args_os()) {
        Ok(flags) => flags,
        Err(error) => {
            // A closed pipe is no reason to complain.
            let _ = error.print();
            return if error.use_stderr() { Exit::Configuration } else { Exit::Success }.into();
        }
    };
    let check_config = flags.check_config;
    let loaded = settings::load(program, &flags.sources(env::vars_os().collect()));
    let loaded = loaded.map_err(ServiceError::from).and_then(|configuration| {
        let understood = read(&configuration.settings)?;
        Ok((configuration, understood))
    });
    let exit = match loaded {
        Ok((configuration, _)) if check_config => show(&configuration),
        Ok((configuration, understood)) => {
            live(configuration, version, move |context| service(context, understood))
        }
        Err(error) => {
            complain(&error);
            Exit::Configuration
        }
    };
    exit.into()
}

fn show(configuration: &Configuration) -> Exit {
    match io::stdout().write_all(configuration.to_toml().as_bytes()) {
        Ok(()) => Exit::Success,
        Err(_) => Exit::Failure,
    }
}

fn live<S, F>(configuration: Configuration, version: &str, service: S) -> Exit
where
    S: FnOnce(Context) -> F + Send + 'static,
    F: Future<Output = Result<(), ServiceError>> + Send,
{
    let Configuration { program, settings, .. } = configuration;
    telemetry::init_with(settings.log.format, &settings.log.level);
    info!(version, "{} starts", program.name());
    descriptors::raise_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format_args!("threads cannot be started: {error}"));
            return Exit::Failure;
        }
    };
    let exit = runtime.block_on(Box::pin(life::live(program, settings, service)));
    if exit == Exit::Left {
        runtime.shutdown_background();
    } else {
        runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    }
    exit
}

/// For what goes wrong before there are log lines.
fn complain(problem: &dyn std::fmt::Display) {
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "error: {problem}");
}
