//! `windlass logs`.

use jiff::{SignedDuration, Timestamp};

use super::OneRunArgs;

#[derive(Debug, clap::Args)]
#[command(after_help = "With --follow, Ctrl-C only leaves, with exit code 130: the run goes on.")]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) target: OneRunArgs,

    /// Only this step, without its name before each line
    pub(crate) step: Option<String>,

    /// Stay until the step, or the run, has ended
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Only lines written since: a length of time such as `5m`, or a time such as `2026-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Timestamp>,

    /// Only the last lines of what is there now
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<u32>,

    /// Only this attempt of the step
    #[arg(long, value_name = "N", requires = "step", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attempt: Option<u32>,

    /// All of it as one text, each line with time, step and attempt before it
    #[arg(long, conflicts_with_all = ["follow", "since", "tail", "attempt"])]
    pub(crate) download: bool,
}

fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let length: SignedDuration = text.parse().map_err(|_| {
        "write a length of time such as `5m` or `1h 30m`, or a time such as `2026-01-31T12:00:00Z`".to_owned()
    })?;
    Timestamp::now()
        .checked_sub(length.abs())
        .map_err(|_| "that is before the beginning of time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        let time: Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(since("2026-01-31T12:00:00Z"), Ok(time));
        let earliest = Timestamp::now() - SignedDuration::from_mins(5);
        let given = since("5m").unwrap();
        assert!(given >= earliest && given <= Timestamp::now() - SignedDuration::from_mins(5));
        assert!(since("yesterday").is_err());
    }
}
