//! `windlass logs`.

use std::io::{self, IsTerminal as _};

use windlass_client::{
    Client, LogEvent,
    v1::{DownloadLogsRequest, LogLine, StreamLogsRequest},
};

use super::{end_signals, target};
use crate::{
    args::{LogsArgs, OutputFormat},
    document::EventDocument,
    exit::Exit,
    failure::Failure,
    output,
    render::{Theme, lines, time},
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
        stream(&client, request, format).await
    };
    tokio::select! {
        read = reading => read.map(|()| Exit::Success),
        () = signals.next() => Ok(Exit::Left),
    }
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
