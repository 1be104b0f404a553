//! What a launcher does to attempts that were ordered before: stops them, looks after them, takes them back; wherever they are.

use std::sync::Arc;

use windlass_bus::BusError;
use windlass_engine::{
    event::{AttemptPhase, AttemptReport},
    reason::{Failure, FailureReason},
    record::StepIndex,
};
use windlass_proto::{id::RunId, v1, v1::command::Command as Body};
use windlass_store::StoreError;

use crate::{
    claims::{Claims, Place},
    hosts::Hosts,
    list_files::StillReading,
    runtime::{AttemptKey, Report, ReportSender, Runtime},
};

/// The attempts of this launcher's cluster, or of its host and the others.
#[derive(Debug)]
pub(crate) struct Attempts<R> {
    pub(crate) runtime: Arc<R>,
    pub(crate) reports: ReportSender,
    /// None where all launchers of the runtime see the same attempts.
    pub(crate) claims: Option<Claims>,
    pub(crate) hosts: Hosts,
}

/// Why a command was not carried out. All of it may be done again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    StillReading(#[from] StillReading),
    #[error("there is no room for its attempts on the cluster now: they wait")]
    NotTaken,
}

impl AttemptsError {
    /// Whether the command may be carried out later.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.is_retryable(),
            Self::Bus(error) => error.is_retryable(),
            Self::StillReading(_) | Self::NotTaken => true,
        }
    }
}

impl<R: Runtime> Attempts<R> {
    /// Ends attempts of a run; those that do not exist never will.
    pub(crate) async fn stop(&self, run: RunId, keys: &[AttemptKey]) -> Result<(), AttemptsError> {
        let Some(claims) = &self.claims else {
            for key in keys {
                self.runtime.stop(*key).await;
            }
            return Ok(());
        };
        let places = match claims.preclude(run, keys).await {
            Err(StoreError::Damaged(_)) if self.are_here(keys).await => {
                for key in keys {
                    self.runtime.stop(*key).await;
                }
                return Ok(());
            }
            places => places?,
        };
        let Some(places) = places else {
            // The run is gone, and its claims with it: whatever is here of it has to end.
            for key in keys {
                if self.runtime.probe(*key).await {
                    self.runtime.stop(*key).await;
                }
            }
            return Ok(());
        };
        let mut away = Vec::new();
        for (key, place) in places {
            match place {
                Place::Here => self.runtime.stop(key).await,
                Place::There(host) => self.expect_there(key, host, &mut away),
                Place::Nowhere | Place::Unclaimed => self.report(key, AttemptPhase::NotCreated),
            }
        }
        let stop = |attempts| Body::Stop(v1::Stop { attempts });
        Ok(claims.pass_on(run, &away, stop).await?)
    }

    /// Has attempts of a run reported; those that nobody knows, as lost.
    pub(crate) async fn probe(&self, run: RunId, keys: &[AttemptKey]) -> Result<(), AttemptsError> {
        let Some(claims) = &self.claims else {
            for key in keys {
                self.probe_here(*key).await;
            }
            return Ok(());
        };
        let places = match claims.find(run, keys).await {
            Err(StoreError::Damaged(_)) if self.are_here(keys).await => return Ok(()),
            places => places?,
        };
        let mut away = Vec::new();
        for (key, place) in places {
            match place {
                Place::Here if claims.is_under_way(key) => {}
                // The claim of one that runs can only have been lost with the store's latest second; its host has claimed
                // it again by now, if it is there.
                Place::Here | Place::Unclaimed => self.probe_here(key).await,
                Place::There(host) => self.expect_there(key, host, &mut away),
                Place::Nowhere => self.report(key, AttemptPhase::NotCreated),
            }
        }
        let probe = |attempts| Body::Probe(v1::Probe { attempts });
        Ok(claims.pass_on(run, &away, probe).await?)
    }

    /// Takes attempts back that do not exist; those that do go on, and are reported.
    pub(crate) async fn withdraw(
        &self,
        run: RunId,
        keys: &[AttemptKey],
    ) -> Result<(), AttemptsError> {
        if let Some(claims) = &self.claims {
            // What is unclaimed is nobody's from now on, and what is claimed is looked after where it is.
            if claims.preclude(run, keys).await?.is_some() {
                self.probe(run, keys).await?;
            }
            return Ok(());
        }
        for key in keys {
            if !self.runtime.probe(*key).await {
                // The order may be repeated and be wanted then: stopping what does not exist sees to it that it never will.
                self.runtime.stop(*key).await;
            }
        }
        Ok(())
    }

    /// Notes that a command has to go to the host that holds an attempt; reports the attempt as lost where that host is.
    pub(crate) fn expect_there(
        &self,
        key: AttemptKey,
        host: Arc<str>,
        away: &mut Vec<(AttemptKey, Arc<str>)>,
    ) {
        if self.hosts.is_lost(&host) {
            let message = format!("its host {host} has not been heard of for too long");
            self.report(key, AttemptPhase::Failed(lost(message)));
        } else {
            away.push((key, host));
        }
    }

    /// Whether all of these attempts are known here, and so are this host's whatever their claims say: they are reported then.
    pub(crate) async fn are_here(&self, keys: &[AttemptKey]) -> bool {
        for key in keys {
            if !self.runtime.probe(*key).await {
                return false;
            }
        }
        true
    }

    pub(crate) fn report(&self, key: AttemptKey, phase: AttemptPhase) {
        let report = AttemptReport {
            step: StepIndex(key.step),
            attempt: key.attempt,
            phase,
            created_at: None,
            started_at: None,
            ended_at: None,
        };
        // Nobody listens any more only when the launcher is ending; the next one is asked again.
        let _ = self.reports.send(Report { run: key.run, report, keep: None });
    }

    async fn probe_here(&self, key: AttemptKey) {
        if !self.runtime.probe(key).await {
            let message =
                "no launcher knows the attempt any more: its host or its supervisor is gone";
            self.report(key, AttemptPhase::Failed(lost(message.to_owned())));
        }
    }
}

fn lost(message: String) -> Failure {
    Failure { reason: FailureReason::Lost, message, exit_code: None, signal: None }
}
