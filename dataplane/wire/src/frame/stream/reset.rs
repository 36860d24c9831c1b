//! Why a stream ends at once.

/// Why a stream ends at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResetReason {
    /// None is given.
    None,
    /// An end of the connection that the stream carries has reset it.
    Aborted,
    /// The target refused the connection.
    ConnectRefused,
    /// The target did not answer in time.
    ConnectTimeout,
    /// The target cannot be reached.
    Unreachable,
    /// The target's name has no address.
    ResolveFailed,
    /// There is no service of this name.
    UnknownService,
    /// The service is not for this peer.
    PeerNotAllowed,
    /// The target lies in no range that this peer may use.
    NotInRange,
    /// The service speaks another protocol.
    ProtocolMismatch,
    /// The node has as many sessions as it may.
    TooManySessions,
    /// Nothing was sent for as long as the connector allows.
    Idle,
    /// An operator or a change of configuration has ended it.
    Ended,
    /// What was sent is not what the protocol of the service allows.
    ProtocolError,
    /// A reason of a later version.
    Unknown(u16),
}

impl ResetReason {
    /// The reason with this code.
    pub const fn from_u16(code: u16) -> Self {
        match code {
            0 => Self::None,
            1 => Self::Aborted,
            2 => Self::ConnectRefused,
            3 => Self::ConnectTimeout,
            4 => Self::Unreachable,
            5 => Self::ResolveFailed,
            6 => Self::UnknownService,
            7 => Self::PeerNotAllowed,
            8 => Self::NotInRange,
            9 => Self::ProtocolMismatch,
            10 => Self::TooManySessions,
            11 => Self::Idle,
            12 => Self::Ended,
            13 => Self::ProtocolError,
            other => Self::Unknown(other),
        }
    }

    /// The code of this reason.
    pub const fn to_u16(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Aborted => 1,
            Self::ConnectRefused => 2,
            Self::ConnectTimeout => 3,
            Self::Unreachable => 4,
            Self::ResolveFailed => 5,
            Self::UnknownService => 6,
            Self::PeerNotAllowed => 7,
            Self::NotInRange => 8,
            Self::ProtocolMismatch => 9,
            Self::TooManySessions => 10,
            Self::Idle => 11,
            Self::Ended => 12,
            Self::ProtocolError => 13,
            Self::Unknown(other) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_the_code_of_its_reason() {
        for code in 0..=u16::MAX {
            assert_eq!(ResetReason::from_u16(code).to_u16(), code);
        }
    }
}
