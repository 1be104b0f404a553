//! Named limits: what is set of them, and who holds them.

use std::{collections::BTreeMap, num::NonZeroU32};

use windlass_engine::limits::{
    LimitConfig, PERIOD_MS_MAX, PERIOD_MS_MIN, Rate, SIZE_MAX, STARTS_MAX,
};
use windlass_pipeline::{duration, name};
use windlass_proto::{convert, v1};
use windlass_service::{
    error::{ApiError, ErrorReason},
    grants,
};
use windlass_store::{GRANTS_AT_ONCE, Holder, LimitRequest, LimitView, StoreError};

use crate::{Submitter, submit};

/// How many holders of a limit are told.
const HOLDERS: usize = 100;

impl Submitter {
    pub(crate) async fn define_limit(
        &self,
        request: v1::SetLimitRequest,
    ) -> Result<v1::Limit, ApiError> {
        let v1::SetLimitRequest { namespace, name, size, rate } = request;
        let (namespace, name) = (submit::namespace(namespace)?, limit_name(name)?);
        let config = config(size, rate)?;
        self.configure(&namespace, &name, Some(config)).await
    }

    pub(crate) async fn forget_limit(
        &self,
        request: v1::UnsetLimitRequest,
    ) -> Result<v1::Limit, ApiError> {
        let v1::UnsetLimitRequest { namespace, name } = request;
        let (namespace, name) = (submit::namespace(namespace)?, limit_name(name)?);
        self.configure(&namespace, &name, None).await
    }

    pub(crate) async fn limits(
        &self,
        request: v1::ListLimitsRequest,
    ) -> Result<Vec<v1::Limit>, ApiError> {
        let namespace = submit::namespace(request.namespace)?;
        let limits = self.store.read_limits(&namespace).await?;
        Ok(limits.iter().map(limit).collect())
    }

    pub(crate) async fn limit(
        &self,
        request: v1::GetLimitRequest,
    ) -> Result<v1::GetLimitResponse, ApiError> {
        let v1::GetLimitRequest { namespace, name } = request;
        let (namespace, name) = (submit::namespace(namespace)?, limit_name(name)?);
        let view = self.limit_view(&namespace, &name).await?;
        let holders = self.holders(&namespace, &name, HOLDERS).await?;
        Ok(v1::GetLimitResponse { limit: Some(limit(&view)), holders })
    }

    /// Who holds a limit, the longest first: `most` at most.
    pub(crate) async fn holders(
        &self,
        namespace: &str,
        name: &str,
        most: usize,
    ) -> Result<Vec<v1::LimitHolder>, ApiError> {
        let mut told = Vec::new();
        for holder in self.store.read_holders(namespace, name, most).await? {
            told.push(self.holder(holder).await?);
        }
        Ok(told)
    }

    async fn holder(&self, holder: Holder) -> Result<v1::LimitHolder, ApiError> {
        let Holder { run, step, attempt } = holder;
        let names = match self.names.of(&*self.store, run, Some(step)).await {
            Ok(names) => Some(names),
            // It was removed behind the store's back, or a moment ago.
            Err(error)
                if matches!(error.reason, ErrorReason::RunNotFound | ErrorReason::Damaged) =>
            {
                None
            }
            Err(error) => return Err(error),
        };
        let path = names.filter(|it| it.contains(step)).map(|it| it.path(step)).unwrap_or_default();
        let record = match self.store.read_steps(run, &[step]).await {
            Ok(read) => read.and_then(|(_, records)| records.first().copied()),
            Err(StoreError::Damaged(_)) => None,
            Err(error) => return Err(error.into()),
        };
        // One that is still blocked has not heard of its grant: it tells since when it has waited.
        let record = record.filter(|it| it.attempt == attempt && it.state.is_in_flight());
        let since = record.and_then(|it| convert::timestamp(it.queued_at));
        Ok(v1::LimitHolder { run_id: run.to_string(), step: path, attempt, since })
    }

