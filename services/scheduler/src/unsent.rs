//! Commands to create attempts for which there is no room on the bus.
//!
//! The launchers of their cluster are away or far behind. They are kept here and offered again, so that no turn waits for them:
//! it has the launchers of other clusters to serve. What is lost with the process is found out again by who loads the runs.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use futures::future;
use tokio::time::Instant;
use tracing::warn;
use windlass_bus::{Bus, BusError, Message};
use windlass_proto::subject::{ClusterToken, Subject};

use crate::partition::{Partition, TurnError};

/// After which time they are offered again.
const AGAIN: Duration = Duration::from_millis(250);

/// What was not sent, by cluster, in order.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    /// None of them is empty.
    commands: BTreeMap<ClusterToken, VecDeque<Bytes>>,
    again: Option<Instant>,
}

impl Unsent {
    /// When they are to be offered again.
    pub(crate) fn next_offer(&self) -> Option<Instant> {
        self.again
    }

    /// Whether there are any for a cluster: what comes later waits behind them.
    pub(crate) fn has(&self, cluster: ClusterToken) -> bool {
        self.commands.contains_key(&cluster)
    }

    fn keep(&mut self, cluster: ClusterToken, commands: VecDeque<Bytes>) {
        if !commands.is_empty() {
            self.commands.entry(cluster).or_default().extend(commands);
            self.again = Some(Instant::now() + AGAIN);
        }
    }
}

impl Partition {
    /// Sends commands to the launchers of clusters, and keeps those that find no room.
    pub(crate) async fn offer(
        &mut self,
        commands: Vec<(ClusterToken, Bytes)>,
    ) -> Result<(), TurnError> {
        let mut by_cluster: BTreeMap<ClusterToken, VecDeque<Bytes>> = BTreeMap::new();
        for (cluster, command) in commands {
            by_cluster.entry(cluster).or_default().push_back(command);
        }
        let bus = &*self.bus;
        let unsent = &self.unsent;
        let offers = by_cluster.into_iter().map(async |(cluster, commands)| {
            if unsent.has(cluster) {
                return Ok((cluster, commands, None));
            }
            let (left, error) = offer_all(bus, cluster, commands).await?;
            Ok::<_, BusError>((cluster, left, error))
        });
        for (cluster, left, error) in future::try_join_all(offers).await? {
            self.unsent.keep(cluster, left);
            self.tell_of_no_room(cluster, error.as_ref());
        }
        Ok(())
    }

    /// Offers again what was not sent, where it is time.
    pub(crate) async fn offer_unsent(&mut self) -> Result<(), TurnError> {
        if self.unsent.again.is_none_or(|again| again > Instant::now()) {
            return Ok(());
        }
        let Unsent { commands, .. } = std::mem::take(&mut self.unsent);
        let of_cluster = |(cluster, commands): (_, VecDeque<_>)| {
            commands.into_iter().map(move |command| (cluster, command))
        };
        self.offer(commands.into_iter().flat_map(of_cluster).collect()).await
    }

    fn tell_of_no_room(&mut self, cluster: ClusterToken, error: Option<&BusError>) {
        let Some(error) = error else { return };
        let cause = format!("{cluster}: {error}");
        if let Some(untold) = self.troubles.came(&cause, Instant::now()) {
            warn!(partition = self.number, %error, untold, "commands wait for the launchers of a cluster");
        }
    }
}

/// Sends commands until one finds no room; tells which are left, and why.
async fn offer_all(
    bus: &dyn Bus,
    cluster: ClusterToken,
    mut commands: VecDeque<Bytes>,
) -> Result<(VecDeque<Bytes>, Option<BusError>), BusError> {
    // Where the first one finds room, the others most likely do: they need not wait for each other.
    let Some(first) = commands.pop_front() else { return Ok((commands, None)) };
    let subject = Subject::Launch { cluster };
    let offer =
        async |command: Bytes| match bus.offer(subject, Message::from(command.clone())).await {
            Ok(()) => Ok(None),
            Err(error @ BusError::Full { .. }) => Ok(Some((command, error))),
            Err(error) => Err(error),
        };
    if let Some((first, error)) = offer(first).await? {
        commands.push_front(first);
        return Ok((commands, Some(error)));
    }
    let refused = future::try_join_all(commands.into_iter().map(offer)).await?;
    let (left, mut errors): (VecDeque<_>, Vec<_>) = refused.into_iter().flatten().unzip();
    Ok((left, errors.pop()))
}
