//! Connections from clients: taken in with patience, and given up where nobody is at the other end.

use std::{
    error::Error,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};
use tokio_stream::Stream;
use tonic::transport::server::Connected;
use tracing::error;

use crate::recurring::Recurring;

/// How often a client that says nothing is asked whether it is there, and how long it has to answer. To answer is part of
/// HTTP/2: a client need not do anything for it.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long a connection may be silent: longer than a client that is asked takes to answer. So this ends those alone that
/// never become a connection of HTTP/2, before or after TLS.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// How long to wait before connections are accepted again where the system cannot: asked at once, it would say the same, and
/// the program would do nothing but ask.
const PAUSE: Duration = Duration::from_secs(1);

/// Connections as they come in, each ended after a silence. What keeps them from being accepted is told, now and then, and
/// waited out.
pub(crate) fn tended<I, IO, IE>(incoming: I) -> impl Stream<Item = io::Result<Attended<IO>>>
where
    I: Stream<Item = Result<IO, IE>>,
    IE: Into<Box<dyn Error + Send + Sync>>,
{
    let state = (Box::pin(incoming), Recurring::default());
    stream::unfold(state, async |(mut incoming, mut told)| {
        loop {
            match incoming.next().await? {
                Ok(connection) => {
                    return Some((Ok(Attended::new(connection)), (incoming, told)));
                }
                Err(error) => {
                    if !tell(&*error.into(), &mut told) {
                        continue;
                    }
                }
            }
            sleep(PAUSE).await;
        }
    })
}

/// Tells why no connection is accepted; false where that is the matter of one connection, and the next one may do.
fn tell(error: &(dyn Error + 'static), told: &mut Recurring) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    if matches!(kind, Some(io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)) {
        return false;
    }
    if let Some(untold) = told.came(&error.to_string(), Instant::now()) {
        error!(
            %error, untold,
            "clients that connect must wait: no connection can be accepted; raise the limit on open files (`ulimit -n`, \
             `LimitNOFILE=` of systemd), or have fewer clients"
        );
    }
    true
}

/// A connection that fails once nothing has come for too long.
#[derive(Debug)]
pub(crate) struct Attended<IO> {
    connection: IO,
    /// When something last came.
    heard: Instant,
    /// Looks at the time again; reset only when it is over, since that costs more than what comes.
    look: Pin<Box<Sleep>>,
}

impl<IO> Attended<IO> {
    fn new(connection: IO) -> Self {
        Self { connection, heard: Instant::now(), look: Box::pin(sleep(SILENCE_MAX)) }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Attended<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.connection).poll_read(context, buffer) {
            self.heard = Instant::now();
            return Poll::Ready(read);
        }
        loop {
            ready!(self.look.as_mut().poll(context));
            let until = self.heard + SILENCE_MAX;
            if until <= Instant::now() {
                let silent = "the client has said nothing for too long";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, silent)));
            }
            self.look.as_mut().reset(until);
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Attended<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

impl<IO: Connected> Connected for Attended<IO> {
    type ConnectInfo = IO::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_ended_by_silence_and_kept_by_any_word() {
        let (mut client, server) = duplex(64);
        let mut server = Attended::new(server);
        for _ in 0..5 {
            sleep(SILENCE_MAX / 2).await;
            client.write_all(b"ping").await.unwrap();
            assert_eq!(server.read(&mut [0; 64]).await.unwrap(), 4);
        }
        let begun = Instant::now();
        let ended = server.read(&mut [0; 64]).await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), SILENCE_MAX.as_secs(), "by the clock of the test");
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_passed_over_and_not_asked_again_at_once() {
        let failures =
            |kind: io::ErrorKind| stream::repeat_with(move || Err(io::Error::from(kind)));
        let (_client, connection) = duplex(64);
        let incoming = failures(io::ErrorKind::ConnectionReset)
            .take(1000)
            .chain(failures(io::ErrorKind::Other).take(3))
            .chain(stream::iter([Ok(connection)]));
        let begun = Instant::now();
        let accepted: Vec<_> = tended(incoming).collect().await;
        assert_eq!(accepted.len(), 1);
        assert!(accepted[0].is_ok());
        assert_eq!(begun.elapsed().as_secs(), 3 * PAUSE.as_secs(), "by the clock of the test");
    }
}
