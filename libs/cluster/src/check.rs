//! Looks whether a cluster has what Windlass needs: an API server that answers and is new enough, a namespace, the rights, and
//! room for a pod as far as the rules of the cluster go.

use std::{fmt, future::Future, time::Duration};

use futures::future::join_all;
use k8s_openapi::{
    api::{
        authorization::v1::{SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
        core::v1::{
            Capabilities, Container, Namespace, Pod, PodSecurityContext, PodSpec, SeccompProfile,
            SecurityContext, ServiceAccount,
        },
    },
    apimachinery::pkg::version::Info,
};
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, PostParams},
};
use serde::de::DeserializeOwned;
use windlass_pod::label::{MAIN_CONTAINER, MANAGED_BY, MANAGER};

use crate::{
    config::ClusterConfig,
    connect::{self, ConnectError},
    failure::{code, told},
    prepare::ServiceAccountRef,
    report::{Finding, Item, Report, Verdict},
    rights::{RIGHTS, Right},
};

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The oldest version of Kubernetes, as major and minor: the first in which all is on by default that pods of steps may be made
/// of. Sidecars among the init containers are since 1.29, and scheduling gates, by which queues hold pods back, for good since
/// 1.30.
pub const OLDEST_VERSION: (u32, u32) = (1, 30);

/// Why a cluster could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// There is no way to it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its API server gives no answer that helps.
    #[error("the API server of cluster `{cluster}` at {server} {problem}")]
    Unreachable {
        /// The cluster.
        cluster: String,
        /// Where its API server should be.
        server: String,
        /// What is wrong, and what to do.
        problem: String,
    },
}

/// Looks for all that is needed in a cluster, with the credentials that are configured for it: the rights are theirs. A service
/// account is looked for where one is given.
///
/// # Errors
///
/// Where nothing can be said, since the API server is not there, does not answer or does not know who asks.
pub async fn check(
    config: &ClusterConfig,
    service_account: Option<&ServiceAccountRef>,
) -> Result<Report, CheckError> {
    let resolved = connect::resolve(config).await?;
    let server = resolved.cluster_url.to_string();
    let namespace = resolved.default_namespace.clone();
    let client = connect::client(config, resolved).await?;
    let check = Check { client, config, server: &server, namespace: &namespace };
    let findings = check.findings(service_account).await?;
    Ok(Report { cluster: config.name.clone(), server, namespace, findings })
}

/// A look at one namespace of a cluster.
struct Check<'a> {
    client: Client,
    config: &'a ClusterConfig,
    server: &'a str,
    namespace: &'a str,
}

