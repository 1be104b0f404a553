//! A program whose service does as the variable `UNDER_TEST` says.

use std::{
    io::{self, Read as _},
    process::ExitCode,
    sync::mpsc,
};

use tracing::info;
use windlass_service::{
    connect::connect,
    program::{self, Context, ServiceError},
    settings::Program,
};

fn main() -> ExitCode {
    program::run(Program::Submitter, "1.2.3", service)
}

/// Something that went wrong, with what is behind it.
#[derive(Debug, thiserror::Error)]
#[error("the bus cannot be reached")]
struct Unreachable(#[source] io::Error);

async fn service(context: Context) -> Result<(), ServiceError> {
    let behaviour = std::env::var("UNDER_TEST").unwrap_or_default();
    if behaviour == "connect" {
        let Some(_connected) = connect(Program::Submitter, &context).await? else { return Ok(()) };
        info!("connected to both");
        context.shutdown.cancelled().await;
        return Ok(());
    }
    context.readiness.begin(Vec::new());
    info!("begun");
    match behaviour.as_str() {
        "end with the input" => {
            let input = || io::stdin().read_to_end(&mut Vec::new());
            let _ = tokio::task::spawn_blocking(input).await;
        }
        "end as asked" => {
            context.shutdown.cancelled().await;
            info!("told to end");
        }
        "hang" => std::future::pending().await,
        "fail" => return Err(Unreachable(io::ErrorKind::ConnectionRefused.into()).into()),
        "panic" => panic!("a defect"),
        "panic in a task" => {
            tokio::spawn(async { panic!("a defect") });
            context.shutdown.cancelled().await;
        }
        "block a thread" => {
            let (never_sends, receiver) = mpsc::channel::<()>();
            tokio::task::spawn_blocking(move || {
                let _ = receiver.recv();
                drop(receiver);
            });
            std::mem::forget(never_sends);
            return Err("left a thread behind".into());
        }
        _ => {}
    }
    Ok(())
}
