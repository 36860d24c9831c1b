//! What an engine asks of the node around it.

use std::net::SocketAddr;
use std::sync::Arc;

/// Lets TCP packets to an address that no interface has pass to the kernel, where a socket of the engine is.
pub trait Doors: Send + Sync {
    /// A socket is there. False: there are as many doors as there may be.
    fn open(&self, at: SocketAddr) -> bool;
    /// It is gone.
    fn close(&self, at: SocketAddr);
}

/// A door that is open until it is dropped.
pub(crate) struct Door {
    doors: Arc<dyn Doors>,
    at: SocketAddr,
}

impl Door {
    pub(crate) fn open(doors: &Arc<dyn Doors>, at: SocketAddr) -> Option<Self> {
        doors.open(at).then(|| Self { doors: doors.clone(), at })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.doors.close(self.at);
    }
}
