//! What attempts wait for in their clusters, in words.

use windlass_proto::v1::{self, wait::Cause};

use super::words;

/// The same obstacle, with what launchers tell of it.
pub(super) fn told(wait: &v1::Wait, obstacle: v1::Obstacle) -> v1::Obstacle {
    let message = sentence(wait).unwrap_or(obstacle.message);
    v1::Obstacle { message, wait: Some(wait.clone()), ..obstacle }
}

/// The same obstacle, where no launcher of the cluster has answered.
pub(super) fn untold(cluster: &str, obstacle: v1::Obstacle) -> v1::Obstacle {
    let message = format!(
        "{}; no launcher of cluster `{cluster}` has told in time what it waits for",
        obstacle.message
    );
    v1::Obstacle { message, ..obstacle }
}

/// None where only a newer submitter knows what to say.
fn sentence(wait: &v1::Wait) -> Option<String> {
    let cluster = &wait.cluster;
    Some(match wait.cause.as_ref()? {
        Cause::Pod(pod) => of_pod(cluster, pod),
        Cause::Quota(v1::QuotaWait { namespace, message }) => format!(
            "its pod waits for room in namespace `{namespace}` of cluster `{cluster}`, where a quota is used up: {message}; raise \
             it, or see what else uses it up"
        ),
        Cause::LivePods(live_pods) => of_live_pods(cluster, live_pods),
        Cause::ApiServer(v1::ApiServerWait { code: 0, message }) => format!(
            "the API server of cluster `{cluster}` does not answer, or cannot be reached, and its pod is tried again: {message}"
        ),
        Cause::ApiServer(v1::ApiServerWait { code, message }) => format!(
            "the API server of cluster `{cluster}` does not take its pod now, which is tried again: it answers with {code}, {message}"
        ),
        Cause::Creation(v1::CreationWait { under_way, allowed, waiting }) => format!(
            "its pod is being created in cluster `{cluster}`: {}, of {allowed} that may be now, and {}; how many may be depends on \
             how fast the API server answers, and on what the clusters file says",
            words::count(*under_way, "request is under way", "requests are under way"),
            words::count(*waiting, "attempt waits there", "attempts wait there"),
        ),
        Cause::NotLaunching(v1::NotLaunching {}) => format!(
            "nothing is launched in cluster `{cluster}`, since its clusters file says `launching = false`; it goes on when that says `true`"
        ),
    })
}

fn of_pod(cluster: &str, pod: &v1::PodWait) -> String {
    let v1::PodWait { namespace, name, node, container, reason, message } = pod;
    let place = match node.as_str() {
        "" => "exists".to_owned(),
        node => format!("is on node `{node}`"),
    };
    let container = match container.as_str() {
        "" => String::new(),
        name => format!("container `{name}`: "),
    };
    let why = match (reason.as_str(), message.as_str()) {
        ("", "") => "the cluster does not say why",
        (reason, "") => reason,
        ("", message) => message,
        (reason, message) => &format!("{reason}: {message}"),
    };
    format!(
        "its pod `{name}` in namespace `{namespace}` of cluster `{cluster}` {place} and does not run yet: {container}{why}"
    )
}

fn of_live_pods(cluster: &str, live_pods: &v1::LivePodsWait) -> String {
    let v1::LivePodsWait { namespace, limit, share, live } = live_pods;
    let (place, key) = match namespace.as_str() {
        "" => (format!("cluster `{cluster}`"), "live_pods"),
        namespace => {
            (format!("namespace `{namespace}` of cluster `{cluster}`"), "live_pods_per_namespace")
        }
    };
    let (one, many) = ("pod that has not ended", "pods that have not ended");
    let limit_in_words = words::count(*limit, one, many);
    let state = if share == limit {
        format!("and has {live}")
    } else {
        format!("and the launchers that told of it have {live} of their {share}")
    };
    format!(
        "{place} may have {limit_in_words} ({key}), {state}; its pod is created when one of them has ended"
    )
}
