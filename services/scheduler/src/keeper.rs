//! Keeps this scheduler's share of the partitions.
//!
//! Every third of the lease time, and when the bell says that something was given up, the scheduler renews its leases, sees who
//! else is there, and takes or gives up partitions until shares are fair. One that dies is not heard of for a lease time, and
//! the others take what was its. One that ends in order gives up its partitions first and rings.
//!
//! **Invariant:** leases are for speed alone. Whether a commit holds is decided by the run's version.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use windlass_bus::{Bus, BusError, Listener};
use windlass_proto::subject::Subject;
use windlass_service::{recurring::Recurring, shares};
use windlass_store::{Incarnation, ShareRequest, Store, StoreError};

use crate::{
    Ownership, SchedulerConfig, limits,
    load::{self, Board},
    loops::Loops,
    retention,
};

/// By which schedulers know each other in the store.
const GROUP: &str = "scheduler";

/// How often a process that serves everything looks whether the store lost something.
const LOOK: Duration = Duration::from_secs(1);

/// The most exchanges with the store in a row: shares have settled before, unless others come and go all the time.
const EXCHANGES: usize = 4;

/// Keeps the share.
#[derive(Debug)]
pub(crate) struct Keeper {
    config: SchedulerConfig,
    bus: Arc<dyn Bus>,
    store: Arc<dyn Store>,
    loops: Loops,
    board: Arc<Board>,
    incarnation: Option<Incarnation>,
    /// Whether the others have been told of this scheduler.
    known: bool,
    /// Until when this scheduler's leases hold, if it is not heard of again.
    held_until: Instant,
    next_cleaning: Instant,
    troubles: Recurring,
}

impl Keeper {
    pub(crate) fn new(config: SchedulerConfig, bus: Arc<dyn Bus>, store: Arc<dyn Store>) -> Self {
        let board = Arc::new(Board::default());
        let loops = Loops::new(config.clone(), bus.clone(), store.clone(), board.clone());
        let now = Instant::now();
        Self {
            config,
            bus,
            store,
            loops,
            board,
            incarnation: None,
            known: false,
            held_until: now,
            next_cleaning: now,
            troubles: Recurring::default(),
        }
    }

    /// Serves until `shutdown`, then gives up all it has.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        // From before the first look, so that nothing that is said after it is missed.
        let mut bell = self.bus.listen(Subject::Leases).await.ok();
        if let Ownership::Leased { member, .. } = &self.config.ownership {
            let (board, bus) = (self.board.clone(), self.bus.clone());
            tokio::spawn(load::exchange(board, bus, member.clone(), shutdown.clone()));
        }
        while !shutdown.is_cancelled() {
            if let Err(error) = self.renew().await {
                if let Some(untold) = self.troubles.came(&error.to_string(), Instant::now().into())
                {
                    warn!(%error, untold, "leases are not renewed");
                }
                if Instant::now() >= self.held_until {
                    self.loops.serve(&BTreeSet::new());
                }
            }
            self.clean().await;
            let pause = match &self.config.ownership {
                Ownership::All => LOOK,
                Ownership::Leased { lease_time, .. } => *lease_time / 3,
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
                () = heard(&self.bus, &mut bell) => {}
            }
        }
        self.give_up().await;
    }

    /// Renews what is held, and takes or gives up partitions until shares are fair.
    async fn renew(&mut self) -> Result<(), StoreError> {
        self.notice_loss().await?;
        let Ownership::Leased { member, lease_time } = self.config.ownership.clone() else {
            self.loops.serve(&(0..self.config.partitions).collect());
            return Ok(());
        };
        let mut request = ShareRequest {
            group: GROUP.to_owned(),
            member,
            leaving: false,
            ttl: lease_time,
            acquire: Vec::new(),
            release: Vec::new(),
        };
        for _ in 0..EXCHANGES {
            let asked = Instant::now();
            let shares = self.store.share(&request).await?;
            self.held_until = asked + lease_time;
            self.loops.serve(&shares::held_by(&shares, &request.member));
            // Others have something to take, or a newcomer to make room for.
            if !request.release.is_empty() || !std::mem::replace(&mut self.known, true) {
                self.ring().await;
            }
            let plan = shares::plan(&shares, &request.member, self.config.partitions);
            if plan.is_empty() {
                break;
            }
            info!(members = shares.members.len(), acquire = ?plan.acquire, release = ?plan.release, "shares change");
            // Given up only when its last turn is over, so that whoever takes it finds nobody in its way.
            self.loops.end(&plan.release).await;
            request.acquire = plan.acquire;
            request.release = plan.release;
        }
        Ok(())
    }

    /// Has everything read anew where the store may have lost what it had acknowledged.
    async fn notice_loss(&mut self) -> Result<(), StoreError> {
        let present = self.store.incarnation().await?;
        let before = self.incarnation.replace(present.clone());
        if before.is_some_and(|before| before != present) {
            warn!("the store was started again or replaced: all runs are loaded anew");
            self.loops.reload();
        }
        Ok(())
    }

    /// Removes runs that are kept no longer, and gives back what ended ones hold. One scheduler does that for all: the one that
    /// serves the first partition.
    async fn clean(&mut self) {
        let now = Instant::now();
        if now < self.next_cleaning || self.loops.served().first() != Some(&0) {
            return;
        }
        self.next_cleaning = now + self.config.sweep;
        if let Err(error) = limits::release_ended(&*self.store).await {
            warn!(%error, "limits that ended runs hold were not all given back");
        }
        if let Some(retention) = self.config.retention
            && let Err(error) = retention::remove_expired(retention, &*self.store, &*self.bus).await
        {
            warn!(%error, "runs that are kept no longer were not all removed");
        }
    }

    async fn give_up(&mut self) {
        let release = self.loops.served();
        self.loops.end(&release).await;
        let Ownership::Leased { member, lease_time } = self.config.ownership.clone() else {
            return;
        };
        let group = GROUP.to_owned();
        let ttl = lease_time;
        let request =
            ShareRequest { group, member, leaving: true, ttl, acquire: Vec::new(), release };
        match self.store.share(&request).await {
            Ok(_) => {
                self.ring().await;
                // What is told without an acknowledgement may still be in this process, which ends now: once the bus has
                // answered, it has taken that, too.
                if let Err(error) = self.bus.check().await {
                    warn!(%error, "other schedulers may not have been told of partitions to take; they will look");
                }
            }
            Err(error) => warn!(%error, "leases were not given up; they expire"),
        }
    }

    /// Tells the other schedulers to look at the shares.
    async fn ring(&self) {
        if let Err(error) = self.bus.publish(Subject::Leases, Bytes::new().into()).await {
            warn!(%error, "other schedulers were not told of partitions to take; they will look");
        }
    }
}

/// Waits for the bell. One that cannot be heard never rings: the time does.
async fn heard(bus: &Arc<dyn Bus>, bell: &mut Option<Box<dyn Listener>>) {
    let listened: Result<(), BusError> = async {
        let listener = match bell {
            Some(listener) => listener,
            None => bell.insert(bus.listen(Subject::Leases).await?),
        };
        listener.next().await.map(drop)
    }
    .await;
    if let Err(error) = listened {
        *bell = None;
        warn!(%error, "the bell of other schedulers is not heard");
        std::future::pending::<()>().await;
    }
}
