//! The configuration of the four programs: one file shared by all of them, and what overrides it.
//!
//! ```text
//!   defaults  <  file (TOML)  <  environment (WINDLASS_BUS__URL)  <  flags (--set bus.url=…)
//!                      └──────────────┬──────────────┘
//!        unknown keys, wrong values, broken rules, files that will not do: all are told at once
//! ```
//!
//! The structs here are the one source of truth: their fields are the keys, their documentation is the reference
//! (`docs/configuration.md`), and [`Settings::default`] are the defaults. [`keys`] lists them all.
//!
//! Never inside: connections. A program makes those from what it finds here.

mod bus;
mod directories;
mod duration;
mod file;
mod key;
mod kind;
mod load;
mod named_files;
mod nkey;
mod programs;
mod rules;
mod secret;
mod servers;
mod show;
mod size;
mod source;
mod store;
mod switch;
mod unknown;
mod violation;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::{
    bus::{
        BusAuthentication, BusSettings, BusTlsSettings, StreamLimits, StreamStorage,
        StreamsSettings,
    },
    directories::Directories,
    file::FileError,
    key::{Key, Section, keys, sections},
    kind::{Kind, Word},
    load::{Configuration, load},
    programs::{
        GrpcSettings, GrpcTlsSettings, InstallationSettings, LauncherSettings, LogSettings,
        RuntimeKind, SchedulerSettings, ShutdownSettings, SimulatedSettings, StreamerSettings,
        SubmitterSettings,
    },
    secret::Secret,
    servers::{ServerUrl, Servers},
    source::Sources,
    store::{RetentionSettings, StoreAuthentication, StoreMode, StoreSettings, StoreTlsSettings},
    violation::{SettingsError, Violation},
};

/// Everything that can be configured. All programs read all of it, so that they can share one file.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// What all programs of an installation must agree on.
    pub installation: InstallationSettings,
    /// The connection to NATS with JetStream, and the streams that Windlass keeps there.
    pub bus: BusSettings,
    /// The connection to Redis or Valkey, and how long runs are kept there.
    pub store: StoreSettings,
    /// The gRPC servers of the submitter and the streamer.
    pub grpc: GrpcSettings,
    /// The program that takes runs and orders and shows runs.
    pub submitter: SubmitterSettings,
    /// The program that decides what runs next.
    pub scheduler: SchedulerSettings,
    /// The program that starts attempts.
    pub launcher: LauncherSettings,
    /// The program that serves logs.
    pub streamer: StreamerSettings,
    /// How a program ends when SIGTERM or SIGINT asks for it.
    pub shutdown: ShutdownSettings,
    /// What a program tells of itself, on standard error.
    pub log: LogSettings,
}

/// One of the four programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Program {
    /// Takes runs and orders, shows runs.
    Submitter,
    /// Decides what runs next.
    Scheduler,
    /// Starts attempts.
    Launcher,
    /// Serves logs.
    Streamer,
}

impl Program {
    /// As it is started.
    pub fn name(self) -> &'static str {
        match self {
            Self::Submitter => "windlass-submitter",
            Self::Scheduler => "windlass-scheduler",
            Self::Launcher => "windlass-launcher",
            Self::Streamer => "windlass-streamer",
        }
    }

    /// What it does, in a line.
    pub fn about(self) -> &'static str {
        match self {
            Self::Submitter => "Takes runs and orders, and shows runs, over gRPC",
            Self::Scheduler => "Decides what runs next",
            Self::Launcher => "Starts the attempts of steps and reports what becomes of them",
            Self::Streamer => "Serves the logs of attempts over gRPC",
        }
    }
}

impl Settings {
    /// Where the program's port for operators listens; none if it has none.
    pub fn admin_listen(&self, program: Program) -> Option<std::net::SocketAddr> {
        match program {
            Program::Submitter => self.submitter.admin_listen,
            Program::Scheduler => self.scheduler.admin_listen,
            Program::Launcher => self.launcher.admin_listen,
            Program::Streamer => self.streamer.admin_listen,
        }
    }

    /// The key of the program's gRPC address, and the address; none for a program without a gRPC server.
    pub fn grpc_listen(&self, program: Program) -> Option<(&'static str, std::net::SocketAddr)> {
        match program {
            Program::Submitter => Some(("submitter.listen", self.submitter.listen)),
            Program::Streamer => Some(("streamer.listen", self.streamer.listen)),
            Program::Scheduler | Program::Launcher => None,
        }
    }
}
