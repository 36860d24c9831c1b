//! How long a flow may stay idle.

use std::time::Duration;

use gridway_config::FlowTimeouts;
use gridway_wire::protocol::Protocol;
use gridway_wire::tcp::TcpFlags;

use super::FlowView;

/// State of a flow, derived from the flags seen; shown to operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// TCP whose handshake is not complete, or that was taken up in mid-stream and not answered yet.
    Opening,
    /// TCP with traffic both ways after its handshake, or taken up in mid-stream; no end in sight.
    Established,
    /// TCP after a FIN or a reset.
    Closing,
    /// Traffic of another protocol, one way so far.
    OneWay,
    /// Traffic of another protocol, both ways.
    TwoWay,
}

impl State {
    /// The state in one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Established => "established",
            Self::Closing => "closing",
            Self::OneWay => "one-way",
            Self::TwoWay => "two-way",
        }
    }

    /// State of the flow as it stands.
    #[must_use]
    pub fn of(flow: &FlowView) -> Self {
        let [local, overlay] = flow.traffic.map(|traffic| traffic.tcp_flags);
        let both_ways = flow.traffic.iter().all(|traffic| traffic.packets > 0);
        if flow.local.protocol != Protocol::TCP {
            return if both_ways { Self::TwoWay } else { Self::OneWay };
        }
        let ended = |flags: TcpFlags| flags.fin() || flags.rst();
        let midstream = !local.syn() && !overlay.syn();
        if ended(local) || ended(overlay) {
            Self::Closing
        } else if both_ways && (midstream || (local.ack() && overlay.ack())) {
            Self::Established
        } else {
            Self::Opening
        }
    }
}

/// The idle limit of a flow (RFC 5382, REQ-5; RFC 4787, REQ-5; RFC 5508, REQ-2).
#[must_use]
pub fn idle_limit(flow: &FlowView, limits: &FlowTimeouts) -> Duration {
    match flow.local.protocol {
        Protocol::TCP if State::of(flow) == State::Established => limits.tcp_established,
        Protocol::TCP => limits.tcp_transitory,
        Protocol::ICMP | Protocol::ICMPV6 => limits.icmp,
        _ => limits.udp,
    }
}
