//! Programs that a kubeconfig names for credentials: `exec` of a user. They are run here, and not by the client's library, since
//! they may hang, print without end, and fail after they have printed what nobody else may read.
//!
//! **Invariant:** what a program writes to its standard output is in no error and no log.

use std::{
    collections::HashMap,
    fmt,
    io::IsTerminal as _,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use http::HeaderValue;
use jiff::Timestamp;
use kube::config::{AuthInfo, ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, getpgid},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    time::timeout,
};

/// The most that a program may print, in bytes. Credentials with certificates have a few thousand.
const MOST_PRINTED: u64 = 1 << 20;

/// The most characters of a program's last words that are told.
const MOST_TOLD: usize = 300;

/// The variable in which a program finds what is asked of it.
const INFO: &str = "KUBERNETES_EXEC_INFO";

/// Why a program for credentials gave none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// It cannot be started.
    #[error(
        "`{program}` cannot be started: {reason}; install it, or correct its path in the kubeconfig"
    )]
    Start {
        /// The program.
        program: String,
        /// What the system says.
        reason: String,
    },
    /// It does not end.
    #[error("`{program}` has not ended within {} s; run it by hand to see what it waits for", .limit.as_secs())]
    Slow {
        /// The program.
        program: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It has failed.
    #[error("`{program}` has failed ({status}){}; run it by hand", .said.as_ref().map(|it| format!(": {it}")).unwrap_or_default())]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The last line that it wrote to its standard error, where that is not the terminal.
        said: Option<String>,
    },
    /// It has printed something else than credentials.
    #[error(
        "`{program}` has not printed an ExecCredential with a token or a certificate, of at most {MOST_PRINTED} bytes; run it by hand"
    )]
    Printed {
        /// The program.
        program: String,
    },
}

/// What a program has given. Words for it have no secrets.
#[derive(Clone)]
pub(crate) struct Credentials {
    /// What requests carry.
    pub(crate) authorization: Option<HeaderValue>,
    /// A certificate and its key, as PEM.
    pub(crate) certificate: Option<(String, String)>,
    /// When they are of no use any more, where that was said.
    pub(crate) expire_at: Option<Timestamp>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("expire_at", &self.expire_at).finish_non_exhaustive()
    }
}

/// A program for credentials.
#[derive(Debug, Clone)]
pub(crate) struct Plugin {
    program: String,
    config: ExecConfig,
}

impl Plugin {
    /// Takes the program out of what is known of a user; none where nobody asks for it.
    pub(crate) fn take(user: &mut AuthInfo) -> Option<Self> {
        let has_other = user.auth_provider.is_some()
            || user.token.is_some()
            || user.token_file.is_some()
            || (user.username.is_some() && user.password.is_some());
        if has_other {
            return None;
        }
        let program = user.exec.as_ref()?.command.clone()?;
        Some(Self { program, config: user.exec.take()? })
    }

    /// Runs it. It is killed where it has not ended within the limit, and when this is dropped.
    pub(crate) async fn run(&self, limit: Duration) -> Result<Credentials, PluginError> {
        match timeout(limit, self.output()).await {
            Ok(output) => self.read(&output?),
            Err(_) => Err(PluginError::Slow { program: self.program.clone(), limit }),
        }
    }

    async fn output(&self) -> Result<Vec<u8>, PluginError> {
        let program = || self.program.clone();
        let start = |error: std::io::Error| PluginError::Start {
            program: program(),
            reason: error.to_string(),
        };
        let mut child = self.command().spawn().map_err(start)?;
        let group = Group::of(&child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let too_much = || PluginError::Printed { program: program() };
        // Who prints without end is not waited for.
        let (printed, said) =
            tokio::try_join!(async { first(stdout).await.ok_or_else(too_much) }, async {
                Ok(last_line(stderr).await)
            })?;
        let status = child.wait().await.map_err(start)?;
        group.disarm();
        if status.success() {
            Ok(printed)
        } else {
            Err(PluginError::Failed { program: program(), status, said })
        }
    }

    fn command(&self) -> Command {
        let may_ask = self.config.interactive_mode != Some(ExecInteractiveMode::Never)
            && std::io::stdin().is_terminal();
        let mut command = Command::new(&self.program);
        command
            .args(self.config.args.iter().flatten())
            .stdin(if may_ask { Stdio::inherit() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(if may_ask { Stdio::inherit() } else { Stdio::piped() })
            .kill_on_drop(true);
        if !may_ask {
            // So that what it has started can be killed with it. A terminal is for one group.
            command.process_group(0);
        }
        let named = |entry: &HashMap<String, String>| {
            Some((entry.get("name")?.clone(), entry.get("value")?.clone()))
        };
        command.envs(self.config.env.iter().flatten().filter_map(named));
        let cluster = self.config.cluster.as_ref().filter(|_| self.config.provide_cluster_info);
        let asked = Asked {
            api_version: self.config.api_version.as_deref(),
            kind: "ExecCredential",
            spec: AskedSpec { interactive: may_ask, cluster },
        };
        if let Ok(asked) = serde_json::to_string(&asked) {
            command.env(INFO, asked);
        }
        command
    }

    fn read(&self, printed: &[u8]) -> Result<Credentials, PluginError> {
        let credentials = serde_saphyr::from_slice::<Printed>(printed).ok();
        let credentials = credentials.and_then(|it| it.status?.credentials());
        credentials.ok_or_else(|| PluginError::Printed { program: self.program.clone() })
    }
}

/// The processes of a program, which are killed with it.
struct Group {
    leader: Option<Pid>,
}

impl Group {
    /// That of a child, where it has one of its own.
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Self { leader: leader.filter(|leader| getpgid(Some(*leader)) == Ok(*leader)) }
    }

    /// The program has ended: its number may be another one's soon.
    fn disarm(mut self) {
        self.leader = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // They may all be gone.
            let _ = killpg(leader, Signal::SIGKILL);
        }
    }
}

/// All that is printed; none where it is too much.
async fn first(stdout: Option<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut printed = Vec::new();
    // What cannot be read is no credential.
    let read = stdout?.take(MOST_PRINTED + 1).read_to_end(&mut printed).await;
    (read.is_ok() && printed.len() as u64 <= MOST_PRINTED).then_some(printed)
}

/// The last line that is written. Of what came long before, nothing is kept.
async fn last_line(stderr: Option<impl AsyncRead + Unpin>) -> Option<String> {
    let mut stderr = stderr?;
    let (mut end, mut part) = (Vec::new(), vec![0; 4096]);
    while let Ok(read @ 1..) = stderr.read(&mut part).await {
        end.extend_from_slice(&part[..read]);
        end.drain(..end.len().saturating_sub(part.len()));
    }
    last_words(&end)
}

/// The last line of a text which is not empty, or its beginning.
pub(crate) fn last_words(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(line.chars().filter(|it| !it.is_control()).take(MOST_TOLD).collect())
}

/// What a program is asked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    api_version: Option<&'a str>,
    kind: &'static str,
    spec: AskedSpec<'a>,
}

#[derive(Serialize)]
struct AskedSpec<'a> {
    interactive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a ExecAuthCluster>,
}

/// What a program prints.
#[derive(Deserialize)]
struct Printed {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    expiration_timestamp: Option<Timestamp>,
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
}

impl Status {
    fn credentials(self) -> Option<Credentials> {
        let authorization = match self.token.filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let certificate = self.client_certificate_data.zip(self.client_key_data);
        (authorization.is_some() || certificate.is_some()).then_some(Credentials {
            authorization,
            certificate,
            expire_at: self.expiration_timestamp,
        })
    }
}
