//! What is submitted.

use std::path::PathBuf;

use super::key_value;

#[derive(Debug, clap::Args)]
pub(crate) struct SubmissionArgs {
    /// The pipeline's file, YAML or JSON; `-` reads standard input
    pub(crate) file: PathBuf,

    /// A parameter's value: text as it is, everything else as JSON
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = key_value)]
    pub(crate) params: Vec<(String, String)>,

    /// Parameters' values as a YAML or JSON map; `--param` goes before
    #[arg(long, value_name = "FILE")]
    pub(crate) params_file: Option<PathBuf>,

    /// Run every step: take no results from the cache, and keep none
    #[arg(long)]
    pub(crate) no_cache: bool,

    /// The run's priority in place of the pipeline's, from -1000 to 1000: where room is short, runs with a higher one start steps
    /// first
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub(crate) priority: Option<i32>,

    /// A label of the run
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) labels: Vec<(String, String)>,

    /// Print what would be done, and start nothing: the steps in an order in which they could start, with the parameters'
    /// values put in
    #[arg(long)]
    pub(crate) dry_run: bool,
}
