//! The requests that a launcher sends to an API server about pods, and how their answers are told apart.

use std::{collections::BTreeSet, fmt, time::Duration};

use http::{Method, Request};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Error,
    api::{DeleteParams, ListParams, Preconditions},
    core::{ObjectMeta, PartialObjectMeta},
};
use tokio::time::timeout;
use windlass_pod::{label, manifest, observed::ObservedPod};
use windlass_proto::id::RunId;

use super::refusal::{self, Refusal};
use crate::runtime::AttemptKey;

/// How long an answer may take. What was asked may have been done all the same.
pub(super) const ANSWER: Duration = Duration::from_secs(30);

/// How many pods one call that removes several removes at most, so that it is over within seconds.
const REMOVED_AT_ONCE: u32 = 500;

/// Who asks, as managed fields name it.
const FIELD_MANAGER: &str = "windlass-launcher";

/// Why a request other than a create was not answered well.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("no answer from the API server within {} s", ANSWER.as_secs())]
    Late,
    #[error("{}", windlass_cluster::told(.0))]
    Client(#[from] Error),
}

impl ApiError {
    /// Whether the server has too much to do, or cannot be reached.
    pub(super) fn is_busy(&self) -> bool {
        match self {
            Self::Client(Error::Api(status)) => {
                matches!(refusal::of_status(status), Refusal::Busy { .. })
            }
            Self::Late | Self::Client(_) => true,
        }
    }

    /// The code of the API server's answer; none where there was no answer.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Client(Error::Api(status)) => Some(status.code),
            Self::Late | Self::Client(_) => None,
        }
    }
}

/// A pod that was found by its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) step: u32,
    pub(super) attempt: u32,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    /// Whether it is known that nothing runs in it any more.
    pub(super) has_ended: bool,
}

/// A client of one cluster.
#[derive(Clone)]
pub(super) struct PodApi {
    client: Client,
    installation: String,
}

impl fmt::Debug for PodApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodApi").finish_non_exhaustive()
    }
}

impl PodApi {
    pub(super) fn new(client: Client, installation: String) -> Self {
        Self { client, installation }
    }

    /// The pods of a namespace, as far as they are looked at.
    pub(super) fn pods(&self, namespace: &str) -> Api<ObservedPod> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Selects this installation's pods of some shards.
    pub(super) fn of_shards(&self, shards: &BTreeSet<u32>) -> String {
        let shards: Vec<String> = shards.iter().map(u32::to_string).collect();
        format!("{},{} in ({})", self.ours(), label::SHARD, shards.join(","))
    }

    /// Whether a pod has the labels by which [`of_shards`](Self::of_shards) selects.
    pub(super) fn is_of_shards(&self, pod: &ObservedPod, shards: &BTreeSet<u32>) -> bool {
        let installation = manifest::label_value(&self.installation);
        let shard = pod.label(label::SHARD).and_then(|text| text.parse().ok());
        pod.label(label::MANAGED_BY) == Some(label::MANAGER)
            && pod.label(label::INSTALLATION) == Some(&*installation)
            && shard.is_some_and(|shard| shards.contains(&shard))
    }

    fn ours(&self) -> String {
        let installation = manifest::label_value(&self.installation);
        format!("{}={},{}={installation}", label::MANAGED_BY, label::MANAGER, label::INSTALLATION)
    }

