//! `windlass approve`: somebody's word on a step that waits for it.

use std::env;

use windlass_client::v1::DecideApprovalRequest;

use super::target;
use crate::{
    args::{ApproveArgs, OutputFormat},
    document::RunResult,
    exit::Exit,
    failure::{Failure, InputError},
    output,
    render::{Theme, words},
};

/// Where systems say who their user is.
const USER_VARIABLES: [&str; 2] = ["USER", "LOGNAME"];

pub(super) async fn approve(args: ApproveArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let by = args.by.or_else(user).ok_or_else(|| {
        InputError::new(
            "who decides is not known, since neither USER nor LOGNAME is set; give --by NAME",
        )
    })?;
    let (client, run_id) = target::connect_to_run(&args.target, format).await?;
    let request = DecideApprovalRequest {
        run_id,
        step: args.step.clone(),
        approved: !args.reject,
        by: by.clone(),
        comment: args.comment,
    };
    let run = client.decide(request).await?;
    match format {
        OutputFormat::Json => output::write_json(&RunResult { run: (&run).into() })?,
        OutputFormat::Text => {
            let theme = Theme::stdout();
            let word = if args.reject { theme.bad("rejected") } else { theme.good("approved") };
            let state = theme.run_state(run.state(), &words::run_state(run.state()));
            let (step, by) = (words::harmless(&args.step), words::harmless(&by));
            output::write(&format!("{step} is {word} by {by}; {} is {state} now\n", run.run_id))?;
        }
    }
    Ok(Exit::Success)
}

fn user() -> Option<String> {
    let named = USER_VARIABLES.iter().filter_map(|variable| env::var(variable).ok());
    named.map(|name| name.trim().to_owned()).find(|name| !name.is_empty())
}
