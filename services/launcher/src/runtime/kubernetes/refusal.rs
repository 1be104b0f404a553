//! What the API server's answers to a create mean: a pure function from a status to what is to be done.

use std::time::Duration;

use kube::core::Status;

/// With what begins what the API server says of a quota that is used up, behind the pod's name.
pub(super) const QUOTA: &str = "exceeded quota";

/// Why a pod was not created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is one of this name.
    Exists,
    /// The namespace's quota is used up. It may come free.
    Quota(String),
    /// The server, or what it asks, has too much to do or is broken: the same request may succeed later.
    Busy {
        /// When, where the server says that.
        after: Option<Duration>,
        /// The code of the answer; 0 where there was none.
        code: u16,
        /// In the server's words.
        message: String,
    },
    /// The launcher may not create pods there. Somebody has to allow it; until then the request is of no use.
    Forbidden(String),
    /// The namespace or the service account does not exist. It may be about to be made.
    Missing(String),
    /// An admission webhook or a policy does not want this pod.
    Denied(String),
    /// The pod is not one that this server takes.
    Invalid(String),
}

/// What a status means that is no success.
pub(super) fn of_status(status: &Status) -> Refusal {
    let message = status.message.clone();
    let says = |part: &str| status.message.contains(part);
    let retry = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    let after = (retry > 0).then(|| Duration::from_secs(retry.into()));
    let code = status.code;
    match (code, &*status.reason) {
        (409, "AlreadyExists") => Refusal::Exists,
        // Words of Kubernetes' admission plugins: ResourceQuota, NamespaceLifecycle, and of what calls webhooks. There is no
        // field that tells them apart.
        (403, _) if says(QUOTA) => Refusal::Quota(message),
        (403, _) if says("being terminated") => Refusal::Missing(message),
        (_, _) if says("admission webhook") && says("denied the request") => {
            Refusal::Denied(message)
        }
        // Quotas are being counted anew, or somebody else has changed them at the same time.
        (403, _) if says("status unknown for quota") => Refusal::Busy { after, code, message },
        (403, _) if says("error looking up service account") => Refusal::Missing(message),
        (404, _) => Refusal::Missing(message),
        // What the server says where rights are missing; everything else that is forbidden, a policy has forbidden.
        (403, _) if says("cannot create resource") => Refusal::Forbidden(message),
        (401, _) => Refusal::Forbidden(message),
        (403, _) => Refusal::Denied(message),
        (409 | 429, _) => Refusal::Busy { after, code, message },
        (400..=499, _) => Refusal::Invalid(message),
        _ => Refusal::Busy { after, code, message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> Status {
        Status { code, reason: reason.into(), message: message.into(), ..Status::default() }
    }

    #[test]
    fn each_answer_of_a_server_is_told_from_the_others() {
        let named = |message: &str| message.to_owned();
        let busy =
            |code, message: &str| Refusal::Busy { after: None, code, message: message.into() };
        let quota = r#"pods "a" is forbidden: exceeded quota: small, requested: pods=1, used: pods=5, limited: pods=5"#;
        let webhook =
            r#"admission webhook "images.example.com" denied the request: unsigned image"#;
        let rights = r#"pods is forbidden: User "system:serviceaccount:a:b" cannot create resource "pods" in API group "" in the namespace "c""#;
        let policy =
            r#"pods "a" is forbidden: violates PodSecurity "restricted:latest": privileged"#;
        let leaving = r#"pods "a" is forbidden: unable to create new content in namespace b because it is being terminated"#;
        let account = r#"pods "a" is forbidden: error looking up service account b/c: serviceaccount "c" not found"#;
        let invalid = r#"Pod "a" is invalid: spec.containers[0].image: Required value"#;
        let failing = r#"Internal error occurred: failed calling webhook "w": failed to call webhook: connection refused"#;
        let rows = [
            (409, "AlreadyExists", r#"pods "a" already exists"#, Refusal::Exists),
            (403, "Forbidden", quota, Refusal::Quota(named(quota))),
            (403, "Forbidden", webhook, Refusal::Denied(named(webhook))),
            (400, "BadRequest", webhook, Refusal::Denied(named(webhook))),
            (403, "Forbidden", rights, Refusal::Forbidden(named(rights))),
            (401, "Unauthorized", "Unauthorized", Refusal::Forbidden(named("Unauthorized"))),
            (403, "Forbidden", policy, Refusal::Denied(named(policy))),
            (403, "Forbidden", leaving, Refusal::Missing(named(leaving))),
            (
                404,
                "NotFound",
                r#"namespaces "b" not found"#,
                Refusal::Missing(named(r#"namespaces "b" not found"#)),
            ),
            (403, "Forbidden", account, Refusal::Missing(named(account))),
            (422, "Invalid", invalid, Refusal::Invalid(named(invalid))),
            (500, "InternalError", failing, busy(500, failing)),
            (429, "TooManyRequests", "later", busy(429, "later")),
            (503, "ServiceUnavailable", "gone", busy(503, "gone")),
            (409, "Conflict", "changed meanwhile", busy(409, "changed meanwhile")),
        ];
        for (code, reason, message, refusal) in rows {
            assert_eq!(of_status(&status(code, reason, message)), refusal);
        }
    }
}