    /// Creates a pod. An unknown field is an error: it would be left out.
    pub(super) async fn create(&self, namespace: &str, pod: &Pod) -> Result<(), Refusal> {
        let busy = |message: String| Refusal::Busy { after: None, code: 0, message };
        let body = serde_json::to_vec(pod).map_err(|error| Refusal::Invalid(error.to_string()))?;
        let uri = format!(
            "/api/v1/namespaces/{namespace}/pods?fieldManager={FIELD_MANAGER}&fieldValidation=Strict"
        );
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header("content-type", "application/json")
            // The answer is not looked at: the watch tells the same.
            .header("accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
            .body(body)
            .map_err(|error| Refusal::Invalid(error.to_string()))?;
        match answer(self.client.request_text(request)).await {
            Ok(_) => Ok(()),
            Err(ApiError::Client(Error::Api(status))) => Err(refusal::of_status(&status)),
            Err(error) => Err(busy(error.to_string())),
        }
    }

    /// A pod as it is now; none where there is none of this name.
    pub(super) async fn get(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ObservedPod>, ApiError> {
        answer(self.pods(namespace).get_opt(name)).await
    }

    /// Has a pod end, with the time that it has for that, and removed then. One that is not there is no error.
    pub(super) async fn delete(&self, found: &Found) -> Result<(), ApiError> {
        let uid = Some(found.uid.clone()).filter(|uid| !uid.is_empty());
        let preconditions = uid.map(|uid| Preconditions { uid: Some(uid), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        let pods: Api<PartialObjectMeta<Pod>> =
            Api::namespaced(self.client.clone(), &found.namespace);
        match answer(pods.delete(&found.name, &params)).await {
            Ok(_) => Ok(()),
            // Gone, or another one of this name, which is not meant.
            Err(ApiError::Client(Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the pods of a run that have ended, those of some shards; all of them with as few calls as possible.
    pub(super) async fn remove_ended(
        &self,
        namespace: &str,
        run: RunId,
        shards: &BTreeSet<u32>,
    ) -> Result<(), ApiError> {
        let pods: Api<PartialObjectMeta<Pod>> = Api::namespaced(self.client.clone(), namespace);
        let labels = format!("{},{}={run}", self.of_shards(shards), label::RUN);
        let params = ListParams::default()
            .labels(&labels)
            .fields("status.phase!=Pending,status.phase!=Running,status.phase!=Unknown")
            .limit(REMOVED_AT_ONCE);
        let how = DeleteParams::default();
        loop {
            let some_are_left = match answer(pods.delete_collection(&how, &params)).await {
                Ok(either) => either.left().is_some_and(|list| {
                    list.metadata.continue_.is_some_and(|token| !token.is_empty())
                }),
                Err(ApiError::Client(Error::Api(status))) if status.code == 404 => false,
                Err(error) => return Err(error),
            };
            if !some_are_left {
                return Ok(());
            }
        }
    }

    /// The pods of some attempts of a run, wherever they are watched, as they are at this moment. Their names say which they are.
    pub(super) async fn find(
        &self,
        namespace: &str,
        run: RunId,
        keys: &BTreeSet<AttemptKey>,
    ) -> Result<Vec<Found>, ApiError> {
        let pods: Api<PartialObjectMeta<Pod>> = Api::namespaced(self.client.clone(), namespace);
        let steps: BTreeSet<u32> = keys.iter().map(|key| key.step).collect();
        let steps: Vec<String> = steps.iter().map(u32::to_string).collect();
        let labels = format!(
            "{},{}={run},{} in ({})",
            self.ours(),
            label::RUN,
            label::STEP_INDEX,
            steps.join(",")
        );
        let params = ListParams::default().labels(&labels);
        let list = answer(pods.list(&params)).await?;
        let found = |pod: PartialObjectMeta<Pod>| {
            let ObjectMeta { name, uid, .. } = pod.metadata;
            let name = name?;
            let run = run.to_string();
            let key = keys.iter().find(|key| {
                manifest::is_name_of(&name, &self.installation, &run, key.step, key.attempt)
            })?;
            Some(Found {
                step: key.step,
                attempt: key.attempt,
                namespace: namespace.to_owned(),
                name,
                uid: uid.unwrap_or_default(),
                has_ended: false,
            })
        };
        Ok(list.items.into_iter().filter_map(found).collect())
    }
}

/// Waits for an answer, and not for ever.
async fn answer<T>(asked: impl Future<Output = kube::Result<T>>) -> Result<T, ApiError> {
    Ok(timeout(ANSWER, asked).await.map_err(|_| ApiError::Late)??)
}
