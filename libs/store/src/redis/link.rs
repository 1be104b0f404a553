//! The way to the servers, and how long to wait for them.
//!
//! A command whose answer does not come is given up with its connection, and never sent again by itself: it may have been
//! done. In a cluster the client library follows keys that move, and may send a command again that got no answer: what the
//! scripts do may all be done twice.

use std::{fmt, time::Duration};

use redis::{
    Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo, SingleNodeRoutingInfo},
    io::tcp::TcpSettings,
};

use super::{
    connection::Reconnecting,
    fault::{Fault, is_of_another_kind},
};

/// What a server answers to a command that reads a text.
pub(super) type Text = Option<Vec<u8>>;

/// A command is sent at once, and not held back until the server has confirmed the one before (Nagle's algorithm, RFC 896): each
/// is awaited by somebody, and what can travel together is one command already.
pub(super) fn tcp_settings() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// How fast an answer comes at least, in bytes per second: slower than any network that runs are served over.
const SLOWEST: usize = 2 << 20;

/// A way to the servers. All commands travel at the same time, and none waits for another one's answer.
pub(super) struct Link {
    way: Way,
    timeout: Duration,
}

enum Way {
    One(Box<Reconnecting>),
    Cluster(ClusterConnection),
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Link {
    /// A way to one server, which begins when it is used.
    pub(super) fn one(connection: Reconnecting, timeout: Duration) -> Self {
        Self { way: Way::One(Box::new(connection)), timeout }
    }

    /// A way to all nodes of a cluster.
    pub(super) async fn cluster(
        builder: ClusterClientBuilder,
        timeout: Duration,
        largest_answer: usize,
    ) -> Result<Self, Fault> {
        let limit = limit(timeout, largest_answer);
        let builder = builder
            .connection_timeout(timeout)
            .response_timeout(limit)
            .overall_response_timeout(Some(limit))
            // What a node cannot do yet, such as in a slot that is being moved, is soon tried again.
            .min_retry_wait(50)
            .max_retry_wait(1000);
        let settings = tcp_settings();
        // A node that is cut off ends its connection, so that the library looks for another one.
        #[cfg(target_os = "linux")]
        let settings = settings.set_user_timeout(timeout);
        let builder = builder.tcp_settings(settings);
        let client = builder.build().map_err(Fault::NotSent)?;
        let connection = in_time(timeout, client.get_async_connection()).await?;
        Ok(Self { way: Way::Cluster(connection), timeout })
    }

    /// How long to wait where so many bytes are sent or come back.
    pub(super) fn limit(&self, size: usize) -> Duration {
        limit(self.timeout, size)
    }

    /// Asks the server that has the command's keys.
    pub(super) async fn ask(&self, command: &Cmd, limit: Duration) -> Result<Value, Fault> {
        let answer = match &self.way {
            Way::One(connection) => {
                let ask = async |connection: &mut MultiplexedConnection| {
                    connection.send_packed_command(command).await?.extract_error()
                };
                return connection.with(limit, ask).await;
            }
            Way::Cluster(connection) => {
                in_time(limit, connection.clone().req_packed_command(command)).await?
            }
        };
        answer.extract_error().map_err(Fault::on_connection)
    }

    /// Asks one server for several things at once, all of which have keys of one partition. No transaction: its keys would
    /// not be followed to another node.
    pub(super) async fn ask_all<T: FromRedisValue>(
        &self,
        commands: &Pipeline,
        limit: Duration,
    ) -> Result<T, Fault> {
        match &self.way {
            Way::One(connection) => {
                let ask = async |connection: &mut MultiplexedConnection| {
                    commands.query_async(connection).await
                };
                connection.with(limit, ask).await
            }
            Way::Cluster(connection) => {
                in_time(limit, commands.query_async(&mut connection.clone())).await
            }
        }
    }

    /// The same for texts of several runs: where one of the keys holds something else, that is the fault of this one alone.
    pub(super) async fn ask_texts(
        &self,
        commands: &mut Pipeline,
        limit: Duration,
    ) -> Result<Vec<RedisResult<Text>>, Fault> {
        commands.ignore_errors();
        match &self.way {
            Way::One(connection) => {
                let ask = async |connection: &mut MultiplexedConnection| {
                    of_another_kind_at_most(commands.query_async(connection).await?)
                };
                connection.with(limit, ask).await
            }
            Way::Cluster(connection) => {
                let answers = in_time(limit, commands.query_async(&mut connection.clone())).await?;
                of_another_kind_at_most(answers).map_err(Fault::on_connection)
            }
        }
    }

    /// Asks any server.
    pub(super) async fn ask_any(&self, command: &Cmd) -> Result<Value, Fault> {
        let Way::Cluster(connection) = &self.way else {
            return self.ask(command, self.timeout).await;
        };
        let route = RoutingInfo::SingleNode(SingleNodeRoutingInfo::RandomPrimary);
        in_time(self.timeout, connection.clone().route_command(command.clone(), route)).await
    }

    /// Asks each server that may be written to.
    pub(super) async fn ask_each(&self, command: &Cmd) -> Result<Vec<Value>, Fault> {
        let Way::Cluster(connection) = &self.way else {
            return Ok(vec![self.ask(command, self.timeout).await?]);
        };
        let route = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let mut connection = connection.clone();
        match in_time(self.timeout, connection.route_command(command.clone(), route)).await? {
            Value::Map(answers) => Ok(answers.into_iter().map(|(_, answer)| answer).collect()),
            Value::Array(answers) => Ok(answers),
            _ => Err(Fault::Refused(
                (ErrorKind::UnexpectedReturnType, "not one answer for each node").into(),
            )),
        }
    }
}

/// Answers among which no other errors are than that a key holds something else.
fn of_another_kind_at_most(answers: Vec<RedisResult<Text>>) -> RedisResult<Vec<RedisResult<Text>>> {
    let other = |error: &&RedisError| !is_of_another_kind(error);
    match answers.iter().filter_map(|answer| answer.as_ref().err()).find(other) {
        Some(error) => Err(error.clone()),
        None => Ok(answers),
    }
}

fn limit(timeout: Duration, size: usize) -> Duration {
    timeout + Duration::from_secs((size / SLOWEST) as u64)
}

pub(super) async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, Fault> {
    let Ok(answer) = tokio::time::timeout(limit, answer).await else {
        let late = format!("no answer within {} s", limit.as_secs_f64());
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, late);
        return Err(Fault::NoAnswer(late.into()));
    };
    answer.map_err(Fault::on_connection)
}
