//! What clients are told while a server is away, and what becomes of what they asked for.

use std::time::Duration;

use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use windlass_proto::v1::{self, RunState};

use crate::{
    crew::Crew,
    deployment::{Deployment, Program, repeat, request, until_ended},
    work::Ledger,
};

/// How long a client waits for an answer, which is no answer to it.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);

/// How many steps of the run are beside each other.
const WIDTH: u32 = 2;

/// What a request of a run is refused with.
pub(crate) async fn refusal(submitter: &Program, request: &v1::SubmitRunRequest) -> Status {
    let mut request = Request::new(request.clone());
    request.set_timeout(CLIENT_PATIENCE);
    submitter.runs().submit_run(request).await.expect_err("it cannot be accepted now")
}

/// Asserts that a refusal is one for now, and says when to try again.
pub(crate) fn assert_passing(refusal: &Status) {
    assert_eq!(refusal.code(), Code::Unavailable, "{refusal:?}");
    let details = refusal.get_error_details();
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("UNAVAILABLE"));
    let delay = details.retry_info().and_then(|info| info.retry_delay);
    assert!(delay.is_some(), "{refusal:?}");
}

async fn runs_there_are(submitter: &Program) -> usize {
    let answer = submitter.runs().list_runs(v1::ListRunsRequest::default()).await;
    answer.expect("listed").into_inner().runs.len()
}

/// Takes a server away, and asks for a run; then brings it back, and asks again.
async fn refused_while_away(
    away: impl Fn(&Deployment),
    back: impl AsyncFnOnce(&Deployment),
    may_exist: bool,
) {
    let deployment = Deployment::start().await;
    let crew = Crew::start(&deployment).await;
    let ledger = Ledger::new(deployment.file("ledger"));
    let request = request(&ledger.diamond(WIDTH));
    away(&deployment);
    assert_passing(&refusal(&crew.submitter, &request).await);
    for program in crew.all() {
        program.until_unready().await;
    }
    assert_passing(&refusal(&crew.submitter, &request).await);
    back(&deployment).await;
    for program in crew.all() {
        program.until_ready().await;
        assert!(!program.has_ended(), "the {:?} has ended", program.kind);
    }
    if !may_exist {
        assert_eq!(runs_there_are(&crew.submitter).await, 0, "what was refused is there");
    }
    let run_id = repeat(&crew.submitter, &request).await;
    assert_eq!(repeat(&crew.submitter, &request).await, run_id);
    let run = until_ended(&crew.submitter, &run_id).await;
    assert_eq!(run.state(), RunState::Succeeded, "{run:?}");
    ledger.assert_undisturbed(&run_id, WIDTH);
    assert_eq!(runs_there_are(&crew.submitter).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_refused_while_nats_is_away() {
    refused_while_away(|it| it.nats.kill(), async |it| it.nats.start_again().await, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_refused_while_nats_does_not_answer() {
    refused_while_away(|it| it.nats.pause(), async |it| it.nats.resume(), false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_refused_while_redis_is_away() {
    refused_while_away(|it| it.redis.kill(), async |it| it.redis.start_again().await, false).await;
}

/// What was sent to it is done once it goes on: whoever asked was told that it may be.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_refused_while_redis_does_not_answer() {
    refused_while_away(|it| it.redis.pause(), async |it| it.redis.resume(), true).await;
}
