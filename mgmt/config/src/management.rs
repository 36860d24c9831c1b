//! The configuration of the management process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::ConfigErrors;
use crate::file;
use crate::model::Log;
use crate::name::InterfaceName;
use crate::read;

/// A configuration of `gridway-mgmt` in which every field was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementConfig {
    /// The node that is managed.
    pub node: ManagedNode,
    /// The management API.
    pub api: Api,
    /// What is kept.
    pub store: HistoryStore,
    /// Who is told of events.
    pub webhook: Option<Webhook>,
    /// Log.
    pub log: Log,
    /// Where the command line asks for what is kept.
    pub local: LocalSocket,
}

impl ManagementConfig {
    /// Reads and validates a file. Paths within it become absolute.
    ///
    /// # Errors
    /// Every error of the file, or the one reason why it could not be read.
    pub fn load(file: &Path) -> Result<Self, ConfigErrors> {
        let (text, folder) = file::read(file)?;
        read::management_config(&text, file, &folder)
    }

    /// Validates `text`. `file` is named in errors, and paths are resolved against its folder.
    ///
    /// # Errors
    /// Every error of the text.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigErrors> {
        read::management_config(text, file, file.parent().unwrap_or(Path::new("")))
    }
}

/// `[node]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedNode {
    /// Control socket of its data plane.
    pub socket: PathBuf,
}

/// `[api]`; every path is resolved against the folder of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Interface that its socket is bound to.
    pub interface: InterfaceName,
    /// Certificate of the CA of all operators (PEM).
    pub operators_ca: PathBuf,
    /// Revocation list of operators (PEM).
    pub operators_crl: Option<PathBuf>,
    /// Certificate that the API shows, with intermediates if there are any (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM), see [`crate::check_private_key`].
    pub private_key: PathBuf,
    /// Requests a second of one operator, on average; bursts may be twice that.
    pub requests_per_second: u32,
}

impl Api {
    /// Port of an API's address written without one.
    pub const DEFAULT_PORT: u16 = 8444;
    pub(crate) const DEFAULT_RATE: u32 = 50;
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStore {
    /// The database.
    pub path: PathBuf,
    /// How long events and samples are kept; whole days.
    pub keep: Duration,
    /// Versions of the configuration that are kept.
    pub versions: u32,
}

impl HistoryStore {
    pub(crate) const DEFAULT_KEEP: Duration = Duration::from_secs(90 * 86_400);
    pub(crate) const DEFAULT_VERSIONS: u32 = 1000;
}

/// `[webhook]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where events are posted to; `https`.
    pub url: String,
    /// Certificate of the CA of its server (PEM); those of the operating system where it is absent.
    pub ca: Option<PathBuf>,
    /// Events below this are not posted.
    pub severity: WebhookSeverity,
}

/// Least severe event that is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WebhookSeverity {
    /// All events.
    Info,
    /// Warnings and errors.
    #[default]
    Warning,
    /// Errors only.
    Error,
}

/// An address that events may be posted to.
pub(crate) struct WebhookUrl(pub(crate) String);

impl WebhookUrl {
    pub(crate) const EXPECTED: &'static str = "an https address, such as https://alerts.example/gridway";

    pub(crate) fn new(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("https://")?;
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let good = !host.is_empty() && text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic());
        // A name and a password would show in the log.
        (good && !host.contains('@')).then(|| Self(text.to_owned()))
    }
}

/// `[local]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalSocket {
    /// Path of the Unix socket; short enough for `sockaddr_un`.
    pub socket: PathBuf,
}

impl LocalSocket {
    /// The folder of such sockets, beside those of the data planes.
    const FOLDER: &'static str = "mgmt";

    /// The socket of a process that configures none: `/run/gridway/mgmt/gw-a.sock` for the node whose control
    /// socket is `/run/gridway/gw-a.sock`.
    #[must_use]
    pub fn beside(control: &Path) -> Self {
        let folder = control.parent().unwrap_or(Path::new("")).join(Self::FOLDER);
        Self { socket: folder.join(control.file_name().unwrap_or_default()) }
    }
}
