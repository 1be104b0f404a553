//! The command line. Help texts are these comments.

mod cache;
mod cluster;
mod dev;
#[cfg(test)]
mod documentation;
mod limit;
mod list;
mod logs;
mod orders;
mod run;
mod server;
mod submission;

use std::{ffi::OsString, path::PathBuf};

use clap::{
    CommandFactory as _, Parser, Subcommand, ValueEnum,
    error::{ContextKind, ContextValue},
};
use clap_complete::Shell;

pub(crate) use self::{
    cache::{CacheCommand, ClearCacheArgs},
    cluster::{CheckClusterArgs, ClusterCommand, OneClusterArgs, OrphansArgs, PrepareClusterArgs},
    dev::DevArgs,
    limit::{LimitCommand, ListLimitsArgs, OneLimitArgs, RateArg, SetLimitArgs},
    list::ListArgs,
    logs::LogsArgs,
    orders::{ApproveArgs, RetryArgs},
    run::RunArgs,
    server::{OneRunArgs, ServerArgs, TlsArgs},
    submission::SubmissionArgs,
};
use crate::exit::Exit;

/// Runs pipelines: directed acyclic graphs of steps.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, after_help = Exit::help(), max_term_width = 100, propagate_version = false)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// For people or for programs: JSON on standard output, one document per result or event, and errors as JSON on
    /// standard error
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
}

/// How results look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline on this machine, with nothing installed and no server
    Run(RunArgs),
    /// Start a server on this machine that keeps its state in a directory
    Dev(DevArgs),
    /// Submit a pipeline to a server
    Submit(SubmitArgs),
    /// List runs, the newest first
    List(ListArgs),
    /// Show a run and its steps
    Get(GetArgs),
    /// Tell why steps of a run do not run
    Explain(ExplainArgs),
    /// Follow a run until it has ended
    Watch(WatchArgs),
    /// Show what steps wrote
    Logs(LogsArgs),
    /// Stop a run: running steps get TERM, and KILL after their grace
    Cancel(OneRunArgs),
    /// Start no further step of a run until it is resumed
    Pause(OneRunArgs),
    /// Go on with a paused run
    Resume(OneRunArgs),
    /// Approve a step that waits for it, or reject it
    Approve(ApproveArgs),
    /// Take up an ended run again: what did not succeed starts anew
    Retry(RetryArgs),
    /// Start a new run with the pipeline and the arguments of an old one
    Rerun(RerunArgs),
    /// Remove an ended run and its logs
    Delete(OneRunArgs),
    /// See to the results that are kept of steps
    #[command(subcommand)]
    Cache(CacheCommand),
    /// See to the limits that runs share, which steps name
    #[command(subcommand)]
    Limit(LimitCommand),
    /// See to the Kubernetes clusters that steps run on
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Check a pipeline's file without running it
    Validate(ValidateArgs),
    /// Print a pipeline as a graph, to be drawn by other programs
    Graph(GraphArgs),
    /// Print the JSON Schema of pipeline files, for editors
    Schema,
    /// Print a shell's completion script
    Completions {
        /// Which shell's
        shell: Shell,
    },
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --watch, Ctrl-C only leaves, with exit code 130: the run goes on. With --dry-run, no server is asked."
)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) submission: SubmissionArgs,

    /// Where steps start, and what their `working_dir` is below: a directory that they see. Unless given, the directory of
    /// the pipeline's file where the server says that steps see this machine's files, as `windlass dev` does; otherwise that
    /// of the launcher
    #[arg(long, value_name = "DIR")]
    pub(crate) base_dir: Option<PathBuf>,

    /// Where the run belongs
    #[arg(long, default_value = "default")]
    pub(crate) namespace: String,

    /// Names this submission: repeating it with the same id returns the same run
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub(crate) request_id: String,

    /// Follow the run until it has ended; the exit code tells how
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) watch: bool,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) target: OneRunArgs,

    /// Show the attempts of one step instead
    #[arg(long, value_name = "STEP")]
    pub(crate) attempts: Option<String>,

    /// The most steps to show as text; JSON has all of them
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) target: OneRunArgs,

    /// The step, by its name in a list of steps; unless given, all that neither run nor have ended, at most 20: those that
    /// are closest to running
    pub(crate) step: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Ctrl-C only leaves, with exit code 130: the run goes on.")]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) target: OneRunArgs,

    /// Show what steps write, too
    #[arg(long)]
    pub(crate) logs: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RerunArgs {
    #[command(flatten)]
    pub(crate) target: OneRunArgs,

    /// Names this submission: repeating it with the same id returns the same run
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub(crate) request_id: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ValidateArgs {
    /// The pipeline's file, YAML or JSON; `-` reads standard input
    pub(crate) file: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "For example: windlass graph pipeline.yaml | dot -Tsvg > pipeline.svg")]
