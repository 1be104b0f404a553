//! Creates an attempt; or, what takes the same claim, sees to it that it never is.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    io,
    process::{Child, Command, Stdio},
    thread,
};

use windlass_engine::{reason::FailureReason, record::CacheSource};
use windlass_proto::{convert, v1};
use windlass_service::descriptors;

use super::{Supervisor, judge, layout::Layout, waiting::Waiting};
use crate::{
    clock,
    log_file::{Block, LogStream, LogWriter},
    runtime::{AttemptKey, AttemptSpec, CachedResult, KeepResult},
    supervisor::{
        ROOM_INTERVAL,
        attempt_dir::{AttemptDir, DirError},
        outcome::{End, Outcome},
        shortage::wait_out,
        spec::Spec,
    },
};

/// What came of the wish to create an attempt.
#[derive(Debug)]
pub(super) enum Creation {
    /// It exists from now on.
    Created { supervisor: Child, created_ms: u64 },
    /// It existed before.
    Existed,
    /// It is over: it could not be created, or a result was taken instead.
    Over(Outcome),
}

/// Creates the attempt, unless it exists.
pub(super) fn create(
    layout: &Layout,
    supervisor: &Supervisor,
    log_limit: u64,
    attempt: AttemptSpec,
) -> Creation {
    let key = attempt.key;
    let dir = layout.attempt(key);
    let lock = match with_room(&dir, key, || claim(layout, key)) {
        Ok(Some(lock)) => lock,
        Ok(None) => return Creation::Existed,
        Err(error) => return Creation::Over(launch_failed(error.to_string())),
    };
    if let Some(cached) = attempt.cached {
        return Creation::Over(take(&dir, key, log_limit, cached));
    }
    if let Some(message) = impossible(&attempt) {
        return Creation::Over(cannot_start(&dir, key, message));
    }
    let spec = spec(layout, log_limit, attempt);
    let created_ms = spec.created_ms;
    let written = with_room(&dir, key, || dir.write_spec(&spec));
    match written.and_then(|()| start(&dir, supervisor, lock)) {
        Ok(supervisor) => Creation::Created { supervisor, created_ms },
        Err(error) => {
            let outcome = launch_failed(error.to_string());
            // The lock went with the failed start; nobody else can have written an outcome but *lost*.
            judge::write(&dir, &outcome);
            Creation::Over(outcome)
        }
    }
}

/// Has a result in place of what was not run; the caller holds the attempt's lock. Its log says where that came from.
fn take(dir: &AttemptDir, key: AttemptKey, log_limit: u64, cached: CachedResult) -> Outcome {
    let now = clock::now();
    let CachedResult { outputs, source: CacheSource { run, step, ended_at } } = cached;
    let at = convert::timestamp(ended_at).unwrap_or_default();
    let line = format!("nothing was run: the result is that of step `{step}` of {run}, of {at}");
    // Where there is no room for the log, there is none.
    if let Ok(mut log) = LogWriter::create(&dir.log_file(), log_limit) {
        log.append(LogStream::System, now, Block { bytes: line.as_bytes(), partial: false });
        log.finish(now);
    }
    let outputs = outputs.as_deref().map(str::to_owned);
    let end = End::Cached { outputs, run, step, step_ended_ms: ended_at.0 };
    let (created_ms, ended_ms) = (Some(now.0), Some(now.0));
    let outcome = Outcome { created_ms, started_ms: None, ended_ms, end };
    match with_room(dir, key, || dir.write_outcome(&outcome)) {
        Ok(()) => outcome,
        Err(error) => launch_failed(error.to_string()),
    }
}

/// What to do with a step that has to be a pod.
const IN_A_POD: &str = "run it in a pod, for which the four programs and a launcher for Kubernetes are needed \
                        (docs/distributed.md), and which `windlass run` and `windlass dev` do not make";

/// Why no process can be what an attempt asks for, and what to do; none where one can.
fn impossible(attempt: &AttemptSpec) -> Option<String> {
    if let Some((variable, secret)) = attempt.secrets.first_key_value() {
        let v1::SecretKey { name, key, .. } = secret;
        return Some(format!(
            "the variable `{variable}` is `{key}` of the secret `{name}`, and processes have no secrets; {IN_A_POD}, or give the \
             variable a value"
        ));
    }
    let needs_image = attempt.command.is_empty() && attempt.image.is_some();
    needs_image.then(|| {
        format!(
            "the step runs its image's own program, and processes have no images; {IN_A_POD}, or give it a `command`"
        )
    })
}

