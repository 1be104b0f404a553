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
    let (client, run_id) = target::connect_to_run(&args.target, format).await?;
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
    let mut writer = Writer::new(format, &request);
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

struct Writer {
    manner: Manner,
    /// The attempt of the last line, and before the first one the attempt that needs no word.
    attempt: u32,
}

enum Manner {
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
    fn new(format: OutputFormat, request: &StreamLogsRequest) -> Self {
        let manner = match format {
            OutputFormat::Json => Manner::Json,
            OutputFormat::Text if request.step.is_empty() => Manner::Named(Theme::stdout()),
            OutputFormat::Text if io::stdout().is_terminal() => Manner::Harmless,
            OutputFormat::Text => Manner::Raw,
        };
        Self { manner, attempt: request.attempt.max(1) }
    }

    fn write(&mut self, lines: &[LogLine]) -> io::Result<()> {
        if matches!(self.manner, Manner::Json | Manner::Named(_)) {
            return output::write_bytes(&self.bytes(lines)?);
        }
        for lines in lines.chunk_by(|one, next| one.attempt == next.attempt) {
            // The lines themselves do not tell, and are left as they were written.
            if std::mem::replace(&mut self.attempt, lines[0].attempt) != lines[0].attempt {
                output::note(&format!("attempt {}:", lines[0].attempt));
            }
            output::write_bytes(&self.bytes(lines)?)?;
        }
        Ok(())
    }

    fn bytes(&self, lines: &[LogLine]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        for line in lines {
            match &self.manner {
                Manner::Json => {
                    serde_json::to_writer(&mut bytes, &EventDocument::Log { line: line.into() })?;
                    bytes.push(b'\n');
                }
                Manner::Named(theme) => {
                    bytes.extend_from_slice(lines::log_line(line, 0, theme).as_bytes());
                    bytes.push(b'\n');
                }
                Manner::Harmless => {
                    bytes.extend_from_slice(lines::log_text(line).as_bytes());
                    bytes.extend_from_slice(line_end(line));
                }
                Manner::Raw => {
                    bytes.extend_from_slice(&line.content);
                    bytes.extend_from_slice(line_end(line));
                }
            }
        }
        Ok(bytes)
    }
}

/// A line that goes on in the next record does not end here.
fn line_end(line: &LogLine) -> &'static [u8] {
    if line.partial { b"" } else { b"\n" }
}
