//! Which reply belongs to which request.

use crate::message::{Killed, Reply, Request};

impl Request {
    /// Whether a reply is of the kind that answers this request, or a row of its list. [`Reply::Error`] and
    /// [`Reply::End`] are neither.
    #[must_use]
    pub fn is_answered_by(&self, reply: &Reply) -> bool {
        matches!(
            (self, reply),
            (Self::Status, Reply::Status(_))
                | (Self::Peers, Reply::Peers(_))
                | (Self::Routes, Reply::Routes(_))
                | (Self::Flows { .. }, Reply::Flows(_))
                | (Self::KillFlows { .. }, Reply::Killed(Killed::Flows(_)))
                | (Self::Sessions { .. }, Reply::Sessions(_))
                | (Self::KillSessions { .. }, Reply::Killed(Killed::Sessions(_)))
                | (Self::Connectors, Reply::Connectors(_))
                | (Self::Services, Reply::Services(_))
                | (Self::Counters, Reply::Counters(_))
                | (Self::Nat, Reply::Nat(_))
                | (Self::Acl, Reply::Acl(_))
                | (Self::Config { .. }, Reply::Config(_))
                | (Self::Limits, Reply::Limits(_))
                | (Self::Connections, Reply::Connections(_))
                | (
                    Self::Apply(_) | Self::Confirm { .. } | Self::Rollback { .. } | Self::ConfigState,
                    Reply::ConfigState(_)
                )
                | (Self::Judge { .. }, Reply::Judgement(_))
                | (Self::InForce, Reply::InForce(_))
                | (Self::Events { .. }, Reply::Events(_))
                | (Self::Simulate(_) | Self::Trace { .. }, Reply::Trace(_))
                | (Self::Capture { .. }, Reply::Captured(_))
                | (Self::Ping { .. }, Reply::Ping(_))
                | (Self::History, Reply::History(_))
                | (Self::Version { .. }, Reply::Version(_))
        )
    }
}
