//! From a request to a run in the store.

use std::collections::BTreeMap;

use bytes::Bytes;
use data_encoding::{Encoding, Specification};
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tokio::task;
use uuid::Uuid;
use windlass_engine::record::{RunRecord, StepState};
use windlass_pipeline::{arguments, check, check::Violations, outline};
use windlass_proto::{id::RunId, v1};
use windlass_service::{
    error::{ApiError, ErrorReason, FieldViolation},
    fail_point,
};
use windlass_store::{Created, NewRun, Submission};

use crate::Submitter;

const DEFAULT_NAMESPACE: &str = "default";
const MAX_REQUEST_ID: usize = 128;
const MAX_LABELS: usize = 64;
const MAX_NAME: usize = 63;

impl Submitter {
    /// Accepts a run, or finds the one that the same request made before.
    pub(crate) async fn submit(&self, request: v1::SubmitRunRequest) -> Result<v1::Run, ApiError> {
        let installation = self.config.installation.clone();
        // A pipeline may have a million steps, and looking at all of them takes its time.
        let new = task::spawn_blocking(move || accept(&installation, request)).await.map_err(
            |error| {
                ApiError::new(ErrorReason::Unavailable, format!("the request was dropped: {error}"))
            },
        )??;
        self.create(new).await
    }

    /// Accepts a run of the pipeline of another one, with the arguments that are in force there.
    pub(crate) async fn rerun(&self, request: v1::RerunRunRequest) -> Result<v1::Run, ApiError> {
        let view = self.run(&request.run_id).await?;
        let old = &view.submission;
        let request_id = request_id(request.request_id)?;
        let pipeline = self
            .store
            .read_pipeline(old.id)
            .await?
            .ok_or_else(|| ApiError::run_not_found(old.id))?;
        let submission = Submission {
            id: run_id(&self.config.installation, &old.namespace, &request_id),
            digest: Sha256::digest(format!("rerun of {}", old.id)).into(),
            rerun_of: Some(old.id),
            arguments_json: view.arguments_json().to_owned(),
            ..Submission::clone(old)
        };
        let record = pending(submission.steps);
        self.create(NewRun { submission, pipeline, record }).await
    }

    async fn create(&self, new: NewRun) -> Result<v1::Run, ApiError> {
        let (run, digest) = (new.submission.id, new.submission.digest);
        // A run that nobody hears of waits for a scheduler's sweep: who submits is better told to come again.
        self.bus.check().await?;
        let created = self.store.create(new).await?;
        fail_point::reach("submitter.created");
        match created {
            Created::New => {}
            Created::Existed { digest: existing } if existing == digest => {}
            Created::Existed { .. } => {
                let message = format!(
                    "the request id was used for run {run}, with other content; take a new request id for a new run"
                );
                return Err(
                    ApiError::new(ErrorReason::RequestIdReused, message).with("run_id", &run)
                );
            }
            Created::Removed => {
                let message = format!(
                    "the request id was used for run {run}, which has been deleted; take a new request id for a new run"
                );
                return Err(ApiError::new(ErrorReason::RunRemoved, message).with("run_id", &run));
            }
        }
        self.ring(run, v1::event::Event::Submitted(v1::RunSubmitted {})).await;
        let view = self.store.read_run(run).await?.ok_or_else(|| ApiError::run_not_found(run))?;
        self.show(&view).await
    }
}

/// Checks a request and makes a run of it.
fn accept(installation: &str, mut request: v1::SubmitRunRequest) -> Result<NewRun, ApiError> {
    let request_id = request_id(std::mem::take(&mut request.request_id))?;
    request.namespace = namespace(request.namespace)?;
    check_labels(&request.labels)?;
    let digest = Sha256::digest(request.encode_to_vec()).into();
    let v1::SubmitRunRequest { namespace, pipeline, arguments, labels, no_cache, .. } = request;
    let pipeline = pipeline.ok_or_else(|| {
        ApiError::invalid("pipeline", "is not set; a run needs a pipeline to run")
    })?;
    check::check(&pipeline).map_err(|violations| invalid_pipeline(&violations))?;
    let arguments = arguments::resolve(&pipeline, &arguments)
        .map_err(|violations| invalid_pipeline(&violations))?;
    let labels = merged_labels(&pipeline.labels, labels)?;
    let submission = Submission {
        id: run_id(installation, &namespace, &request_id),
        namespace,
        pipeline: pipeline.name.clone(),
        labels,
        arguments_json: serde_json::to_string(&arguments).expect("JSON values have text keys"),
        digest,
        rerun_of: None,
        no_cache,
        priority: pipeline.priority,
        steps: outline::root_len(&pipeline),
    };
    let record = pending(submission.steps);
    Ok(NewRun { submission, pipeline: Bytes::from(pipeline.encode_to_vec()), record })
}

/// The record of a run that has not begun.
fn pending(steps: u32) -> RunRecord {
    let mut record = RunRecord::default();
    record.counts[StepState::Waiting as usize] = steps;
    record
}

/// The id of the run that a request makes: the same request always makes the same run.
fn run_id(installation: &str, namespace: &str, request_id: &str) -> RunId {
    let mut hash = Sha256::new();
    for part in [installation, namespace, request_id] {
        // With its length, so that no two different lists of parts are the same bytes.
        hash.update(u64::try_from(part.len()).expect("a text is shorter than 2^64").to_be_bytes());
        hash.update(part.as_bytes());
    }
    let text = base32().encode(&hash.finalize()[..16]);
    format!("run_{text}").parse().expect("26 lower-case letters and digits")
}

