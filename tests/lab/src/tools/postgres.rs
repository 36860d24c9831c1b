//! PostgreSQL: the server, and `pgbench` that loads it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::command::Command;
use crate::dir::LabDir;
use crate::error::{LabError, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::tools::server::{Transport, UNPRIVILEGED, dir_of, open_dir, wait_until_listening, write_file};

/// Where Debian puts the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Everybody may do everything: the database is a laboratory's.
const TRUST: &str = "local all all trust\nhost all all 0.0.0.0/0 trust\nhost all all ::/0 trust\n";
/// How long it may take to end.
const STOP: Duration = Duration::from_secs(5);

/// A running PostgreSQL with a database of its own that nothing has to survive.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    /// Its data.
    _dir: LabDir,
}

impl Postgres {
    /// Makes a database and starts the server on an address.
    ///
    /// # Errors
    /// [`LabError::Failed`] with what `initdb` said, [`LabError::Timeout`] with what the server said.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let dir = open_dir()?;
        let data = dir_of(UNPRIVILEGED, &dir, "data")?;
        let initdb = ["--auth=trust", "--username=postgres", "--no-sync", "--locale=C", "--pgdata"];
        unprivileged(namespace, program("initdb")?).args(initdb).arg(&data).run()?;
        write_file(data.join("pg_hba.conf"), TRUST)?;
        let mut process = unprivileged(namespace, program("postgres")?)
            .arg("-D")
            .arg(&data)
            .args(["-h", &address.ip().to_string(), "-p", &address.port().to_string(), "-k", ""])
            .args(["-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=200"])
            .current_dir(&data)
            .spawn()?;
        wait_until_listening(&mut process, namespace, Transport::Tcp, address)?;
        process.wait_for_output("ready to accept connections", STOP)?;
        Ok(Self { process, _dir: dir })
    }

    /// Process id of the server.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // TERM would wait for its clients; INT is the order to end at once (`postgres(1)`).
        let ended = self.process.signal(Signal::SIGINT).and_then(|()| self.process.wait(STOP));
        if let Err(error) = ended {
            eprintln!("a database did not end: {error}");
        }
    }
}

/// PostgreSQL refuses to run as root. Its semaphores and shared memory go with it.
fn unprivileged(namespace: &Namespace, program: PathBuf) -> Command {
    namespace
        .command("unshare")
        .args(["--ipc", "setpriv", "--reuid", UNPRIVILEGED, "--regid", "nogroup", "--clear-groups"])
        // Changing the user has cleared what was set before.
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
}

/// A program of the newest version.
fn program(name: &str) -> Result<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).map_err(LabError::io(format!("read {VERSIONS}")))?;
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.flatten().map(|entry| entry.path()).max_by_key(number);
    let missing = || LabError::Unsupported(format!("there is no PostgreSQL in {VERSIONS}"));
    Ok(newest.ok_or_else(missing)?.join("bin").join(name))
}

/// A load by `pgbench`: its own mix of transactions (TPC-B).
#[derive(Debug, Clone)]
pub struct PgBench {
    server: SocketAddr,
    clients: u32,
    transactions: u32,
    reconnect: bool,
}

impl PgBench {
    /// On the database reached at `server`: 4 clients with 100 transactions each.
    #[must_use]
    pub fn new(server: SocketAddr) -> Self {
        Self { server, clients: 4, transactions: 100, reconnect: false }
    }

    /// How many clients at once, and transactions for each.
    #[must_use]
    pub fn load(mut self, clients: u32, transactions: u32) -> Self {
        (self.clients, self.transactions) = (clients, transactions);
        self
    }

    /// A new connection for each transaction.
    #[must_use]
    pub fn reconnect(mut self) -> Self {
        self.reconnect = true;
        self
    }

    /// Fills the database with its tables.
    ///
    /// # Errors
    /// [`LabError::Failed`] with pgbench's own message.
    pub fn fill(&self, from: &Namespace) -> Result<()> {
        self.command(from)?.args(["--initialize", "--quiet", "postgres"]).run().map(drop)
    }

    /// Runs all transactions and returns how many the server has processed.
    ///
    /// # Errors
    /// [`LabError::Failed`] with pgbench's own message, [`LabError::Parse`].
    pub fn run(&self, from: &Namespace) -> Result<u32> {
        let (clients, transactions) = (self.clients.to_string(), self.transactions.to_string());
        let mut command = self.command(from)?.args(["--client", &clients, "--transactions", &transactions]);
        if self.reconnect {
            command = command.arg("--connect");
        }
        let output = command.arg("postgres").run()?.stdout;
        let processed = output.lines().find_map(|line| {
            let (done, _) =
                line.strip_prefix("number of transactions actually processed: ")?.split_once('/')?;
            done.parse().ok()
        });
        processed.ok_or(LabError::Parse { tool: "pgbench", expected: "transactions processed", output })
    }

    fn command(&self, from: &Namespace) -> Result<Command> {
        let (host, port) = (self.server.ip().to_string(), self.server.port().to_string());
        Ok(from
            .command(program("pgbench")?)
            .args(["--host", &host, "--port", &port, "--username", "postgres"])
            .env("PGCONNECT_TIMEOUT", "10")
            .timeout(Duration::from_secs(60)))
    }
}
