//! Makes what Windlass needs in a cluster: a namespace, a service account, and a Role with its rights.

use std::{convert::Infallible, fmt, str::FromStr};

use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::{Namespace, ServiceAccount},
        rbac::v1::{Role, RoleBinding, RoleRef, Subject},
    },
};
use kube::{
    Api, Client, Resource,
    api::{ObjectMeta, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use windlass_pod::label::{MANAGED_BY, MANAGER};

use crate::{
    config::ClusterConfig,
    connect::{self, ConnectError},
    failure::{code, told},
    rights::rules,
};

/// The service account that Windlass's programs run as, unless another one is named; and what the Role is called.
pub const SERVICE_ACCOUNT: &str = "windlass";

/// A service account: `NAME` in the namespace of the pods, or `NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccountRef {
    /// Where it is; in the namespace of the pods unless given.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Default for ServiceAccountRef {
    fn default() -> Self {
        Self { namespace: None, name: SERVICE_ACCOUNT.to_owned() }
    }
}

impl FromStr for ServiceAccountRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('/') {
            Some((namespace, name)) => {
                Self { namespace: Some(namespace.to_owned()), name: name.to_owned() }
            }
            None => Self { namespace: None, name: text.to_owned() },
        })
    }
}

impl fmt::Display for ServiceAccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// `Namespace`, `ServiceAccount`, `Role` or `RoleBinding`.
    pub kind: String,
    /// Its name, with its namespace where it has one: `jobs/windlass`.
    pub name: String,
    /// What was done.
    pub outcome: Outcome,
}

/// What was done about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there, and other than it must be.
    Changed,
    /// It was there as it must be.
    Unchanged,
}

/// Why a cluster is not prepared. What was done before stays, and does no harm.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// There is no way to it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The caller may not do it.
    #[error(
        "the {kind} `{name}` may not be made with these credentials: {message}; have somebody do it who may, with what \
         `windlass cluster prepare --dry-run` prints"
    )]
    Forbidden {
        /// What was to be made.
        kind: String,
        /// Its name.
        name: String,
        /// What the API server says.
        message: String,
    },
    /// Somebody else has made it, and other than it must be.
    #[error(
        "the {kind} `{name}` is somebody else's and is other than it must be: {message}; change it as `windlass cluster prepare \
         --dry-run` prints it, or remove it"
    )]
    Conflict {
        /// What was to be made.
        kind: String,
        /// Its name.
        name: String,
        /// What the API server says.
        message: String,
    },
    /// The API server could not be asked, or refused.
    #[error("the {kind} `{name}` cannot be made: {}; `windlass cluster check` says more", told(.source))]
    Request {
        /// What was to be made.
        kind: String,
        /// Its name.
        name: String,
        /// What went wrong.
        source: Box<kube::Error>,
    },
}

impl PrepareError {
    /// Whether the API server was not to be reached, or has trouble of its own: later it may do.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Request { source, .. } => code(source).is_none_or(|code| code >= 500),
            Self::Connect(_) | Self::Forbidden { .. } | Self::Conflict { .. } => false,
        }
    }
}

/// All objects that give Windlass what it needs in a namespace.
struct Manifests {
    namespace: Namespace,
    service_account: ServiceAccount,
    role: Role,
    role_binding: RoleBinding,
}

impl Manifests {
    fn new(namespace: &str, account: &ServiceAccountRef) -> Self {
        let labels = || Some([(MANAGED_BY.to_owned(), MANAGER.to_owned())].into());
        let named = |namespace: Option<&str>, name: &str| ObjectMeta {
            name: Some(name.to_owned()),
            namespace: namespace.map(str::to_owned),
            labels: labels(),
            ..ObjectMeta::default()
        };
        let account_namespace = account.namespace.as_deref().unwrap_or(namespace);
        Self {
            namespace: Namespace { metadata: named(None, namespace), ..Namespace::default() },
            service_account: ServiceAccount {
                metadata: named(Some(account_namespace), &account.name),
                ..ServiceAccount::default()
            },
            role: Role { metadata: named(Some(namespace), SERVICE_ACCOUNT), rules: Some(rules()) },
            role_binding: RoleBinding {
                metadata: named(Some(namespace), SERVICE_ACCOUNT),
                role_ref: RoleRef {
                    api_group: Some("rbac.authorization.k8s.io".to_owned()),
                    kind: "Role".to_owned(),
                    name: SERVICE_ACCOUNT.to_owned(),
                },
                subjects: Some(vec![Subject {
                    kind: "ServiceAccount".to_owned(),
                    name: account.name.clone(),
                    namespace: Some(account_namespace.to_owned()),
                    api_group: None,
                }]),
            },
        }
    }

