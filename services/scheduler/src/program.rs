//! The program `windlass-scheduler`.

use std::process::ExitCode;

use uuid::Uuid;
use windlass_service::{
    connect::{self, Connected},
    program::{self, Context, ServiceError},
    settings::{Program, Settings},
};

use crate::{Ownership, Retention, SchedulerConfig};

/// The whole life of the program.
pub fn main() -> ExitCode {
    program::run(Program::Scheduler, env!("CARGO_PKG_VERSION"), serve)
}

async fn serve(context: Context) -> Result<(), ServiceError> {
    let Some(Connected { bus, store }) = connect::connect(Program::Scheduler, &context).await?
    else {
        return Ok(());
    };
    crate::run(config(&context.settings), bus, store, context.shutdown).await;
    Ok(())
}

fn config(settings: &Settings) -> SchedulerConfig {
    let it = settings.scheduler.clone();
    let retention = &settings.store.retention;
    SchedulerConfig {
        partitions: settings.installation.partitions,
        // A process that is started again is another member: what the one before it held expires, or was given up.
        ownership: Ownership::Leased {
            member: format!("scheduler-{}", Uuid::new_v4().simple()),
            lease_time: it.lease_time,
        },
        launch_window: it.launch_window,
        command_size: it.command_size,
        batch: it.batch,
        sweep: it.sweep,
        retention: Some(Retention {
            finished_for: retention.finished_for,
            finished_runs: retention.finished_runs,
        }),
    }
}
