//! Which of many runs there are not: for those who find something that runs have left, such as pods in a cluster.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use windlass_proto::{id::RunId, v1};
use windlass_service::error::ApiError;
use windlass_store::StoreError;

use crate::Submitter;

/// The most runs that one request may name.
const RUNS_MAX: usize = 1000;

/// How many of them are looked for at once.
const AT_ONCE: usize = 32;

impl Submitter {
    /// Those of the runs that the store does not have, and whose store it is.
    pub(crate) async fn unknown_runs(
        &self,
        request: v1::FindUnknownRunsRequest,
    ) -> Result<v1::FindUnknownRunsResponse, ApiError> {
        if request.run_ids.len() > RUNS_MAX {
            let problem = format!("has more than {RUNS_MAX} runs; ask for some of them at a time");
            return Err(ApiError::invalid("run_ids", problem));
        }
        let runs = request.run_ids.iter().enumerate().map(|(number, text)| {
            let invalid =
                |error| ApiError::invalid(&format!("run_ids[{number}]"), format!("{error}"));
            text.parse().map_err(invalid)
        });
        let runs: Vec<RunId> = runs.collect::<Result<_, _>>()?;
        let looks = stream::iter(runs).map(|run| async move {
            Ok::<_, ApiError>((!self.is_known(run).await?).then(|| run.to_string()))
        });
        let unknown: Vec<Option<String>> = looks.buffered(AT_ONCE).try_collect().await?;
        Ok(v1::FindUnknownRunsResponse {
            installation: self.config.installation.clone(),
            run_ids: unknown.into_iter().flatten().collect(),
        })
    }

    /// Whether there is anything of a run, also where it cannot be read.
    async fn is_known(&self, run: RunId) -> Result<bool, StoreError> {
        match self.store.read_record(run).await {
            Ok(record) => Ok(record.is_some()),
            Err(StoreError::Damaged(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SubmitterConfig;
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;
    use windlass_bus::MemoryBus;
    use windlass_engine::record::RunRecord;
    use windlass_store::{MemoryStore, NewRun, Store as _, Submission};

    fn submission(id: RunId) -> Submission {
        Submission {
            id,
            namespace: "default".to_owned(),
            pipeline: "p".to_owned(),
            labels: std::collections::BTreeMap::new(),
            arguments_json: "{}".to_owned(),
            digest: [0; 32],
            rerun_of: None,
            no_cache: false,
            priority: 0,
            steps: 0,
        }
    }

    #[tokio::test]
    async fn runs_that_there_are_not_are_told_in_the_order_asked_and_whose_server_it_is() {
        let store = Arc::new(MemoryStore::default());
        let config = SubmitterConfig { installation: "here".to_owned(), partitions: 1 };
        let bus = Arc::new(MemoryBus::default());
        let submitter = Submitter::new(config, bus, store.clone(), CancellationToken::new());
        let run = |number: usize| format!("run_{number:026}");
        let known: RunId = run(7).parse().unwrap();
        let record = RunRecord::default();
        let new = NewRun { submission: submission(known), pipeline: [].as_slice().into(), record };
        store.create(new).await.unwrap();
        let ask = async |run_ids: Vec<String>| {
            submitter.unknown_runs(v1::FindUnknownRunsRequest { run_ids }).await
        };
        let answer = ask(vec![run(9), run(7), run(8)]).await.unwrap();
        assert_eq!((answer.installation.as_str(), answer.run_ids), ("here", vec![run(9), run(8)]));
        let answer = ask(Vec::new()).await.unwrap();
        assert_eq!((answer.installation.as_str(), answer.run_ids.len()), ("here", 0));
        let answer = ask((0..RUNS_MAX).map(run).collect()).await.unwrap();
        assert_eq!(answer.run_ids.len(), RUNS_MAX - 1);
        for (field, run_ids) in [
            ("run_ids", (0..=RUNS_MAX).map(run).collect()),
            ("run_ids[1]", vec![run(7), "run_!".to_owned()]),
        ] {
            assert_eq!(ask(run_ids).await.unwrap_err().violations[0].field, field);
        }
    }
}
