//! `windlass limit`: named limits, which the runs of a namespace share.

use jiff::Timestamp;
use windlass_client::v1::{
    GetLimitRequest, Limit, LimitRate, ListLimitsRequest, SetLimitRequest, UnsetLimitRequest,
};

use super::target;
use crate::{
    args::{LimitCommand, ListLimitsArgs, OneLimitArgs, OutputFormat, RateArg, SetLimitArgs},
    document::{LimitResult, LimitsResult, OneLimitResult},
    exit::Exit,
    failure::Failure,
    output,
    render::{self, Theme},
};

pub(super) async fn limit(command: LimitCommand, format: OutputFormat) -> Result<Exit, Failure> {
    match command {
        LimitCommand::Set(args) => set(args, format).await,
        LimitCommand::Unset(args) => unset(args, format).await,
        LimitCommand::List(args) => list(args, format).await,
        LimitCommand::Show(args) => show(args, format).await,
    }
}

async fn set(args: SetLimitArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let SetLimitArgs { limit: OneLimitArgs { name, namespace, server }, size, rate } = args;
    let client = target::connect(&server, format).await?;
    // A period that no message can tell is refused by the server as one that is missing.
    let rate =
        rate.map(|RateArg { starts, period }| LimitRate { starts, period: period.try_into().ok() });
    let request = SetLimitRequest { namespace: namespace.name, name, size, rate };
    tell(&client.set_limit(request).await?, format)
}

async fn unset(args: OneLimitArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let client = target::connect(&args.server, format).await?;
    let request = UnsetLimitRequest { namespace: args.namespace.name, name: args.name };
    tell(&client.unset_limit(request).await?, format)
}

async fn list(args: ListLimitsArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let client = target::connect(&args.server, format).await?;
    let request = ListLimitsRequest { namespace: args.namespace.name };
    let limits = client.list_limits(request).await?;
    match format {
        OutputFormat::Json => {
            let limits = limits.iter().map(Into::into).collect();
            output::write_json(&LimitsResult { limits })?;
        }
        OutputFormat::Text => output::write(&render::limits(&limits, &Theme::stdout()))?,
    }
    Ok(Exit::Success)
}

async fn show(args: OneLimitArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let client = target::connect(&args.server, format).await?;
    let request = GetLimitRequest { namespace: args.namespace.name, name: args.name };
    let answer = client.get_limit(request).await?;
    let limit = answer.limit.unwrap_or_default();
    match format {
        OutputFormat::Json => {
            let holders = answer.holders.iter().map(Into::into).collect();
            output::write_json(&OneLimitResult { limit: (&limit).into(), holders })?;
        }
        OutputFormat::Text => {
            let theme = Theme::stdout();
            let shown = render::limit(&limit, &answer.holders, Timestamp::now(), &theme);
            output::write(&shown)?;
        }
    }
    Ok(Exit::Success)
}

fn tell(limit: &Limit, format: OutputFormat) -> Result<Exit, Failure> {
    match format {
        OutputFormat::Json => output::write_json(&LimitResult { limit: limit.into() })?,
        OutputFormat::Text => {
            output::write(&format!("{}\n", render::limit_line(limit, &Theme::stdout())))?;
        }
    }
    Ok(Exit::Success)
}
