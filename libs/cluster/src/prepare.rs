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
         `{command} --dry-run` prints"
    )]
    Forbidden {
        /// The command that prepares the cluster.
        command: String,
        /// What was to be made.
        kind: String,
        /// Its name.
        name: String,
        /// What the API server says.
        message: String,
    },
    /// Somebody else has made it, and other than it must be.
    #[error(
        "the {kind} `{name}` is somebody else's and is other than it must be: {message}; change it as `{command} --dry-run` \
         prints it, or remove it"
    )]
    Conflict {
        /// The command that prepares the cluster.
        command: String,
        /// What was to be made.
        kind: String,
        /// Its name.
        name: String,
        /// What the API server says.
        message: String,
    },
    /// The API server could not be asked, or refused.
    #[error("the {kind} `{name}` cannot be made: {}; `{command}` says more", told(.source))]
    Request {
        /// The command that looks at the cluster.
        command: String,
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

/// All objects that give Windlass what it needs in a cluster: a service account, and what it may do in each namespace.
struct Manifests {
    /// That of the pods first, then the others.
    namespaces: Vec<Access>,
    service_account: ServiceAccount,
}

/// A namespace, and the rights of the service account there.
struct Access {
    namespace: Namespace,
    role: Role,
    role_binding: RoleBinding,
}

impl Manifests {
    fn new(config: &ClusterConfig, namespace: &str, account: &ServiceAccountRef) -> Self {
        let account_namespace = account.namespace.as_deref().unwrap_or(namespace);
        let namespaces = std::iter::once(namespace).chain(config.namespaces_beside(namespace));
        Self {
            namespaces: namespaces
                .map(|it| Access::new(it, &account.name, account_namespace))
                .collect(),
            service_account: ServiceAccount {
                metadata: named(Some(account_namespace), &account.name),
                ..ServiceAccount::default()
            },
        }
    }

    fn yaml(&self) -> Result<String, serde_saphyr::SerializeError> {
        let mut documents = Vec::new();
        for (number, Access { namespace, role, role_binding }) in self.namespaces.iter().enumerate()
        {
            documents.push(serde_saphyr::to_string(namespace)?);
            if number == 0 {
                documents.push(serde_saphyr::to_string(&self.service_account)?);
            }
            documents.push(serde_saphyr::to_string(role)?);
            documents.push(serde_saphyr::to_string(role_binding)?);
        }
        let documents: Vec<_> = documents.iter().map(|it| format!("{}\n", it.trim_end())).collect();
        Ok(documents.join("---\n"))
    }
}

impl Access {
    fn new(namespace: &str, account: &str, account_namespace: &str) -> Self {
        Self {
            namespace: Namespace { metadata: named(None, namespace), ..Namespace::default() },
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
                    name: account.to_owned(),
                    namespace: Some(account_namespace.to_owned()),
                    api_group: None,
                }]),
            },
        }
    }
}

fn named(namespace: Option<&str>, name: &str) -> ObjectMeta {
    let labels = [(MANAGED_BY.to_owned(), MANAGER.to_owned())];
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        labels: Some(labels.into()),
        ..ObjectMeta::default()
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
    Ok(Manifests::new(config, &namespace, account)
        .yaml()
        .expect("objects are maps of texts and lists"))
}

/// Makes the namespaces, the service account, and in each namespace the Role and its binding, with the rights of the credentials
/// that are configured. To do it again changes nothing.
pub async fn prepare(
    config: &ClusterConfig,
    account: &ServiceAccountRef,
) -> Result<Vec<Done>, PrepareError> {
    let client = connect::connect(config).await?;
    let namespace = client.default_namespace().to_owned();
    let manifests = Manifests::new(config, &namespace, account);
    let maker = Maker { client, config };
    let mut done = Vec::new();
    for (number, Access { namespace, role, role_binding }) in
        manifests.namespaces.iter().enumerate()
    {
        done.push(maker.make_namespace(namespace).await?);
        if number == 0 {
            done.push(maker.apply_in(&manifests.service_account).await?);
        }
        done.push(maker.apply_in(role).await?);
        done.push(maker.apply_in(role_binding).await?);
    }
    Ok(done)
}

/// An object that can be applied.
trait Applied: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + fmt::Debug {}

impl<K> Applied for K where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + fmt::Debug
{
}

/// Makes objects in a cluster.
struct Maker<'a> {
    client: Client,
    config: &'a ClusterConfig,
}

impl Maker<'_> {
    /// A namespace that is there is somebody's, and its labels may say much.
    async fn make_namespace(&self, namespace: &Namespace) -> Result<Done, PrepareError> {
        let namespaces = Api::all(self.client.clone());
        match self.find(&namespaces, namespace).await? {
            Some(_) => Ok(finished(namespace, Outcome::Unchanged)),
            None => self.apply(&namespaces, namespace).await,
        }
    }

    async fn apply_in<K>(&self, object: &K) -> Result<Done, PrepareError>
    where
        K: Applied + Resource<Scope = NamespaceResourceScope>,
    {
        let namespace = object.meta().namespace.as_deref().unwrap_or_default();
        self.apply(&Api::namespaced(self.client.clone(), namespace), object).await
    }

    async fn apply<K: Applied>(&self, api: &Api<K>, object: &K) -> Result<Done, PrepareError> {
        let before = self.find(api, object).await?;
        let name = object.meta().name.as_deref().unwrap_or_default();
        let params = PatchParams::apply(MANAGER);
        let after = api
            .patch(name, &params, &Patch::Apply(object))
            .await
            .map_err(|error| self.refused(object, error))?;
        let outcome = match before {
            None => Outcome::Created,
            Some(before) if content(&before) == content(&after) => Outcome::Unchanged,
            Some(_) => Outcome::Changed,
        };
        Ok(finished(object, outcome))
    }

    async fn find<K: Applied>(&self, api: &Api<K>, object: &K) -> Result<Option<K>, PrepareError> {
        let name = object.meta().name.as_deref().unwrap_or_default();
        api.get_opt(name).await.map_err(|error| self.refused(object, error))
    }

    fn refused<K: Applied>(&self, object: &K, error: kube::Error) -> PrepareError {
        let (kind, name, message) = (K::kind(&()).into_owned(), full_name(object), told(&error));
        let command = |command| self.config.command(command);
        match code(&error) {
            Some(403) => {
                PrepareError::Forbidden { command: command("prepare"), kind, name, message }
            }
            Some(409) => {
                PrepareError::Conflict { command: command("prepare"), kind, name, message }
            }
            _ => PrepareError::Request {
                command: command("check"),
                kind,
                name,
                source: Box::new(error),
            },
        }
    }
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
