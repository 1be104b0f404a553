//! Makes it known which cluster this launcher serves: whoever looks why steps wait is told where nobody does.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;
use windlass_proto::cluster;
use windlass_service::recurring::Recurring;
use windlass_store::{ShareRequest, Store};

/// How often the launcher makes itself known.
const TELLS: Duration = Duration::from_secs(5);

/// For how long that is believed: so that one that is late is not taken for gone.
const BELIEVED: Duration = Duration::from_secs(20);

/// Keeps this launcher known among those of its cluster, until `stop`.
pub(crate) async fn keep_known(name: &str, store: &dyn Store, stop: CancellationToken) {
    let mut request = ShareRequest {
        group: cluster::group(name),
        // Another one each time: what counts is that there is any.
        member: Uuid::new_v4().simple().to_string(),
        leaving: false,
        ttl: BELIEVED,
        acquire: Vec::new(),
        release: Vec::new(),
    };
    let mut troubles = Recurring::default();
    while !stop.is_cancelled() {
        if let Err(error) = store.share(&request).await
            && let Some(untold) = troubles.came(&error.to_string(), Instant::now().into())
        {
            warn!(%error, untold, "the store does not know that this launcher is there");
        }
        stop.run_until_cancelled(tokio::time::sleep(TELLS)).await;
    }
    request.leaving = true;
    // Where that fails, it is forgotten soon.
    let _ = store.share(&request).await;
}
