//! `windlass logs`.

use std::io::{self, IsTerminal as _};

use windlass_client::{
    Client, LogEvent,
    v1::{DownloadLogsRequest, ListAttemptsRequest, ListStepsRequest, LogLine, StreamLogsRequest},
};

use super::{end_signals, target};
use crate::{
    args::{LogsArgs, OutputFormat},
    document::EventDocument,
    exit::Exit,
    failure::{Failure, InputError},
    output,
    render::{Theme, lines, time, words},
};

pub(super) async fn logs(args: LogsArgs, format: OutputFormat) -> Result<Exit, Failure> {
    let (client, run_id) = target::connect_to_run(&args.target).await?;
    let mut signals = end_signals()?;
    let reading = async {
        if args.download {
            let request = DownloadLogsRequest { run_id, step: args.step.unwrap_or_default() };
            return download(&client, request).await;
        }
        let request = StreamLogsRequest {
            run_id,
            step: args.step.unwrap_or_default(),
            attempt: args.attempt.unwrap_or(0),
            follow: args.follow,
            since: args.since.map(time::moment),
            tail: args.tail,
        };
        check_attempt(&client, &request).await?;
        stream(&client, request, format).await
    };
    tokio::select! {
        read = reading => read.map(|()| Exit::Success),
        () = signals.next() => Ok(Exit::Left),
    }
}

/// Says what an empty answer would not: that there is no such attempt, or why the step has none.
async fn check_attempt(client: &Client, request: &StreamLogsRequest) -> Result<(), Failure> {
    // What is followed may be still to come.
    if request.step.is_empty() || request.follow {
        return Ok(());
    }
    let (run_id, step) = (request.run_id.clone(), request.step.clone());
    let attempts = ListAttemptsRequest { run_id, step, ..ListAttemptsRequest::default() };
    let attempts = client.list_attempts(attempts).all().await?;
    let name = words::harmless(&request.step);
    let there_is = match attempts.len() {
        0 => format!("step `{name}` has no attempts: {}", why_none(client, request).await?),
        1 => format!("step `{name}` has 1 attempt; leave --attempt out"),
        count => format!("step `{name}` has {count} attempts; name one of them"),
    };
    if request.attempt > 0 && attempts.iter().all(|attempt| attempt.number != request.attempt) {
        return Err(InputError::new(format!("no attempt {}: {there_is}", request.attempt)).into());
    }
    if attempts.is_empty() {
        output::note(&there_is);
    }
    Ok(())
}

/// Why a step never ran.
async fn why_none(client: &Client, request: &StreamLogsRequest) -> Result<String, Failure> {
    let mut steps = client
        .list_steps(ListStepsRequest { run_id: request.run_id.clone(), ..Default::default() });
    while let Some(page) = steps.next().await? {
        if let Some(step) = page.iter().find(|step| step.name == request.step) {
            let why = words::why(&step.message, step.reason());
            let state = words::step_state(step.state());
            return Ok(words::harmless(if why.is_empty() { &state } else { &why }));
        }
    }
    Ok("it has not run".to_owned())
}

async fn download(client: &Client, request: DownloadLogsRequest) -> Result<(), Failure> {
    let mut download = client.download_logs(request).await?;
    while let Some(bytes) = download.next().await? {
        output::write_bytes(&bytes).map_err(Failure::Output)?;
    }
    Ok(())
}

async fn stream(
    client: &Client,
    request: StreamLogsRequest,
    format: OutputFormat,
) -> Result<(), Failure> {
    let mut writer = Writer::new(format, !request.step.is_empty());
    let mut logs = client.logs(request);
    let mut interrupted = false;
    while let Some(event) = logs.next().await? {
        match event {
            LogEvent::Lines(lines) => {
                interrupted = false;
                writer.write(&lines).map_err(Failure::Output)?;
            }
            LogEvent::Interrupted { error, .. } => {
                if !std::mem::replace(&mut interrupted, true) {
                    output::note(&format!("{error}; trying again until it answers"));
                }
            }
        }
    }
    Ok(())
}

enum Writer {
    /// One event per line.
    Json,
    /// Each line with its step's name before it.
    Named(Theme),
    /// One step's lines on a terminal, which must not obey them.
    Harmless,
    /// One step's bytes as they were written.
    Raw,
}

impl Writer {
    fn new(format: OutputFormat, one_step: bool) -> Self {
        match format {
            OutputFormat::Json => Self::Json,
            OutputFormat::Text if !one_step => Self::Named(Theme::stdout()),
            OutputFormat::Text if io::stdout().is_terminal() => Self::Harmless,
            OutputFormat::Text => Self::Raw,
        }
    }

    fn write(&mut self, lines: &[LogLine]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for line in lines {
            match self {
                Self::Json => {
                    serde_json::to_writer(&mut bytes, &EventDocument::Log { line: line.into() })?;
                    bytes.push(b'\n');
                }
                Self::Named(theme) => {
                    bytes.extend_from_slice(lines::log_line(line, 0, theme).as_bytes());
                    bytes.push(b'\n');
                }
                Self::Harmless => {
                    bytes.extend_from_slice(lines::log_text(line).as_bytes());
                    bytes.extend_from_slice(line_end(line));
                }
                Self::Raw => {
                    bytes.extend_from_slice(&line.content);
                    bytes.extend_from_slice(line_end(line));
                }
            }
        }
        output::write_bytes(&bytes)
    }
}

/// A line that goes on in the next record does not end here.
fn line_end(line: &LogLine) -> &'static [u8] {
    if line.partial { b"" } else { b"\n" }
}
