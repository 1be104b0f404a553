//! Named limits.

use std::time::Duration;

use serde::Serialize;
use windlass_client::v1;

use super::text;
use crate::render::time::rfc3339;

/// Of `limit set` and `limit unset`.
#[derive(Debug, Serialize)]
pub(crate) struct LimitResult {
    pub(crate) limit: LimitDocument,
}

/// Of `limit list`.
#[derive(Debug, Serialize)]
pub(crate) struct LimitsResult {
    /// By name.
    pub(crate) limits: Vec<LimitDocument>,
}

/// Of `limit show`.
#[derive(Debug, Serialize)]
pub(crate) struct OneLimitResult {
    pub(crate) limit: LimitDocument,
    /// The longest first, at most 100.
    pub(crate) holders: Vec<HolderDocument>,
}

#[derive(Debug, Serialize)]
pub(crate) struct LimitDocument {
    name: String,
    /// Whether somebody has set it; otherwise one step may hold it at once.
    set: bool,
    /// How many may hold it at once; null for any number.
    size: Option<u32>,
    /// How many may start in a period; null for any number.
    rate: Option<RateDocument>,
    held: u32,
    waiting: u32,
}

#[derive(Debug, Serialize)]
struct RateDocument {
    starts: u32,
    period_seconds: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct HolderDocument {
    run_id: String,
    /// Null where the run is gone.
    step: Option<String>,
    attempt: u32,
    since: Option<String>,
}

impl From<&v1::Limit> for LimitDocument {
    fn from(limit: &v1::Limit) -> Self {
        let rate = limit.rate.as_ref().map(|rate| RateDocument {
            starts: rate.starts,
            period_seconds: rate
                .period
                .and_then(|period| Duration::try_from(period).ok())
                .unwrap_or_default()
                .as_secs_f64(),
        });
        let v1::Limit { name, is_set, size, held, waiting, .. } = limit.clone();
        Self { name, set: is_set, size, rate, held, waiting }
    }
}

impl From<&v1::LimitHolder> for HolderDocument {
    fn from(holder: &v1::LimitHolder) -> Self {
        let run_id = holder.run_id.clone();
        let (step, since) = (text(&holder.step), rfc3339(holder.since));
        Self { run_id, step, attempt: holder.attempt, since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_limit_keeps_its_names() {
        let limit = (&samples::limits()[0]).into();
        let holders = samples::holders().iter().map(Into::into).collect();
        let result = OneLimitResult { limit, holders };
        insta::assert_snapshot!("limit", serde_json::to_string_pretty(&result).unwrap());
    }
}