impl Check<'_> {
    async fn findings(
        &self,
        service_account: Option<&ServiceAccountRef>,
    ) -> Result<Vec<Finding>, CheckError> {
        let mut findings = vec![version(&self.answer(self.client.apiserver_version()).await?)];
        findings.extend(self.of_namespace(service_account).await?);
        for namespace in self.config.namespaces_beside(self.namespace) {
            let there = Check { client: self.client.clone(), namespace, ..*self };
            findings.extend(there.of_namespace(None).await?);
        }
        Ok(findings)
    }

    async fn of_namespace(
        &self,
        service_account: Option<&ServiceAccountRef>,
    ) -> Result<Vec<Finding>, CheckError> {
        let namespace = self.namespace().await?;
        let is_nowhere = matches!(namespace.verdict, Verdict::Missing(_));
        let mut findings = vec![namespace];
        if let Some(account) = service_account {
            findings.push(self.service_account(account).await?);
        }
        let rights = join_all(RIGHTS.map(|right| self.right(right))).await;
        let rights: Vec<Finding> = rights.into_iter().collect::<Result<_, _>>()?;
        let may_create = rights.iter().any(|it| {
            let creates = Right { resource: "pods", verb: "create" };
            it.item == self.right_to(creates) && it.verdict == Verdict::Present
        });
        findings.extend(rights);
        findings.push(if is_nowhere {
            let why = "there is no namespace to try it in".to_owned();
            Finding { item: self.plain_pod(), verdict: Verdict::Unknown(why) }
        } else {
            self.admission(may_create).await?
        });
        Ok(findings)
    }

    async fn namespace(&self) -> Result<Finding, CheckError> {
        let name = self.namespace;
        let missing = format!("create it: `kubectl create namespace {name}`, or {}", self.advice());
        let verdict =
            self.there(&Api::<Namespace>::all(self.client.clone()), name, missing).await?;
        Ok(Finding { item: Item::Namespace(name.to_owned()), verdict })
    }

    async fn service_account(&self, account: &ServiceAccountRef) -> Result<Finding, CheckError> {
        let ServiceAccountRef { namespace, name } = account;
        let namespace = namespace.as_deref().unwrap_or(self.namespace);
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        let missing = format!(
            "create it: `kubectl create serviceaccount {name} --namespace {namespace}`, or {}",
            self.advice()
        );
        let verdict = self.there(&api, name, missing).await?;
        Ok(Finding { item: Item::ServiceAccount(account.clone()), verdict })
    }

    async fn there<K>(
        &self,
        api: &Api<K>,
        name: &str,
        missing: String,
    ) -> Result<Verdict, CheckError>
    where
        K: Resource + Clone + DeserializeOwned + fmt::Debug,
    {
        match self.refusal(api.get_metadata_opt(name)).await? {
            Ok(Some(_)) => Ok(Verdict::Present),
            Ok(None) => Ok(Verdict::Missing(missing)),
            // Windlass need not see it.
            Err(refused) => Ok(Verdict::Unknown(refused)),
        }
    }

    async fn right(&self, right: Right) -> Result<Finding, CheckError> {
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(right.attributes(self.namespace)),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let api = Api::<SelfSubjectAccessReview>::all(self.client.clone());
        let params = PostParams::default();
        let verdict = match self.refusal(api.create(&params, &review)).await? {
            Ok(review) => {
                let status = review.status.unwrap_or_default();
                if status.allowed {
                    Verdict::Present
                } else {
                    let told = status.reason.filter(|reason| !reason.is_empty());
                    let told = told.map(|told| format!("{told}; ")).unwrap_or_default();
                    Verdict::Missing(format!(
                        "{told}add the rule {} to a Role in the namespace {}, or {}",
                        right.rule(),
                        self.namespace,
                        self.advice()
                    ))
                }
            }
            Err(refused) => Verdict::Unknown(refused),
        };
        Ok(Finding { item: self.right_to(right), verdict })
    }

    fn right_to(&self, right: Right) -> Item {
        Item::Right { right, namespace: self.namespace.to_owned() }
    }

    /// Has a pod created without creating it, which asks all that has a say: quotas, pod security, webhooks.
    async fn admission(&self, may_create: bool) -> Result<Finding, CheckError> {
        let verdict = if may_create {
            let api = Api::<Pod>::namespaced(self.client.clone(), self.namespace);
            let params = PostParams { dry_run: true, ..PostParams::default() };
            match self.refusal(api.create(&params, &plain_pod())).await? {
                Ok(_) => Verdict::Present,
                Err(refused) if is_used_up(&refused) => Verdict::Unknown(format!(
                    "{refused}; pods wait in the namespace {} until there is room",
                    self.namespace
                )),
                Err(refused) => Verdict::Missing(format!(
                    "{refused}; see the quotas, limits and admission rules of the namespace {}",
                    self.namespace
                )),
            }
        } else {
            Verdict::Unknown("only who may create pods can try".to_owned())
        };
        Ok(Finding { item: self.plain_pod(), verdict })
    }

    fn plain_pod(&self) -> Item {
        Item::Admission { namespace: self.namespace.to_owned() }
    }

    fn advice(&self) -> String {
        format!("let `{}` do it", self.config.command("prepare"))
    }

    /// An answer, or the words by which the API server refuses one that it has understood.
    async fn refusal<T>(
        &self,
        asked: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<Result<T, String>, CheckError> {
        let unreachable = |problem| CheckError::Unreachable {
            cluster: self.config.name.clone(),
            server: self.server.to_owned(),
            problem,
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
            Ok(Ok(answer)) => Ok(Ok(answer)),
            Ok(Err(error)) => match code(&error) {
                Some(401) => Err(unreachable(
                    "does not know who asks: the credentials are wrong or have expired; renew them in the kubeconfig"
                        .to_owned(),
                )),
                Some(400..500) => Ok(Err(told(&error))),
                Some(_) => Err(unreachable(format!("has trouble of its own: {}; try again later", told(&error)))),
                None => Err(unreachable(format!(
                    "cannot be reached: {}; see that it is up, and that its address, its port and its certificate are right",
                    told(&error)
                ))),
            },
            Err(_) => Err(unreachable(format!(
                "has not answered within {} s; see whether it is overloaded, and what lies between",
                ANSWER_TIMEOUT.as_secs()
            ))),
        }
    }

    /// An answer to what nobody is refused.
    async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, CheckError> {
        self.refusal(asked).await?.map_err(|refused| CheckError::Unreachable {
            cluster: self.config.name.clone(),
            server: self.server.to_owned(),
            problem: format!(
                "does not tell its version: {refused}; see that it is one of Kubernetes"
            ),
        })
    }
}

