//! Questions about Layer 4.

use std::time::Duration;

use gridway_control::{ConnectorRow, Killed, PeerRow, Reply, Request, ServiceRow, SessionRow, Sessions};

use crate::error::{LabError, Result};
use crate::gateway::node::Gateway;
use crate::gateway::query::ask;

impl Gateway {
    /// How many sessions it has, and as many of them as one answer holds.
    ///
    /// # Errors
    /// [`LabError::Control`]; likewise below.
    pub fn session_list(&self) -> Result<Sessions> {
        ask!(self, Request::Sessions { limit: Request::DEFAULT_LIMIT }, Sessions)
    }

    /// Its sessions, as many as one answer holds.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn sessions(&self) -> Result<Vec<SessionRow>> {
        self.session_list().map(|sessions| sessions.rows)
    }

    /// Ends sessions and returns how many there were.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn kill_sessions(&self, ids: &[u64]) -> Result<u64> {
        match ask!(self, Request::KillSessions { ids: ids.to_vec() }, Killed)? {
            Killed::Sessions(count) => Ok(count),
            other @ Killed::Flows(_) => Err(LabError::Control(format!("unexpected reply {other:?}"))),
        }
    }

    /// Its connectors and port forwards.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn connectors(&self) -> Result<Vec<ConnectorRow>> {
        ask!(self, Request::Connectors, Connectors)
    }

    /// Its services and service ranges.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn services(&self) -> Result<Vec<ServiceRow>> {
        ask!(self, Request::Services, Services)
    }

    /// One connector or port forward.
    ///
    /// # Errors
    /// [`LabError::Control`], also when there is none.
    pub fn connector(&self, name: &str) -> Result<ConnectorRow> {
        let missing = || LabError::Control(format!("{} has no connector {name}", self.config().name()));
        self.connectors()?.into_iter().find(|row| row.name == name).ok_or_else(missing)
    }

    /// One service.
    ///
    /// # Errors
    /// [`LabError::Control`], also when there is none.
    pub fn service(&self, name: &str) -> Result<ServiceRow> {
        let missing = || LabError::Control(format!("{} has no service {name}", self.config().name()));
        self.services()?.into_iter().find(|row| row.name.as_deref() == Some(name)).ok_or_else(missing)
    }

    /// Waits until sessions with a peer can begin.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the end of the log.
    pub fn wait_streams_up(&self, peer: &str, limit: Duration) -> Result<PeerRow> {
        self.wait_peer(peer, "up for streams", limit, |peer| peer.stream_connections > 0)
    }
}
