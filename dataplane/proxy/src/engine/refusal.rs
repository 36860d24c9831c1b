//! Why a client got no session, or lost it before it began.

use gridway_wire::frame::ResetReason;

/// Reasons; their order is that of counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum Refusal {
    /// The client's address is not one that the connector allows.
    NotAllowed,
    /// There is no connection with the peer.
    PeerDown,
    /// The node has as many sessions as it may.
    TooManySessions,
    /// No descriptor was left, or a socket could not be made.
    NoSocket,
    /// The peer has no service of this name.
    UnknownService,
    /// The service is not for this peer.
    PeerNotAllowed,
    /// The target lies in no range that the peer may use.
    NotInRange,
    /// The service speaks another protocol.
    ProtocolMismatch,
    /// The target refused.
    ConnectRefused,
    /// The target did not answer in time.
    ConnectTimeout,
    /// The target cannot be reached.
    Unreachable,
    /// The target's name has no address.
    ResolveFailed,
    /// The tunnel was lost before the target was reached.
    TunnelLost,
    /// The peer gave a reason that this version does not know, or none.
    Other,
}

impl Refusal {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::NotAllowed,
        Self::PeerDown,
        Self::TooManySessions,
        Self::NoSocket,
        Self::UnknownService,
        Self::PeerNotAllowed,
        Self::NotInRange,
        Self::ProtocolMismatch,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::Unreachable,
        Self::ResolveFailed,
        Self::TunnelLost,
        Self::Other,
    ];

    /// The reason in snake case, as operators see it. Stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotAllowed => "not_allowed",
            Self::PeerDown => "peer_down",
            Self::TooManySessions => "too_many_sessions",
            Self::NoSocket => "no_socket",
            Self::UnknownService => "unknown_service",
            Self::PeerNotAllowed => "peer_not_allowed",
            Self::NotInRange => "not_in_range",
            Self::ProtocolMismatch => "protocol_mismatch",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Unreachable => "unreachable",
            Self::ResolveFailed => "resolve_failed",
            Self::TunnelLost => "tunnel_lost",
            Self::Other => "other",
        }
    }

    /// What the peer's reset says, where that is a refusal: others end a session that would have begun.
    #[must_use]
    pub fn told(reason: ResetReason) -> Option<Self> {
        Some(match reason {
            ResetReason::ConnectRefused => Self::ConnectRefused,
            ResetReason::ConnectTimeout => Self::ConnectTimeout,
            ResetReason::Unreachable => Self::Unreachable,
            ResetReason::ResolveFailed => Self::ResolveFailed,
            ResetReason::UnknownService => Self::UnknownService,
            ResetReason::PeerNotAllowed => Self::PeerNotAllowed,
            ResetReason::NotInRange => Self::NotInRange,
            ResetReason::ProtocolMismatch => Self::ProtocolMismatch,
            ResetReason::TooManySessions => Self::TooManySessions,
            ResetReason::None | ResetReason::Unknown(_) => Self::Other,
            ResetReason::Aborted | ResetReason::Idle | ResetReason::Ended | ResetReason::ProtocolError => {
                return None;
            }
        })
    }

    /// What the peer is told.
    #[must_use]
    pub fn reset(self) -> ResetReason {
        match self {
            Self::TooManySessions | Self::NoSocket => ResetReason::TooManySessions,
            Self::UnknownService => ResetReason::UnknownService,
            Self::PeerNotAllowed => ResetReason::PeerNotAllowed,
            Self::NotInRange => ResetReason::NotInRange,
            Self::ProtocolMismatch => ResetReason::ProtocolMismatch,
            Self::ConnectRefused => ResetReason::ConnectRefused,
            Self::ConnectTimeout => ResetReason::ConnectTimeout,
            Self::Unreachable => ResetReason::Unreachable,
            Self::ResolveFailed => ResetReason::ResolveFailed,
            Self::NotAllowed | Self::PeerDown | Self::TunnelLost | Self::Other => ResetReason::None,
        }
    }

    /// Why a connection to a target has failed.
    pub(crate) fn of(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::ConnectionRefused => Self::ConnectRefused,
            std::io::ErrorKind::TimedOut => Self::ConnectTimeout,
            _ => Self::Unreachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_the_counters() {
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, index);
        }
    }

    #[test]
    fn what_a_peer_is_told_it_counts_as_the_same() {
        for refusal in Refusal::ALL {
            let told = Refusal::told(refusal.reset());
            assert!(told == Some(refusal) || matches!(told, Some(Refusal::Other | Refusal::TooManySessions)));
        }
    }
}