    /// A limit of a namespace; as it would be, where there is nothing about it.
    pub(crate) async fn limit_view(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<LimitView, ApiError> {
        let limits = self.store.read_limits(namespace).await?;
        let known = limits.into_iter().find(|it| &*it.name == name);
        Ok(known.unwrap_or_else(|| LimitView::unset(name.into())))
    }

    async fn configure(
        &self,
        namespace: &str,
        name: &str,
        config: Option<LimitConfig>,
    ) -> Result<v1::Limit, ApiError> {
        let mut answer = self.store.set_limit(namespace, name, config).await?;
        loop {
            self.tell_schedulers(grants::events(&answer.granted, self.config.partitions)).await;
            if answer.granted.len() < GRANTS_AT_ONCE {
                break;
            }
            answer = self.store.take_limits(namespace, &LimitRequest::default()).await?;
        }
        if answer.next_at.is_some() {
            self.tell_those_in_line(namespace).await?;
        }
        Ok(limit(&self.limit_view(namespace, name).await?))
    }

    /// Tells a run of each partition that time lets steps start: its scheduler sees to it.
    async fn tell_those_in_line(&self, namespace: &str) -> Result<(), ApiError> {
        let partitions = self.config.partitions;
        let runs = self.store.limited_runs(namespace).await?.into_iter();
        let by_partition: BTreeMap<_, _> =
            runs.map(|run| (run.partition(partitions), run)).collect();
        for run in by_partition.into_values() {
            self.ring(run, v1::event::Event::LimitSet(v1::LimitSet {})).await;
        }
        Ok(())
    }
}

/// Checks what a limit would be set to, as `SetLimit` does.
///
/// # Errors
///
/// The refusal that `SetLimit` would answer.
pub fn check_limit(
    name: &str,
    size: Option<u32>,
    rate: Option<v1::LimitRate>,
) -> Result<(), ApiError> {
    limit_name(name.to_owned())?;
    config(size, rate).map(drop)
}

fn limit_name(name: String) -> Result<String, ApiError> {
    match name::wrong_limit_name(&name) {
        None => Ok(name),
        Some(wrong) => Err(ApiError::invalid("name", wrong)),
    }
}

fn config(size: Option<u32>, rate: Option<v1::LimitRate>) -> Result<LimitConfig, ApiError> {
    if size.is_none() && rate.is_none() {
        let why = "is missing, and so is a rate: say how many may hold the limit at once, how many may start in a period, or both; \
                   UnsetLimit forgets what was set";
        return Err(ApiError::invalid("size", why));
    }
    let size = size.map(holders_at_once).transpose()?;
    let rate = rate.map(starts_in_period).transpose()?;
    Ok(LimitConfig { size, rate })
}

fn holders_at_once(size: u32) -> Result<NonZeroU32, ApiError> {
    let Some(size) = NonZeroU32::new(size) else {
        let why = "must be at least 1: nothing that names a limit of size 0 would ever start; to hold runs back, pause them";
        return Err(ApiError::invalid("size", why));
    };
    if size.get() > SIZE_MAX {
        let why = format!(
            "is {size}, and {SIZE_MAX} are the most; to hold nothing back, take the limit out of the pipelines"
        );
        return Err(ApiError::invalid("size", why));
    }
    Ok(size)
}

fn starts_in_period(rate: v1::LimitRate) -> Result<Rate, ApiError> {
    let Some(starts) = NonZeroU32::new(rate.starts) else {
        let why = "must be at least 1: nothing that names the limit would ever start; to hold runs back, pause them";
        return Err(ApiError::invalid("rate.starts", why));
    };
    if starts.get() > STARTS_MAX {
        let why = format!(
            "is {starts}, and {STARTS_MAX} are the most; say how many may start in a shorter period"
        );
        return Err(ApiError::invalid("rate.starts", why));
    }
    let period_ms = rate.period.as_ref().and_then(duration::to_ms).unwrap_or(0);
    if !(PERIOD_MS_MIN..=PERIOD_MS_MAX).contains(&period_ms) {
        let why = "must be from a millisecond to a day, in which so many may start";
        return Err(ApiError::invalid("rate.period", why));
    }
    Ok(Rate { starts, period_ms })
}

/// A limit as clients see it.
fn limit(view: &LimitView) -> v1::Limit {
    let LimitView { name, config, held, waiting } = view;
    let LimitConfig { size, rate } = config.unwrap_or_default();
    v1::Limit {
        name: name.to_string(),
        is_set: config.is_some(),
        size: size.map(NonZeroU32::get),
        rate: rate.map(|Rate { starts, period_ms }| v1::LimitRate {
            starts: starts.get(),
            period: std::time::Duration::from_millis(period_ms).try_into().ok(),
        }),
        held: *held,
        waiting: *waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(starts: u32, ms: u64) -> v1::LimitRate {
        let period = std::time::Duration::from_millis(ms).try_into().ok();
        v1::LimitRate { starts, period }
    }

    #[test]
    fn what_a_limit_may_be_set_to_is_kept_and_told_as_it_was_said() {
        let day = 24 * 60 * 60 * 1000;
        for (size, rate) in [
            (Some(1), None),
            (Some(SIZE_MAX), Some(rate(STARTS_MAX, day))),
            (None, Some(rate(1, 1))),
        ] {
            let config = config(size, rate).unwrap();
            let view = LimitView { name: "gpu".into(), config: Some(config), held: 1, waiting: 2 };
            let told = limit(&view);
            assert_eq!((told.size, told.rate, told.is_set), (size, rate, true));
        }
        let unset = LimitView::unset("gpu".into());
        let told = limit(&unset);
        assert_eq!((told.size, told.rate, told.is_set), (Some(1), None, false));
    }

    #[test]
    fn what_would_hold_steps_for_ever_or_means_nothing_is_refused_with_what_to_do() {
        let negative = v1::LimitRate {
            starts: 1,
            period: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
        };
        let endless = v1::LimitRate { starts: 1, period: None };
        let refused = [
            config(None, None),
            config(Some(0), None),
            config(Some(SIZE_MAX + 1), None),
            config(None, Some(rate(0, 1000))),
            config(None, Some(rate(STARTS_MAX + 1, 1000))),
            config(Some(1), Some(rate(1, 0))),
            config(Some(1), Some(rate(1, PERIOD_MS_MAX + 1))),
            config(None, Some(negative)),
            config(None, Some(endless)),
        ]
        .map(Result::unwrap_err);
        let names = ["", "GPU", "1gpu", "g pu", &"g".repeat(64)]
            .map(|name| limit_name(name.to_owned()).unwrap_err());
        let told: Vec<_> = refused
            .iter()
            .chain(&names)
            .map(|error| {
                assert_eq!(error.reason, ErrorReason::InvalidRequest);
                let violation = &error.violations[0];
                format!("{}: {}", violation.field, violation.description)
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"));
        assert_eq!(limit_name("gpu-2_a".to_owned()).unwrap(), "gpu-2_a");
    }
}
