//! Configurations: read, and in force.

use std::path::Path;
use std::sync::Arc;

use gridway_config::{Config, ConfigErrors, ConfigWarning};
use gridway_control::{ConfigState, Pending};
use gridway_wire::time::Nanos;

use super::saved::{self, Stamp};
use crate::node::Node;
use crate::reload;

/// A configuration that is or was in force.
#[derive(Debug)]
pub(crate) struct Version {
    /// As it was given, with its comments.
    pub(crate) toml: String,
    pub(super) config: Arc<Config>,
    pub(crate) digest: String,
    /// Seconds since 1970.
    pub(super) since: u64,
    pub(super) by: String,
}

/// What is in force, for all threads to see.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) version: Arc<Version>,
    /// Who made it, until when, and the digest of the one that comes back then.
    pub(super) pending: Option<(String, Nanos, String)>,
    /// Whether the node's file holds it, unless somebody else has written to it since.
    pub(super) saved: bool,
    /// The file as the node left it.
    pub(super) stamp: Option<Stamp>,
}

impl InForce {
    /// What was read from the node's file.
    pub(crate) fn of_file(version: Arc<Version>, file: &Path) -> Self {
        Self { version, pending: None, saved: true, stamp: saved::stamp(file) }
    }

    /// The change that awaits confirmation.
    pub(super) fn pending(&self, node: &Node) -> Option<Pending> {
        self.pending.as_ref().map(|(by, deadline, previous)| Pending {
            by: by.clone(),
            left_s: deadline.since(node.clock.now()).as_secs(),
            previous: previous.clone(),
        })
    }

    /// As the control protocol shows it.
    pub(crate) fn state(&self, node: &Node) -> ConfigState {
        let Version { digest, since, by, .. } = &*self.version;
        ConfigState {
            digest: digest.clone(),
            generation: node.policy.load().generation,
            since: *since,
            by: by.clone(),
            pending: self.pending(node),
            saved: self.saved && saved::is_untouched(&node.file, self.stamp),
        }
    }
}

/// The configuration of a file, not in force yet.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) config: Config,
    pub(super) toml: String,
    pub(super) warnings: Vec<ConfigWarning>,
}

/// Reads a configuration that is meant for `file`.
pub(crate) fn read(toml: String, file: &Path) -> Result<Opened, ConfigErrors> {
    let (config, warnings) = Config::parse_with_warnings(&toml, file)?;
    Ok(Opened { config, toml, warnings })
}

/// Reads the configuration in `file`.
pub(crate) fn open(file: &Path) -> Result<Opened, ConfigErrors> {
    read(Config::read_file(file)?, file)
}

impl Opened {
    /// Logs what is odd about it.
    pub(crate) fn log_warnings(&self) {
        reload::log_warnings(&self.warnings);
    }

    /// Makes it a version, put into force by `by` at `since`, seconds since 1970.
    pub(crate) fn into_version(self, config: Arc<Config>, by: &str, since: u64) -> Arc<Version> {
        let digest = saved::digest(&self.toml);
        Arc::new(Version { toml: self.toml, config, digest, since, by: by.to_owned() })
    }
}
