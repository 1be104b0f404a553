//! Orders to a run that say more than which run.

use std::{num::NonZeroU32, time::Duration};

use clap::builder::NonEmptyStringValueParser;
use jiff::SignedDuration;

use super::{OneRunArgs, key_value};

/// `windlass retry`.
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    pub(crate) target: OneRunArgs,

    /// Also do this step again, whatever it had come to, with all that depends on it; also of a run that succeeded
    #[arg(long, value_name = "STEP", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) from: Option<String>,

    /// Another value of a parameter: text as it is, everything else as JSON. Refused where a step that keeps its result has come
    /// from the old one
    #[arg(short, long = "param", value_name = "NAME=VALUE", value_parser = key_value)]
    pub(crate) params: Vec<(String, String)>,

    /// How many attempts may be in flight at once from now on; `none` lifts the limit
    #[arg(long, value_name = "N", value_parser = most_at_once)]
    pub(crate) max_parallelism: Option<u32>,

    /// The run's time-out from now on, such as `90s` or `2h`; `none` lifts it
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    pub(crate) timeout: Option<Duration>,
}

/// The word for no limit.
const NONE: &str = "none";

/// A number of at least 1; 0 for none.
fn most_at_once(text: &str) -> Result<u32, String> {
    if text == NONE {
        return Ok(0);
    }
    text.parse::<NonZeroU32>()
        .map(NonZeroU32::get)
        .map_err(|_| format!("write a whole number from 1 to {}, or `{NONE}`", u32::MAX))
}

/// A duration of more than nothing; nothing for none.
fn timeout(text: &str) -> Result<Duration, String> {
    if text == NONE {
        return Ok(Duration::ZERO);
    }
    let length = text.parse::<SignedDuration>().ok().and_then(|it| Duration::try_from(it).ok());
    length
        .filter(|length| *length > Duration::ZERO)
        .ok_or_else(|| format!("write a duration such as 90s or 2h, or `{NONE}`"))
}

/// `windlass approve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "For example: windlass approve 01hx sign-off --comment \"tried it on staging\""
)]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    pub(crate) target: OneRunArgs,

    /// The step's path, as `windlass get` shows it
    pub(crate) step: String,

    /// Reject it instead: the step fails
    #[arg(long)]
    pub(crate) reject: bool,

    /// What to say with it; later steps may read it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) comment: String,

    /// Who decides; unless given, the name of this machine's user
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_a_duration_or_none() {
        assert_eq!((most_at_once("3"), most_at_once("none")), (Ok(3), Ok(0)));
        for wrong in ["0", "-1", "", "all", "4294967296"] {
            assert!(most_at_once(wrong).unwrap_err().ends_with("or `none`"), "{wrong}");
        }
        assert_eq!(timeout("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(timeout("none"), Ok(Duration::ZERO));
        for wrong in ["0s", "-1s", "", "long", "5"] {
            assert!(timeout(wrong).unwrap_err().ends_with("or `none`"), "{wrong}");
        }
    }
}
