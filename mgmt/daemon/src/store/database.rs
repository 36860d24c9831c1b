//! The database file: opened, and opened again after whatever happens to it.

use std::fs::OpenOptions;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use crate::store::schema;
use crate::time::now_s;

/// How often a database that cannot be opened is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Why something was not kept, or cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// SQLite, or the disk below it.
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The folder or the file cannot be made.
    #[error("the database: {0}")]
    File(#[from] std::io::Error),
    /// It was made by a later version of the program, which knows more.
    #[error("the database was made by a later version of gridway-mgmt")]
    Later,
    /// It could not be opened lately.
    #[error("the database cannot be opened; see the log")]
    Closed,
    /// Too much is waiting for it.
    #[error("the database does not keep up")]
    Busy,
}

impl StoreError {
    /// Whether the file is damaged, so that no later try can succeed.
    fn is_damage(&self) -> bool {
        let code = match self {
            Self::Database(error) => error.sqlite_error_code(),
            _ => None,
        };
        matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }
}

/// The database of the node's past.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    connection: Option<Connection>,
    tried: Option<Instant>,
    /// Where a damaged file went, until somebody was told.
    moved: Option<PathBuf>,
}

impl Database {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, connection: None, tried: None, moved: None }
    }

    /// Where a damaged file went, once.
    pub(super) fn take_moved(&mut self) -> Option<PathBuf> {
        self.moved.take()
    }

    /// Does `job`. A database that turns out to be damaged is moved aside, and the job done on a fresh one.
    pub(super) fn run<T>(
        &mut self,
        job: impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        match self.try_run(&job) {
            Err(error) if error.is_damage() => {
                self.move_aside()?;
                self.try_run(&job)
            }
            outcome => outcome,
        }
    }

    fn try_run<T>(&mut self, job: &impl Fn(&mut Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            closed => {
                if self.tried.is_some_and(|tried| tried.elapsed() < AGAIN) {
                    return Err(StoreError::Closed);
                }
                self.tried = Some(Instant::now());
                closed.insert(open(&self.path)?)
            }
        };
        let outcome = job(connection);
        // Pages are read anew by every job: damage shows, and no memory is held meanwhile.
        outcome.and_then(|value| connection.release_memory().map(|()| value)).map_err(Into::into)
    }

    fn move_aside(&mut self) -> Result<(), StoreError> {
        (self.connection, self.tried) = (None, None);
        let to = with_suffix(&self.path, &format!(".corrupt-{}", now_s()));
        std::fs::rename(&self.path, &to)?;
        for suffix in ["-wal", "-shm"] {
            // They mean nothing without the file, and would be taken for the fresh one's.
            match std::fs::rename(with_suffix(&self.path, suffix), with_suffix(&to, suffix)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
        }
        self.moved = Some(to);
        Ok(())
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    }
    // Configurations may hold what others are not to read; SQLite's other files get the same mode.
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    connection.pragma_update(None, "cache_size", -4096)?;
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", (), |row| row.get(0))?;
    if verdict != "ok" {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(code, Some(verdict)).into());
    }
    if schema::migrate(&mut connection)? { Ok(connection) } else { Err(StoreError::Later) }
}
