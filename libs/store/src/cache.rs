//! Results of steps that are kept beyond their runs, and how many of them.

use std::{sync::Arc, time::Duration};

use windlass_engine::time::Timestamp;
use windlass_proto::{cache_key::CacheKey, id::RunId};

/// How long a result is kept at least where there is room for it, from the end of its step. It goes some time after that.
pub const CACHE_TTL: Duration = Duration::from_hours(30 * 24);

/// How many results of a namespace are kept at most. The oldest go first.
pub const CACHE_ENTRIES: usize = SHARDS as usize * SHARD_ENTRIES;

/// Into how many shards the results of a namespace are divided, so that they need not all lie in one place.
pub(crate) const SHARDS: u8 = 16;

/// How many results are kept in a shard. Keys are digests, which spread evenly.
pub(crate) const SHARD_ENTRIES: usize = 4096;

/// The shard that a key belongs to; the same for ever.
pub(crate) fn shard(key: CacheKey) -> u8 {
    key.0[0] >> 4
}

/// [`CACHE_TTL`] in milliseconds.
pub(crate) fn ttl_ms() -> u64 {
    u64::try_from(CACHE_TTL.as_millis()).unwrap_or(u64::MAX)
}

/// The result of a step, as it is kept under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// The key: in a namespace, it has one result.
    pub key: CacheKey,
    /// A JSON object, where the step wrote any outputs.
    pub outputs: Option<Arc<str>>,
    /// The run that it is of, which may be gone.
    pub run: RunId,
    /// The run's pipeline.
    pub pipeline: String,
    /// The path of the step in the run.
    pub step: String,
    /// When the step ended, by the store's clock.
    pub ended_at: Timestamp,
}

/// Which results of a namespace are meant: every part that is set must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CacheScope {
    /// Of this pipeline.
    pub pipeline: Option<String>,
    /// Of the step of this path, and of all that it holds.
    pub step: Option<String>,
}

impl CacheScope {
    /// Whether all results are meant.
    pub(crate) fn is_all(&self) -> bool {
        self.pipeline.is_none() && self.step.is_none()
    }

    /// Whether the result of a step is meant.
    pub(crate) fn covers(&self, pipeline: &str, path: &str) -> bool {
        let holds = |step: &String| {
            path.strip_prefix(step.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.pipeline.as_ref().is_none_or(|it| it == pipeline)
            && self.step.as_ref().is_none_or(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_meant_with_all_that_it_holds() {
        let scope = |pipeline: &str, step: &str| CacheScope {
            pipeline: (!pipeline.is_empty()).then(|| pipeline.to_owned()),
            step: (!step.is_empty()).then(|| step.to_owned()),
        };
        for (pipeline, step, path, is_meant) in [
            ("", "", "train", true),
            ("nightly", "", "train", true),
            ("hourly", "", "train", false),
            ("nightly", "train", "train", true),
            ("nightly", "train", "train.3.fit", true),
            ("nightly", "train", "training", false),
            ("nightly", "train.3", "train", false),
        ] {
            let scope = scope(pipeline, step);
            assert_eq!(scope.covers("nightly", path), is_meant, "{scope:?} {path}");
        }
        assert!(scope("", "").is_all() && !scope("", "train").is_all());
    }
}
