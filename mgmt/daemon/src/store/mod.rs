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
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

pub(crate) use audit::{Action, AuditRow, NewAuditRow};
use database::Database;
pub(crate) use database::StoreError;
pub(crate) use events::EventQuery;
pub(crate) use samples::{
    RoundTripRow, RoundTripSample, SAMPLED_EVERY, Span, ThroughputRow, ThroughputSample,
};

/// Rows, or groups of rows, that wait to be kept.
const KEPT: usize = 1024;
/// As [`KEPT`], of the audit: nothing else takes their place.
const AUDITED: usize = 1024;
/// Reads that wait.
const READS: usize = 4;
/// How long a read waits to be one of them.
const TURN: Duration = Duration::from_secs(5);
/// How often it is said that something was not kept.
const SAID: Duration = Duration::from_secs(60);

type Job = Box<dyn FnOnce(&mut Database) + Send>;

/// Numbers for the metrics.
#[derive(Debug, Default)]
pub(crate) struct StoreCounters {
    /// Rows, or groups of rows, that were not kept.
    pub(crate) not_kept: AtomicU64,
    /// Damaged databases that were moved aside.
    pub(crate) damaged: AtomicU64,
    complaints: Mutex<Complaints>,
}

impl StoreCounters {
    fn not_kept(&self, what: &'static str, error: &StoreError) {
        self.not_kept.fetch_add(1, Ordering::Relaxed);
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).not_kept(what, error);
    }
}

/// The way to the database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// Bounded by the permits that jobs hold.
    jobs: Sender<(OwnedSemaphorePermit, Job)>,
    kept: Arc<Semaphore>,
    audited: Arc<Semaphore>,
    reads: Arc<Semaphore>,
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
        let (jobs, receiver) = channel();
        let permits = |count| Arc::new(Semaphore::new(count));
        let counters = Arc::<StoreCounters>::default();
        let there = counters.clone();
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || work(Database::new(path), &receiver, &there, &damaged))?;
        let (kept, audited, reads) = (permits(KEPT), permits(AUDITED), permits(READS));
        Ok((Self { jobs, kept, audited, reads, counters }, thread))
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
        self.keep_in(&self.kept, what, job);
    }

    /// The same, in a room of its own.
    fn keep_in(
        &self,
        room: &Arc<Semaphore>,
        what: &'static str,
        job: impl Fn(&mut Connection) -> rusqlite::Result<()> + Send + 'static,
    ) {
        let Ok(permit) = room.clone().try_acquire_owned() else {
            return self.counters.not_kept(what, &StoreError::Busy);
        };
        let counters = self.counters.clone();
        let sent = self.jobs.send((
            permit,
            Box::new(move |database| {
                if let Err(error) = database.run(job) {
                    counters.not_kept(what, &error);
                }
            }),
        ));
        if sent.is_err() {
            self.counters.not_kept(what, &StoreError::Closed);
        }
    }

    /// Grows when something may be missing that was kept before, or should have been.
    pub(crate) fn losses(&self) -> u64 {
        let StoreCounters { not_kept, damaged, .. } = self.counters.as_ref();
        not_kept.load(Ordering::Relaxed) + damaged.load(Ordering::Relaxed)
    }

    /// Does `job` and says what came of it.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn read<T: Send + 'static>(
        &self,
        job: impl Fn(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = timeout(TURN, self.reads.clone().acquire_owned()).await;
        let permit = turn.ok().and_then(Result::ok).ok_or(StoreError::Busy)?;
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |database| {
            // Whoever asked may have gone: before, or meanwhile.
            if !answer.is_closed() {
                drop(answer.send(database.run(job)));
            }
        });
        self.jobs.send((permit, job)).map_err(|_| StoreError::Closed)?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Works until the last [`Store`] is gone and every job is done.
fn work(
    mut database: Database,
    jobs: &Receiver<(OwnedSemaphorePermit, Job)>,
    counters: &StoreCounters,
    damaged: &mpsc::UnboundedSender<PathBuf>,
) {
    for (permit, job) in jobs {
        job(&mut database);
        drop(permit);
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
