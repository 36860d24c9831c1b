//! Questions to a running node, over its control socket or with the operator's command line.

use std::time::Duration;

use gridway_control::{
    AclRow, Client, ConnectionRow, Counters, EventRow, Events, FlowFilter, FlowRow, LimitRow, NatRow,
    PeerRow, PeerState, Reply, Request, RouteRow, Status,
};
use serde_json::Value;

use crate::command::Command;
use crate::error::{LabError, Result};
use crate::gateway::binaries::find_binary;
use crate::gateway::node::Gateway;
use crate::wait::try_wait_until;

/// Asks, and takes the one kind of reply that belongs to the question.
macro_rules! ask {
    ($gateway:expr, $request:expr, $reply:ident) => {
        match $gateway.ask(&$request)? {
            Reply::$reply(value) => Ok(value),
            other => Err(LabError::Control(format!("unexpected reply {other:?}"))),
        }
    };
}

pub(super) use ask;

impl Gateway {
    /// Asks over a new connection to the control socket.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn ask(&self, request: &Request) -> Result<Reply> {
        let reply = Client::connect(&self.socket()).and_then(|mut client| client.ask(request));
        reply.map_err(|error| LabError::Control(format!("{}: {error}", self.config().name())))
    }

    /// The node at a glance.
    ///
    /// # Errors
    /// [`LabError::Control`]; likewise for the questions below.
    pub fn status(&self) -> Result<Status> {
        ask!(self, Request::Status, Status).map(|status| *status)
    }

    /// Its peers.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn peers(&self) -> Result<Vec<PeerRow>> {
        ask!(self, Request::Peers, Peers)
    }

    /// Its routes.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn routes(&self) -> Result<Vec<RouteRow>> {
        ask!(self, Request::Routes, Routes)
    }

    /// Its NAT entries.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn nat(&self) -> Result<Vec<NatRow>> {
        ask!(self, Request::Nat, Nat)
    }

    /// Its access rules.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn acl(&self) -> Result<Vec<AclRow>> {
        ask!(self, Request::Acl, Acl)
    }

    /// How full its tables are.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn limits(&self) -> Result<Vec<LimitRow>> {
        ask!(self, Request::Limits, Limits)
    }

    /// Its tunnels' connections, with what the kernel says of them.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn connections(&self) -> Result<Vec<ConnectionRow>> {
        ask!(self, Request::Connections, Connections)
    }

    /// Its events with numbers above `after`, as far as there are any.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn events(&self, after: u64) -> Result<Events> {
        ask!(self, Request::Events { after, wait_ms: 0 }, Events)
    }

    /// Waits until an event of a kind is about a subject that begins so, and returns its row.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the end of the log.
    pub fn wait_event(&self, kind: &str, subject: &str, after: u64, limit: Duration) -> Result<EventRow> {
        let what = format!("event {kind} {subject} of {}", self.config().name());
        let wanted = |row: &EventRow| row.kind == kind && row.subject.starts_with(subject);
        let found = try_wait_until(&what, limit, || {
            let events = ask!(self, Request::Events { after, wait_ms: 200 }, Events)?;
            Ok(events.rows.into_iter().find(wanted))
        });
        found.map_err(|error| self.with_log(error))
    }

    /// Its flows, as many as one answer holds.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn flows(&self) -> Result<Vec<FlowRow>> {
        let request = Request::Flows { filter: FlowFilter::default(), limit: Request::DEFAULT_LIMIT };
        ask!(self, request, Flows).map(|flows| flows.rows)
    }

    /// Its packet counters.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn counters(&self) -> Result<Counters> {
        ask!(self, Request::Counters, Counters).map(|counters| *counters)
    }

    /// Packets dropped for a reason, both directions; 0 for a reason that never occurred.
    ///
    /// # Errors
    /// [`LabError::Control`].
    pub fn drops(&self, reason: &str) -> Result<u64> {
        Ok(self.counters()?.drops.get(reason).copied().unwrap_or(0))
    }

    /// One peer.
    ///
    /// # Errors
    /// [`LabError::Control`], also when it is not configured.
    pub fn peer(&self, name: &str) -> Result<PeerRow> {
        let missing = || LabError::Control(format!("{} has no peer {name}", self.config().name()));
        self.peers()?.into_iter().find(|peer| peer.name == name).ok_or_else(missing)
    }

    /// Waits until a peer is up.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the end of the log.
    pub fn wait_peer_up(&self, name: &str, limit: Duration) -> Result<PeerRow> {
        self.wait_peer(name, "up", limit, |peer| peer.state == PeerState::Up)
    }

    /// Waits until a peer is anything but up.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the end of the log.
    pub fn wait_peer_down(&self, name: &str, limit: Duration) -> Result<PeerRow> {
        self.wait_peer(name, "not up", limit, |peer| peer.state != PeerState::Up)
    }

    /// Waits until a peer satisfies a condition; `state` describes it in the error.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the end of the log.
    pub fn wait_peer(
        &self,
        name: &str,
        state: &str,
        limit: Duration,
        condition: impl Fn(&PeerRow) -> bool,
    ) -> Result<PeerRow> {
        let what = format!("peer {name} of {} {state}", self.config().name());
        let found =
            try_wait_until(&what, limit, || Ok(Some(self.peer(name)?).filter(|peer| condition(peer))));
        found.map_err(|error| self.with_log(error))
    }

    /// `gridway ARGS --socket …`, in the node's directory; nothing is run.
    ///
    /// # Errors
    /// [`LabError::MissingBinary`].
    pub fn gridway(&self, args: &[&str]) -> Result<Command> {
        let command = self.namespace().command(find_binary("gridway")?).args(args);
        Ok(command.arg("--socket").arg(self.socket()).current_dir(self.dir()))
    }

    /// Runs `gridway ARGS --socket … --json` and returns what it printed.
    ///
    /// # Errors
    /// [`LabError::MissingBinary`], [`LabError::Failed`], [`LabError::Parse`].
    pub fn cli(&self, args: &[&str]) -> Result<Value> {
        let output = self.gridway(args)?.arg("--json").run()?.stdout;
        serde_json::from_str(&output).map_err(|_| LabError::Parse {
            tool: "gridway",
            expected: "JSON",
            output,
        })
    }
}
