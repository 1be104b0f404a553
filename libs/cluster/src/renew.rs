//! Requests carry credentials of a program, which are renewed before they expire.

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::future::{self, Either, Ready};
use http::{HeaderValue, Request, header::AUTHORIZATION};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tower::{BoxError, Layer, Service};

use crate::plugin::{Credentials, Plugin, PluginError};

/// How long before they expire credentials are renewed.
const BEFORE: SignedDuration = SignedDuration::from_mins(1);

/// After which a program that has failed is started again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Adds credentials to requests.
#[derive(Debug, Clone)]
pub(crate) struct Renewal {
    /// Where they are from.
    pub(crate) plugin: Plugin,
    /// The first ones.
    pub(crate) credentials: Credentials,
    /// How long the program may take for new ones. Requests wait for it.
    pub(crate) limit: Duration,
}

impl<S> Layer<S> for Renewal {
    type Service = Renewing<S>;

    fn layer(&self, inner: S) -> Renewing<S> {
        let Self { plugin, credentials, limit } = self.clone();
        Renewing { inner, plugin, limit, credentials, running: JoinSet::new(), failed: None }
    }
}

/// A service whose requests carry credentials.
pub(crate) struct Renewing<S> {
    inner: S,
    plugin: Plugin,
    limit: Duration,
    credentials: Credentials,
    /// The program, while it runs. It ends with this.
    running: JoinSet<Result<Credentials, PluginError>>,
    /// Why there are no new credentials, and since when.
    failed: Option<(Instant, PluginError)>,
}

impl<S> Renewing<S> {
    /// Runs the program where that is due, and waits for it where requests have nothing else that is good.
    fn poll_renewal(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let is_due = self.credentials.expire_at.is_some_and(|at| at < Timestamp::now() + BEFORE);
        let has_just_failed = self.failed.as_ref().is_some_and(|it| it.0.elapsed() < AGAIN_AFTER);
        if !is_due || has_just_failed {
            return Poll::Ready(());
        }
        if self.running.is_empty() {
            let (plugin, limit) = (self.plugin.clone(), self.limit);
            self.running.spawn(async move { plugin.run(limit).await });
        }
        match self.running.poll_join_next(context) {
            Poll::Pending if self.has_expired() => return Poll::Pending,
            Poll::Ready(Some(Ok(Ok(credentials)))) => {
                (self.credentials, self.failed) = (credentials, None);
            }
            Poll::Ready(Some(Ok(Err(error)))) => self.failed = Some((Instant::now(), error)),
            // It was not ended by itself: the next request begins anew.
            Poll::Pending | Poll::Ready(None | Some(Err(_))) => {}
        }
        Poll::Ready(())
    }

    fn has_expired(&self) -> bool {
        self.credentials.expire_at.is_some_and(|at| at <= Timestamp::now())
    }

    /// What requests carry now. Credentials that have not expired do, although there are no new ones.
    fn authorization(&self) -> Result<Option<HeaderValue>, PluginError> {
        match &self.failed {
            Some((_, error)) if self.has_expired() => Err(error.clone()),
            Some(_) | None => Ok(self.credentials.authorization.clone()),
        }
    }
}