/// Whether a quota is used up for now. One that a plain pod would exceed if it were alone has no room for any.
fn is_used_up(refused: &str) -> bool {
    // `exceeded quota: NAME, requested: pods=1, used: pods=5, limited: pods=5`, the words of Kubernetes.
    let Some((_, limited)) =
        refused.split_once("exceeded quota").and_then(|(_, quota)| quota.split_once("limited: "))
    else {
        return false;
    };
    !limited.split(',').filter_map(|limit| limit.rsplit_once('=')).any(|(_, most)| most == "0")
}

fn version(info: &Info) -> Finding {
    // Some providers write a minor of `30+`.
    let number = |text: &str| {
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        text[..digits].parse::<u32>().ok()
    };
    let (major, minor) = OLDEST_VERSION;
    let verdict = match (number(&info.major), number(&info.minor)) {
        (Some(there), Some(minor_there)) if (there, minor_there) >= OLDEST_VERSION => {
            Verdict::Present
        }
        (Some(_), Some(_)) => Verdict::Missing(format!(
            "Windlass needs {major}.{minor} or newer; have the cluster upgraded"
        )),
        _ => Verdict::Unknown("it is in no form that says how old it is".to_owned()),
    };
    Finding { item: Item::Version(info.git_version.clone()), verdict }
}

/// A pod that keeps to the strictest of the standards for the security of pods, so that who refuses it refuses all.
fn plain_pod() -> Pod {
    let security = SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    };
    let container = Container {
        name: MAIN_CONTAINER.to_owned(),
        // Nothing is ever pulled.
        image: Some("windlass-check".to_owned()),
        security_context: Some(security),
        ..Container::default()
    };
    let security = PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(65_534),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    };
    let spec = PodSpec {
        containers: vec![container],
        restart_policy: Some("Never".to_owned()),
        security_context: Some(security),
        ..PodSpec::default()
    };
    let labels = [(MANAGED_BY.to_owned(), MANAGER.to_owned())];
    let metadata = ObjectMeta {
        generate_name: Some("windlass-check-".to_owned()),
        labels: Some(labels.into()),
        ..ObjectMeta::default()
    };
    Pod { metadata, spec: Some(spec), ..Pod::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_new_enough_also_as_providers_write_it() {
        let verdict = |major: &str, minor: &str| {
            let info = Info { major: major.to_owned(), minor: minor.to_owned(), ..Info::default() };
            version(&info).verdict
        };
        assert_eq!(verdict("1", "30"), Verdict::Present);
        assert_eq!(verdict("1", "33+"), Verdict::Present);
        assert_eq!(verdict("2", "0"), Verdict::Present);
        assert!(matches!(verdict("1", "29+"), Verdict::Missing(advice) if advice.contains("1.30")));
        assert!(matches!(verdict("", "main"), Verdict::Unknown(_)));
    }

    #[test]
    fn a_quota_that_is_used_up_is_told_from_one_that_has_room_for_no_pod() {
        let refused = |words: &str| is_used_up(&format!("pods \"a\" is forbidden: {words}"));
        assert!(refused("exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5"));
        let two =
            "requested: count/pods=1,pods=1, used: count/pods=5,pods=5, limited: count/pods=5,pods";
        assert!(refused(&format!("exceeded quota: q, {two}=10")));
        assert!(!refused(&format!("exceeded quota: q, {two}=0")));
        assert!(!refused("failed quota: q: must specify limits.cpu for: main"));
        assert!(!refused("violates PodSecurity \"restricted:latest\": privileged"));
    }
}
