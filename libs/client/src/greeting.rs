//! The first call on a connection. It asks for nothing: any answer, a refusal included, tells that the server lets this
//! client in, and in a header whose files its steps see.

use std::{error::Error as _, time::Duration};

use tokio::time::{sleep, timeout};
use tonic::{Status, metadata::MetadataMap};
use windlass_proto::v1::GetRunRequest;

use crate::{
    Client, ClientError,
    connect::{is_handshake_failure, is_unconnected, timed},
    error,
};

/// The header in which a server whose steps run on its own machine says which files they see: an opaque text, the same for
/// two processes exactly where every path names the same file to both.
pub const FILES_HEADER: &str = "windlass-files";

/// How long the first answer is waited for while a connection is made. A server that is busy may answer later.
const FIRST_ANSWER: Duration = Duration::from_secs(5);
/// How often a connection that was closed unanswered is made again before that is taken for a refusal: a server that just
/// ends closes one, too.
const TRIES: u32 = 3;
/// Between two of them.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

impl Client {
    /// Which files the server's steps see, as [`FILES_HEADER`] has it. None where the server does not say: its steps may run
    /// on other machines, or in containers.
    pub async fn files(&self) -> Result<Option<String>, ClientError> {
        let headers = self.repeat(|| async { greet(self).await.map_err(ClientError::from) });
        let headers = headers.await?;
        let files = headers.get(FILES_HEADER).and_then(|files| files.to_str().ok());
        Ok(files.map(str::to_owned))
    }

    /// Finds out whether the server lets this client in. With TLS, that is not known when the connection is made: the client's
    /// certificate is looked at last, and to refuse it the server closes the connection.
    pub(crate) async fn is_let_in(&self) -> Result<(), Status> {
        let mut closed = Ok(());
        for attempt in 0..TRIES {
            if attempt > 0 {
                sleep(BETWEEN_TRIES).await;
            }
            let Ok(Err(status)) = timeout(FIRST_ANSWER, greet(self)).await else { return Ok(()) };
            match status.source() {
                // The server says that it refuses the certificate, or the want of one, before it closes the connection.
                Some(cause) if is_handshake_failure(cause) => return Err(status),
                // It is away: others wait for it.
                Some(cause) if is_unconnected(cause) => return Ok(()),
                _ => closed = Err(status),
            }
        }
        closed
    }

    /// Whether the connection ends instead of an answer, as where only one of the two sides speaks TLS. Why is not known: the
    /// server may just end, too.
    pub(crate) async fn is_cut_off(&self) -> bool {
        let Ok(Err(status)) = timeout(FIRST_ANSWER, greet(self)).await else { return false };
        !status.source().is_some_and(is_unconnected)
    }
}

/// The headers of any answer.
async fn greet(client: &Client) -> Result<MetadataMap, Status> {
    match client.runs.clone().get_run(timed(GetRunRequest::default())).await {
        Ok(answer) => Ok(answer.metadata().clone()),
        Err(status) if error::is_of_transport(&status) => Err(status),
        Err(refusal) => Ok(refusal.metadata().clone()),
    }
}
