//! Sessions that are named by others: timers, answers and waiters that may outlive them.

use slab::Slab;

use super::session::Session;

/// A session by its place and its id: when it has ended, another may have the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Handle {
    pub(crate) key: usize,
    pub(crate) id: u64,
}

impl Session {
    /// The name of this session, whose place is `key`.
    pub(super) fn handle(&self, key: usize) -> Handle {
        Handle { key, id: self.info.id }
    }
}

/// The session of that name, if it lives.
pub(super) fn find(sessions: &mut Slab<Session>, handle: Handle) -> Option<&mut Session> {
    sessions.get_mut(handle.key).filter(|session| session.info.id == handle.id)
}