pub(crate) struct GraphArgs {
    /// The pipeline's file; `-` reads standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// In which language
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE")]
    pub(crate) format: GraphFormat,
}

/// A language for graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Graphviz' DOT.
    #[default]
    Dot,
    /// A Mermaid flowchart, as Markdown on many sites shows it.
    Mermaid,
}

/// Whether a command line that was not understood asks for JSON, so that its error is JSON, too.
pub(crate) fn wants_json(arguments: &[OsString]) -> bool {
    let joined = arguments.iter().any(|argument| argument == "--output=json");
    joined || arguments.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json")
}

/// Shows a command's usage as its help does. That of an error would name the options that variables have set as if the command
/// line lacked them.
pub(crate) fn show_plain_usage(error: &mut clap::Error, arguments: &[OsString]) {
    if error.get(ContextKind::Usage).is_none() {
        return;
    }
    let mut root = Cli::command();
    root.build();
    let mut command = &mut root;
    let mut is_found = false;
    // A command may have commands of its own, such as `limit set`.
    for argument in arguments.iter().skip(1) {
        if command.find_subcommand(argument).is_some() {
            command = command.find_subcommand_mut(argument).expect("it was found");
            is_found = true;
        }
    }
    if is_found {
        let usage = command.render_usage();
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
    }
}

/// `KEY=VALUE` of a command line.
pub(crate) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_says_what_there_is() {
        let root = Cli::command().term_width(100).render_help().to_string();
        insta::assert_snapshot!("help", root);
        let limit = root_command("limit").render_help().to_string();
        insta::assert_snapshot!("help_limit", limit);
        let mut limit = root_command("limit");
        for name in ["set", "show"] {
            let command = limit.find_subcommand_mut(name).unwrap();
            let help = command.clone().term_width(100).render_help().to_string();
            insta::assert_snapshot!(format!("help_limit_{name}"), help);
        }
        let mut cluster = root_command("cluster");
        for name in ["check", "prepare", "orphans"] {
            let command = cluster.find_subcommand_mut(name).unwrap();
            let help = command.clone().term_width(100).render_help().to_string();
            insta::assert_snapshot!(format!("help_cluster_{name}"), help);
        }
        for name in ["run", "dev", "logs", "list", "submit", "watch"] {
            let help = root_command(name).render_help().to_string();
            insta::assert_snapshot!(format!("help_{name}"), help);
        }
    }

    fn root_command(name: &str) -> clap::Command {
        let mut root = Cli::command().term_width(100);
        root.build();
        root.find_subcommand(name).unwrap().clone()
    }

    #[test]
    fn the_usage_of_a_wrong_command_line_is_that_of_the_command() {
        let words: Vec<_> = ["windlass", "--output", "text", "get", "--server", "http://h:1"]
            .map(OsString::from)
            .into();
        let mut error = Cli::try_parse_from(&words).unwrap_err();
        show_plain_usage(&mut error, &words);
        insta::assert_snapshot!(error.render().to_string(), @r"
        error: the following required arguments were not provided:
          <RUN>

        Usage: windlass get [OPTIONS] <RUN>

        For more information, try '--help'.
        ");
        let words: Vec<_> = ["windlass", "limit", "set", "gpu"].map(OsString::from).into();
        let mut error = Cli::try_parse_from(&words).unwrap_err();
        show_plain_usage(&mut error, &words);
        insta::assert_snapshot!(error.render().to_string(), @r"
        error: the following required arguments were not provided:
          <--size <N>|--rate <STARTS/PERIOD>>

        Usage: windlass limit set [OPTIONS] <--size <N>|--rate <STARTS/PERIOD>> <NAME>

        For more information, try '--help'.
        ");
    }

    #[test]
    fn a_wrong_command_line_answers_in_the_format_that_it_asks_for() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&words("windlass run --output json")));
        assert!(wants_json(&words("windlass --output=json run")));
        assert!(!wants_json(&words("windlass run --output text json")));
    }
}
