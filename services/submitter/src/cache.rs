//! Forgets results that were kept of steps with a cache.

use windlass_proto::v1;
use windlass_service::error::ApiError;
use windlass_store::CacheScope;

use crate::{Submitter, submit};

/// Longer than any name of a pipeline, and than any path of a step.
const MAX_PATH: usize = 4096;

impl Submitter {
    /// Tells how many there were.
    pub(crate) async fn forget_results(
        &self,
        request: v1::ClearCacheRequest,
    ) -> Result<u64, ApiError> {
        let (namespace, scope) = scope(request)?;
        Ok(self.store.clear_cache(&namespace, &scope).await?)
    }
}

/// Which results a request means, and in which namespace.
fn scope(request: v1::ClearCacheRequest) -> Result<(String, CacheScope), ApiError> {
    let v1::ClearCacheRequest { namespace, pipeline, step } = request;
    let namespace = submit::namespace(namespace)?;
    if !step.is_empty() && pipeline.is_empty() {
        return Err(ApiError::invalid("step", "is of a pipeline; name the pipeline, too"));
    }
    for (field, name) in [("pipeline", &pipeline), ("step", &step)] {
        if name.len() > MAX_PATH {
            let message = format!("has {} bytes, and no name has more than {MAX_PATH}", name.len());
            return Err(ApiError::invalid(field, message));
        }
    }
    let set = |name: String| (!name.is_empty()).then_some(name);
    Ok((namespace, CacheScope { pipeline: set(pipeline), step: set(step) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_as_narrow_as_the_request_says() {
        let scope = |namespace: &str, pipeline: &str, step: &str| {
            let [namespace, pipeline, step] = [namespace, pipeline, step].map(str::to_owned);
            scope(v1::ClearCacheRequest { namespace, pipeline, step })
        };
        assert_eq!(scope("", "", ""), Ok(("default".to_owned(), CacheScope::default())));
        let one = CacheScope { pipeline: Some("p".to_owned()), step: Some("a.b".to_owned()) };
        assert_eq!(scope("team", "p", "a.b"), Ok(("team".to_owned(), one)));
        for (field, refused) in [
            ("namespace", scope("Team", "", "")),
            ("step", scope("", "", "a")),
            ("pipeline", scope("", &"p".repeat(5000), "")),
        ] {
            assert_eq!(refused.unwrap_err().violations[0].field, field);
        }
    }
}
