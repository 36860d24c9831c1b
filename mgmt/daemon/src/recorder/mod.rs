//! Follows the data plane and keeps what it sees. The data plane is asked, never the other way round; what happens
//! while this process does not run is read from what the data plane remembers, or is missed.

mod config;
mod events;
mod samples;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gridway_config::HistoryStore;
use gridway_control::Severity;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::feed::{Feed, OwnEvents};
use crate::node::Node;
use crate::store::Store;

/// How long to wait after a data plane did not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// As [`AGAIN`], where it does not know the request.
const UNKNOWN: Duration = Duration::from_secs(10);

/// What the recorder's parts share.
#[derive(Clone)]
pub(crate) struct Recorder {
    node: Node,
    store: Store,
    feed: Arc<Feed>,
    own: Arc<OwnEvents>,
}

impl Recorder {
    pub(crate) fn new(node: Node, store: Store, feed: Arc<Feed>) -> Self {
        let own = Arc::new(OwnEvents::new(feed.clone()));
        Self { node, store, feed, own }
    }

    /// Starts to record. `changed` has the configuration looked at soon, `damaged` tells of databases that were.
    pub(crate) fn start(
        self,
        keep: &HistoryStore,
        changed: Arc<Notify>,
        damaged: mpsc::UnboundedReceiver<PathBuf>,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.clone().follow_events());
        tasks.spawn(self.clone().follow_config(changed));
        tasks.spawn(self.clone().sample(keep.keep, keep.versions));
        tasks.spawn(self.tell_of_damage(damaged));
        tasks
    }

    async fn tell_of_damage(self, mut damaged: mpsc::UnboundedReceiver<PathBuf>) {
        while let Some(path) = damaged.recv().await {
            let message = format!("it was damaged and is now {}; a fresh one was begun", path.display());
            self.own.tell(&self.store, Severity::Error, "database_damaged", "database", &message);
        }
    }
}