/// RFC 4648 base 32 in lower case, without padding.
fn base32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().expect("32 different symbols")
}

fn request_id(given: String) -> Result<String, ApiError> {
    if given.is_empty() {
        return Ok(Uuid::new_v4().to_string());
    }
    if given.len() > MAX_REQUEST_ID {
        let message = format!(
            "has {} bytes, and at most {MAX_REQUEST_ID} are allowed; a UUID does",
            given.len()
        );
        return Err(ApiError::invalid("request_id", message));
    }
    if let Some(found) = given.chars().find(|char| is_control(*char)) {
        let message = format!(
            "holds the control character {found:?}; use printable characters only: a UUID does"
        );
        return Err(ApiError::invalid("request_id", message));
    }
    Ok(given)
}

/// Whether a character is none that is printed: it would garble whatever shows it.
fn is_control(char: char) -> bool {
    // The separators of lines and of paragraphs are no control characters to Unicode, and break lines all the same.
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')
}

/// The namespace that is meant.
pub(crate) fn namespace(given: String) -> Result<String, ApiError> {
    if given.is_empty() {
        return Ok(DEFAULT_NAMESPACE.to_owned());
    }
    let lawful = given.len() <= MAX_NAME
        && given
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if lawful {
        return Ok(given);
    }
    let message = format!("must be at most {MAX_NAME} lower-case letters, digits and `-`");
    Err(ApiError::invalid("namespace", message))
}

fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), ApiError> {
    if labels.len() > MAX_LABELS {
        let message = format!("has {} entries, and at most {MAX_LABELS} are allowed", labels.len());
        return Err(ApiError::invalid("labels", message));
    }
    let lawful = |text: &str| {
        text.len() <= MAX_NAME
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
    };
    for (key, value) in labels {
        if key.is_empty() || !lawful(key) || !lawful(value) {
            let field = format!("labels[{}]", key.chars().take(MAX_NAME).collect::<String>());
            let message = format!(
                "keys and values must be at most {MAX_NAME} letters, digits, `-`, `_`, `.` and `/`"
            );
            return Err(ApiError::invalid(&field, message));
        }
    }
    Ok(())
}

/// The labels of a run: the pipeline's, unless the run sets them itself, and its own.
fn merged_labels(
    pipeline: &BTreeMap<String, String>,
    run: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, ApiError> {
    let mut labels = pipeline.clone();
    labels.extend(run);
    if labels.len() > MAX_LABELS {
        let message = format!(
            "together with the pipeline's, these are {} labels, and at most {MAX_LABELS} are allowed; leave some out",
            labels.len()
        );
        return Err(ApiError::invalid("labels", message));
    }
    Ok(labels)
}

pub(crate) fn invalid_pipeline(violations: &Violations) -> ApiError {
    let fields = violations
        .iter()
        .map(|violation| FieldViolation {
            field: violation.field.clone(),
            description: violation.message.clone(),
        })
        .collect();
    let first =
        violations.iter().next().map(|violation| violation.reason.as_str()).unwrap_or_default();
    let error = ApiError::new(ErrorReason::InvalidPipeline, violations.to_string())
        .with("violation", &first);
    ApiError { violations: fields, ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_a_function_of_installation_namespace_and_request_id() {
        let id = run_id("a", "b", "c");
        assert_eq!(id, run_id("a", "b", "c"));
        for other in [run_id("ab", "", "c"), run_id("a", "bc", ""), run_id("a", "b", "d")] {
            assert_ne!(id, other);
        }
    }

    #[test]
    fn what_is_not_a_lawful_request_is_refused_with_the_field() {
        let field = |request| accept("i", request).unwrap_err().violations[0].field.clone();
        let request = || v1::SubmitRunRequest {
            pipeline: Some(v1::Pipeline::default()),
            ..Default::default()
        };
        assert_eq!(field(v1::SubmitRunRequest::default()), "pipeline");
        assert_eq!(
            field(v1::SubmitRunRequest { namespace: "Upper".into(), ..request() }),
            "namespace"
        );
        assert_eq!(
            field(v1::SubmitRunRequest { request_id: "x".repeat(129), ..request() }),
            "request_id"
        );
        for unprintable in ["a\nb", "\0", "\u{7f}", "\u{9b}2J", "a\u{2028}"] {
            let request = v1::SubmitRunRequest { request_id: unprintable.into(), ..request() };
            assert_eq!(field(request), "request_id", "{unprintable:?}");
        }
        let printable = "Ä b/ü-😀 #1".to_owned();
        assert_eq!(request_id(printable.clone()), Ok(printable));
        let labels = BTreeMap::from([("a b".to_owned(), String::new())]);
        assert_eq!(field(v1::SubmitRunRequest { labels, ..request() }), "labels[a b]");
        let labels = (0..65).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(field(v1::SubmitRunRequest { labels, ..request() }), "labels");
        let error = accept("i", request()).unwrap_err();
        assert_eq!(error.reason, ErrorReason::InvalidPipeline);
    }

    #[test]
    fn a_run_has_at_most_64_labels_its_pipelines_included() {
        let labels = |from: u32, to: u32| {
            (from..to).map(|n| (n.to_string(), "x".to_owned())).collect::<BTreeMap<_, _>>()
        };
        let all = merged_labels(&labels(0, 40), labels(20, 64)).unwrap();
        assert_eq!(all, labels(0, 64), "what both set counts once");
        let refused = merged_labels(&labels(0, 40), labels(20, 65)).unwrap_err();
        assert_eq!(refused.violations[0].field, "labels");
        assert!(refused.message.contains("65 labels"), "{}", refused.message);
    }
}