impl<S, B> Service<Request<B>> for Renewing<S>
where
    S: Service<Request<B>, Error = BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<S::Future, Ready<Result<S::Response, BoxError>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // Not an error where it fails: that would be the end of the client.
        std::task::ready!(self.poll_renewal(context));
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.authorization() {
            Ok(Some(value)) => {
                request.headers_mut().insert(AUTHORIZATION, value);
                Either::Left(self.inner.call(request))
            }
            Ok(None) => Either::Left(self.inner.call(request)),
            Err(error) => Either::Right(future::ready(Err(error.into()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use kube::config::{AuthInfo, ExecConfig};
    use nix::{sys::signal::kill, unistd::Pid};
    use tokio::time::{sleep, timeout};
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    /// How long anything may take that is to happen.
    const PATIENCE: Duration = Duration::from_secs(30);

    const MOMENT: Duration = Duration::from_millis(10);

    /// Tells how often it was run, in a token that is good for less than a minute. The second time it hangs, with a child.
    const HANGS_ONCE: &str = r#"
echo >> runs; runs=$(wc -l < runs)
if [ "$runs" -eq 2 ]; then echo $$ > leader; sleep 1000 & echo $! > child; wait; fi
expires=$(date -u -d "+30 seconds" +%Y-%m-%dT%H:%M:%SZ)
echo "{\"status\": {\"token\": \"run-$runs\", \"expirationTimestamp\": \"$expires\"}}"
"#;

    fn plugin(dir: &Path, script: &str) -> Plugin {
        let script = format!("cd '{}'; {script}", dir.display());
        let exec = ExecConfig {
            command: Some("sh".to_owned()),
            args: Some(vec!["-c".to_owned(), script]),
            ..ExecConfig::default()
        };
        let mut user = AuthInfo { exec: Some(exec), ..AuthInfo::default() };
        Plugin::take(&mut user).unwrap()
    }

    /// Waits for a process that has written its number, and for its end.
    async fn gone(pid_file: &Path) {
        let is_gone = || {
            let pid = std::fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
            // What is dead and was not waited for yet is there still.
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            Some(kill(Pid::from_raw(pid), None).is_err() || state.contains(") Z "))
        };
        while is_gone() != Some(true) {
            sleep(MOMENT).await;
        }
    }

    /// What a request is sent with, by the words of who gets it.
    async fn sent<S>(service: &mut S) -> Result<String, BoxError>
    where
        S: Service<Request<()>, Response = String, Error = BoxError>,
    {
        service.ready().await?.call(Request::new(())).await
    }

    fn renewing(
        plugin: Plugin,
        credentials: Credentials,
        limit: Duration,
    ) -> impl Service<Request<()>, Response = String, Error = BoxError> {
        Renewal { plugin, credentials, limit }.layer(service_fn(
            |request: Request<()>| async move {
                Ok::<_, BoxError>(request.headers()[AUTHORIZATION].to_str()?.to_owned())
            },
        ))
    }

    #[tokio::test]
    async fn a_program_that_hangs_once_is_killed_and_run_again_and_requests_go_on_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let plugin = plugin(dir.path(), HANGS_ONCE);
        let credentials = plugin.run(Duration::from_mins(1)).await.unwrap();
        let mut service = renewing(plugin, credentials, Duration::from_secs(2));
        assert_eq!(sent(&mut service).await.unwrap(), "Bearer run-1", "it has not expired");
        timeout(PATIENCE, async {
            gone(&dir.path().join("leader")).await;
            gone(&dir.path().join("child")).await;
            while sent(&mut service).await.unwrap() != "Bearer run-3" {
                sleep(MOMENT).await;
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn requests_wait_for_credentials_where_the_old_ones_have_expired_and_are_told_why_there_are_none()
     {
        let dir = tempfile::tempdir().unwrap();
        let expired = || Credentials {
            authorization: Some(HeaderValue::from_static("Bearer old")),
            certificate: None,
            expire_at: Some(Timestamp::UNIX_EPOCH),
        };
        let fails = plugin(dir.path(), "echo abc; echo no session >&2; exit 3");
        let refused = sent(&mut renewing(fails, expired(), PATIENCE)).await.unwrap_err();
        let Some(PluginError::Failed { said, .. }) = refused.downcast_ref() else {
            panic!("{refused:?}")
        };
        assert_eq!(said.as_deref(), Some("no session"));
        let works = plugin(dir.path(), r#"echo '{"status": {"token": "new"}}'"#);
        let mut service = renewing(works, expired(), PATIENCE);
        assert_eq!(sent(&mut service).await.unwrap(), "Bearer new");
    }
}
