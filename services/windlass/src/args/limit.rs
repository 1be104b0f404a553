//! `windlass limit`.

use std::time::Duration;

use clap::{ArgGroup, Subcommand};
use jiff::{SpanRelativeTo, fmt::friendly::SpanParser};

use super::ServerArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum LimitCommand {
    /// Set how many steps may hold a limit at once, how many may start in a period, or both
    Set(SetLimitArgs),
    /// Forget what was set of a limit: one step may hold it at once again
    Unset(OneLimitArgs),
    /// List the limits that are set, held or waited for
    List(ListLimitsArgs),
    /// Show a limit, and the steps that hold it
    Show(OneLimitArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "For example: windlass limit set gpu --size 4")]
#[command(group = ArgGroup::new("allowed").args(["size", "rate"]).required(true).multiple(true))]
pub(crate) struct SetLimitArgs {
    #[command(flatten)]
    pub(crate) limit: OneLimitArgs,

    /// How many steps may hold it at once; any number where only --rate is given
    #[arg(long, value_name = "N", value_parser = size, allow_negative_numbers = true)]
    pub(crate) size: Option<u32>,

    /// How many steps may start in a period, such as `10/1m` or `100/h`; any number unless given
    #[arg(long, value_name = "STARTS/PERIOD", value_parser = rate)]
    pub(crate) rate: Option<RateArg>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OneLimitArgs {
    /// The limit's name, as steps name it
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) namespace: NamespaceArgs,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ListLimitsArgs {
    #[command(flatten)]
    pub(crate) namespace: NamespaceArgs,

    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NamespaceArgs {
    /// The namespace whose runs share the limit
    #[arg(id = "namespace", long, value_name = "NAMESPACE", default_value = "default")]
    pub(crate) name: String,
}

/// So many starts in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateArg {
    pub(crate) starts: u32,
    pub(crate) period: Duration,
}

/// How large a size is, and that it is more than nothing, is the server's to say.
fn size(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| {
        "write a whole number from 1 to 1000000: so many steps may hold the limit at once"
            .to_owned()
    })
}

/// `10/1m`, or `10/m`.
fn rate(text: &str) -> Result<RateArg, String> {
    static PARSER: SpanParser = SpanParser::new();
    let refused = || "write it as STARTS/PERIOD, such as 10/1m, 100/h or 5/30s".to_owned();
    let (starts, period) = text.split_once('/').ok_or_else(refused)?;
    let period = period.trim();
    let has_number = period.starts_with(|letter: char| letter.is_ascii_digit());
    let period = if has_number { period.to_owned() } else { format!("1{period}") };
    let span = PARSER.parse_span(&period).map_err(|_| refused())?;
    let period = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| refused())?;
    let period = Duration::try_from(period).map_err(|_| refused())?;
    Ok(RateArg { starts: starts.trim().parse().map_err(|_| refused())?, period })
}

/// `NAME=SIZE`
pub(crate) fn name_and_size(text: &str) -> Result<(String, u32), String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    parts
        .and_then(|(name, size)| Some((name.to_owned(), size.parse().ok()?)))
        .ok_or_else(|| "write it as NAME=SIZE, such as gpu=4".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_of_starts_and_a_period() {
        let seconds =
            |starts, seconds| Ok(RateArg { starts, period: Duration::from_secs(seconds) });
        assert_eq!(rate("10/1m"), seconds(10, 60));
        assert_eq!(rate("10/min"), seconds(10, 60));
        assert_eq!(rate("100/h"), seconds(100, 3600));
        assert_eq!(rate("5/30s"), seconds(5, 30));
        assert_eq!(rate("1/1d"), seconds(1, 86_400));
        assert_eq!(rate("0/0s"), seconds(0, 0), "what is too little is the server's to say");
        for wrong in ["", "10", "/s", "10/", "10/-1s", "-1/s", "10/1month", "a/b", "10/1m/s"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_is_a_whole_number() {
        assert_eq!((size("4"), size("0")), (Ok(4), Ok(0)), "what is too little is the server's");
        for wrong in ["", "-3", "many", "1.5", "4294967296"] {
            assert!(size(wrong).unwrap_err().contains("from 1 to 1000000"), "{wrong}");
        }
    }

    #[test]
    fn a_size_goes_with_a_name() {
        assert_eq!(name_and_size("gpu=4"), Ok(("gpu".to_owned(), 4)));
        for wrong in ["", "gpu", "=4", "gpu=", "gpu=-1", "gpu=many"] {
            assert!(name_and_size(wrong).is_err(), "{wrong}");
        }
    }
}
