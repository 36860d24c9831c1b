//! The way from control clients to the main thread.

use crossbeam::channel::{Receiver, Sender, bounded};
use gridway_control::{FailureKind, Reply};

use super::{Opened, refuse};

/// What a control client asks the main thread to do.
#[derive(Debug)]
pub(crate) enum Task {
    Apply {
        /// Read on the client's thread: the main one has other things to do.
        opened: Box<Opened>,
        terms: Terms,
    },
    Confirm {
        /// The change that is meant.
        digest: Option<String>,
    },
    Rollback {
        /// The change that is meant.
        digest: Option<String>,
    },
    Judge(Box<Opened>),
}

/// On which terms a configuration is put into force.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) confirm_within_s: Option<u64>,
    /// Digest of the configuration that it was made from.
    pub(crate) base: Option<String>,
}

/// A task and who waits for its outcome.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(super) task: Task,
    pub(super) by: String,
    pub(super) answer: Sender<Reply>,
}

/// The way to the main thread.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Sender<Ask>);

impl Desk {
    /// Tasks wait in a queue this long; clients are fewer.
    const QUEUE: usize = 64;

    pub(crate) fn open() -> (Self, Receiver<Ask>) {
        let (sender, receiver) = bounded(Self::QUEUE);
        (Self(sender), receiver)
    }

    /// Has the main thread do `task`, and waits for the outcome.
    pub(crate) fn ask(&self, task: Task, by: String) -> Reply {
        let (answer, outcome) = bounded(1);
        let sent = self.0.send(Ask { task, by, answer }).is_ok();
        let reply = sent.then(|| outcome.recv().ok()).flatten();
        reply.unwrap_or_else(|| refuse(FailureKind::Internal, "the node is stopping"))
    }
}