    fn yaml(&self) -> Result<String, serde_saphyr::SerializeError> {
        let documents = [
            serde_saphyr::to_string(&self.namespace)?,
            serde_saphyr::to_string(&self.service_account)?,
            serde_saphyr::to_string(&self.role)?,
            serde_saphyr::to_string(&self.role_binding)?,
        ];
        Ok(documents.map(|it| format!("{}\n", it.trim_end())).join("---\n"))
    }
}

/// The YAML of all that [`prepare`] makes, for somebody else to apply. No cluster is asked: the namespace is that of the
/// kubeconfig where none is configured.
pub async fn manifests(
    config: &ClusterConfig,
    account: &ServiceAccountRef,
) -> Result<String, ConnectError> {
    let namespace = match &config.namespace {
        Some(namespace) => namespace.clone(),
        None => connect::resolve(config).await?.default_namespace,
    };
    Ok(Manifests::new(&namespace, account).yaml().expect("objects are maps of texts and lists"))
}

/// Makes the namespace, the service account, the Role and its binding, with the rights of the credentials that are
/// configured. To do it again changes nothing.
pub async fn prepare(
    config: &ClusterConfig,
    account: &ServiceAccountRef,
) -> Result<Vec<Done>, PrepareError> {
    let client = connect::connect(config).await?;
    let namespace = client.default_namespace().to_owned();
    let manifests = Manifests::new(&namespace, account);
    let namespaces = Api::all(client.clone());
    let mut done = Vec::new();
    // A namespace that is there is somebody's, and its labels may say much.
    done.push(match find(&namespaces, &manifests.namespace).await? {
        Some(_) => finished(&manifests.namespace, Outcome::Unchanged),
        None => apply(&namespaces, &manifests.namespace).await?,
    });
    done.push(apply_in(&client, &manifests.service_account).await?);
    done.push(apply_in(&client, &manifests.role).await?);
    done.push(apply_in(&client, &manifests.role_binding).await?);
    Ok(done)
}

/// An object that can be applied.
trait Applied: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + fmt::Debug {}

impl<K> Applied for K where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + fmt::Debug
{
}

async fn apply_in<K>(client: &Client, object: &K) -> Result<Done, PrepareError>
where
    K: Applied + Resource<Scope = NamespaceResourceScope>,
{
    let namespace = object.meta().namespace.as_deref().unwrap_or_default();
    apply(&Api::namespaced(client.clone(), namespace), object).await
}

async fn apply<K: Applied>(api: &Api<K>, object: &K) -> Result<Done, PrepareError> {
    let before = find(api, object).await?;
    let name = object.meta().name.as_deref().unwrap_or_default();
    let params = PatchParams::apply(MANAGER);
    let after = api
        .patch(name, &params, &Patch::Apply(object))
        .await
        .map_err(|error| refused(object, error))?;
    let outcome = match before {
        None => Outcome::Created,
        Some(before) if content(&before) == content(&after) => Outcome::Unchanged,
        Some(_) => Outcome::Changed,
    };
    Ok(finished(object, outcome))
}

/// An object without what the API server keeps of it for itself, such as who has set which field.
fn content<K: Applied>(object: &K) -> Option<serde_json::Value> {
    let mut object = object.clone();
    let meta = object.meta_mut();
    meta.managed_fields = None;
    meta.resource_version = None;
    meta.generation = None;
    serde_json::to_value(&object).ok()
}

async fn find<K: Applied>(api: &Api<K>, object: &K) -> Result<Option<K>, PrepareError> {
    let name = object.meta().name.as_deref().unwrap_or_default();
    api.get_opt(name).await.map_err(|error| refused(object, error))
}

fn finished<K: Applied>(object: &K, outcome: Outcome) -> Done {
    Done { kind: K::kind(&()).into_owned(), name: full_name(object), outcome }
}

fn full_name<K: Applied>(object: &K) -> String {
    let meta = object.meta();
    let name = meta.name.clone().unwrap_or_default();
    match &meta.namespace {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name,
    }
}

fn refused<K: Applied>(object: &K, error: kube::Error) -> PrepareError {
    let (kind, name, message) = (K::kind(&()).into_owned(), full_name(object), told(&error));
    match code(&error) {
        Some(403) => PrepareError::Forbidden { kind, name, message },
        Some(409) => PrepareError::Conflict { kind, name, message },
        _ => PrepareError::Request { kind, name, source: Box::new(error) },
    }
}