/// Has an attempt be over that cannot start; the caller holds its lock.
fn cannot_start(dir: &AttemptDir, key: AttemptKey, message: String) -> Outcome {
    let end = End::failed(FailureReason::CannotStart, message);
    let now = Some(clock::now().0);
    let outcome = Outcome { created_ms: None, started_ms: None, ended_ms: now, end };
    match with_room(dir, key, || dir.write_outcome(&outcome)) {
        Ok(()) => outcome,
        Err(error) => launch_failed(error.to_string()),
    }
}

/// Does what needs room on the disk, and waits for it as long as there is none: nothing has begun yet that could be late,
/// and trying on costs the step none of its retries.
fn with_room<T>(
    dir: &AttemptDir,
    key: AttemptKey,
    mut act: impl FnMut() -> Result<T, DirError>,
) -> Result<T, DirError> {
    let mut waiting = Waiting::new(key);
    loop {
        match act() {
            Err(error) if error.is_want_of_room() && !dir.is_stop_ordered() => {
                waiting.waits(&error.to_string());
                thread::park_timeout(ROOM_INTERVAL);
            }
            done => {
                waiting.is_over();
                return done;
            }
        }
    }
}

/// Sees to it that the attempt is never created; false where it exists.
pub(super) fn preclude(layout: &Layout, key: AttemptKey) -> Result<bool, DirError> {
    let Some(_lock) = claim(layout, key)? else {
        return Ok(false);
    };
    let outcome =
        Outcome { created_ms: None, started_ms: None, ended_ms: None, end: End::NotCreated };
    layout.attempt(key).write_outcome(&outcome)?;
    Ok(true)
}

/// The lock of an attempt that did not exist before, and which is the caller's to create; none where it exists.
fn claim(layout: &Layout, key: AttemptKey) -> Result<Option<File>, DirError> {
    let dir = layout.attempt(key);
    layout.make_parents(key).map_err(|source| dir.error("make what holds", source))?;
    if !dir.create()? {
        return Ok(None);
    }
    // Where there is no room for the lock, the claim is given back; whoever has come between keeps what it has made.
    let lock = dir.try_lock().inspect_err(|_| dir.remove_empty())?;
    // Whoever has come between has found a directory without a supervisor, and has written that the attempt is lost.
    Ok(lock.filter(|_| dir.read_outcome().is_none()))
}

/// Starts the supervisor with the lock as its standard input.
fn start(dir: &AttemptDir, supervisor: &Supervisor, lock: File) -> Result<Child, DirError> {
    let mut command = Command::new(&supervisor.program);
    // Settings of this program, passwords among them, are nothing for what runs in steps.
    for (name, _) in env::vars_os().filter(|(name, _)| is_setting(name)) {
        command.env_remove(name);
    }
    command
        .args(&supervisor.args)
        .arg(dir.path())
        .stdin(Stdio::from(lock))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    // The lock stays with the command, however often that is tried.
    wait_out(|| command.spawn()).map_err(|error| {
        let program = supervisor.program.display();
        let source = io::Error::new(error.kind(), format!("the supervisor {program}: {error}"));
        dir.error("start the supervisor of", source)
    })
}

/// Whether a variable is a setting of a program: `WINDLASS_STORE__PASSWORD`, say.
fn is_setting(variable: &OsStr) -> bool {
    let name = variable.as_encoded_bytes();
    name.starts_with(b"WINDLASS_") && name.windows(2).any(|pair| pair == b"__")
}

fn spec(layout: &Layout, log_limit: u64, attempt: AttemptSpec) -> Spec {
    let step = attempt.step.clone();
    let keep = attempt.cache.map(|cache| KeepResult { key: cache.key.0, step });
    Spec {
        created_ms: clock::now().0,
        run: attempt.key.run.to_string(),
        step: attempt.step,
        attempt: attempt.key.attempt,
        command: attempt.command,
        env: attempt.env,
        working_dir: attempt.working_dir,
        run_dir: layout.run_dir(attempt.key.run),
        grace_ms: u64::try_from(attempt.termination_grace.as_millis()).unwrap_or(u64::MAX),
        memory_bytes: attempt.memory_bytes,
        outputs: attempt.outputs,
        log_limit,
        open_files: descriptors::given_limit(),
        keep,
    }
}

/// The outcome of an attempt that could not be created, now.
pub(super) fn launch_failed(message: String) -> Outcome {
    Outcome {
        created_ms: None,
        started_ms: None,
        ended_ms: Some(clock::now().0),
        end: End::failed(FailureReason::LaunchFailed, message),
    }
}
