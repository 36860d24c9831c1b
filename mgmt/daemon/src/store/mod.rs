//! What is kept: versions of the configuration, who did what, events and samples. SQLite has a thread of its own, so
//! that no request waits for a disk; what it cannot keep is counted and said once a minute, and nothing else stops.

mod audit;
mod database;
mod events;
mod samples;
mod schema;
mod sweep;
mod versions;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

pub(crate) use audit::{Action, AuditRow, NewAuditRow};
use database::Database;
pub(crate) use database::StoreError;
pub(crate) use events::EventQuery;
pub(crate) use samples::{
    RoundTripRow, RoundTripSample, SAMPLED_EVERY, Span, ThroughputRow, ThroughputSample,
};

/// Jobs that wait for the database.
const JOBS: usize = 1024;
/// How often it is said that something was not kept.
const SAID: Duration = Duration::from_secs(60);

type Job = Box<dyn FnOnce(&mut Database, &mut Complaints) + Send>;

/// Numbers for the metrics.
#[derive(Debug, Default)]
pub(crate) struct StoreCounters {
    /// Rows, or groups of rows, that were not kept.
    pub(crate) not_kept: AtomicU64,
    /// Damaged databases that were moved aside.
    pub(crate) damaged: AtomicU64,
}

/// The way to the database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    jobs: SyncSender<Job>,
    counters: Arc<StoreCounters>,
}

impl Store {
    /// Starts the thread. `damaged` hears where a damaged database went.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn start(
        path: PathBuf,
        damaged: mpsc::UnboundedSender<PathBuf>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, receiver) = sync_channel(JOBS);
        let counters = Arc::<StoreCounters>::default();
        let there = counters.clone();
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || work(Database::new(path), &receiver, &there, &damaged))?;
        Ok((Self { jobs, counters }, thread))
    }

    /// Numbers for the metrics.
    pub(crate) fn counters(&self) -> &StoreCounters {
        &self.counters
    }

    /// Has `job` done some time; `what` says what was lost if it cannot be.
    fn keep(
        &self,
        what: &'static str,
        job: impl Fn(&mut Connection) -> rusqlite::Result<()> + Send + 'static,
    ) {
        let counters = self.counters.clone();
        let sent = self.jobs.try_send(Box::new(move |database, complaints| {
            if let Err(error) = database.run(job) {
                counters.not_kept.fetch_add(1, Ordering::Relaxed);
                complaints.not_kept(what, &error);
            }
        }));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sent {
            self.counters.not_kept.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Does `job` and says what came of it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn read<T: Send + 'static>(
        &self,
        job: impl Fn(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.jobs
            .try_send(Box::new(move |database, _| {
                // Whoever asked may have gone.
                drop(answer.send(database.run(job)));
            }))
            .map_err(|_| StoreError::Busy)?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Works until the last [`Store`] is gone and every job is done.
fn work(
    mut database: Database,
    jobs: &Receiver<Job>,
    counters: &StoreCounters,
    damaged: &mpsc::UnboundedSender<PathBuf>,
) {
    let mut complaints = Complaints::default();
    for job in jobs {
        job(&mut database, &mut complaints);
        if let Some(path) = database.take_moved() {
            counters.damaged.fetch_add(1, Ordering::Relaxed);
            // At the end of the process nobody is told.
            drop(damaged.send(path));
        }
    }
}

/// What was not kept, said once a minute.
#[derive(Debug, Default)]
struct Complaints {
    said: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    fn not_kept(&mut self, what: &'static str, error: &StoreError) {
        self.unsaid += 1;
        if self.said.is_none_or(|said| said.elapsed() >= SAID) {
            tracing::error!(what, times = self.unsaid, "not kept, the rest goes on: {error}");
            (self.said, self.unsaid) = (Some(Instant::now()), 0);
        }
    }
}

#[cfg(test)]
mod tests;
