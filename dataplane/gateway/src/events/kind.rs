//! What can happen.

/// A kind of event. `docs/events.md` says what each means and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    NodeStarted,
    NodeStops,
    TunnelUp,
    TunnelDown,
    /// A configured peer, or who says that it is one.
    TunnelRefused,
    /// Who is configured nowhere: these have little room, for anybody can make them.
    StrangerRefused,
    CertificateExpires,
    CertificatesReloaded,
    CertificatesRefused,
    ConfigurationChanged,
    ConfigurationRefused,
    MonitorUp,
    MonitorDown,
    TableNearFull,
    TableRelieved,
    SteeredByXdp,
    SteeredByTc,
    XdpGeneric,
    RingsCopy,
    SegmentsAlone,
    ConnectorUnavailable,
    ConnectorAvailable,
    LinkUp,
    LinkDown,
}

impl Kind {
    /// All of them, each at its [`Self::index`].
    pub(super) const ALL: [Self; 24] = [
        Self::NodeStarted,
        Self::NodeStops,
        Self::TunnelUp,
        Self::TunnelDown,
        Self::TunnelRefused,
        Self::StrangerRefused,
        Self::CertificateExpires,
        Self::CertificatesReloaded,
        Self::CertificatesRefused,
        Self::ConfigurationChanged,
        Self::ConfigurationRefused,
        Self::MonitorUp,
        Self::MonitorDown,
        Self::TableNearFull,
        Self::TableRelieved,
        Self::SteeredByXdp,
        Self::SteeredByTc,
        Self::XdpGeneric,
        Self::RingsCopy,
        Self::SegmentsAlone,
        Self::ConnectorUnavailable,
        Self::ConnectorAvailable,
        Self::LinkUp,
        Self::LinkDown,
    ];

    /// The kind as it is written. To whom reads it, a stranger who was refused is a tunnel that was.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::NodeStarted => "node_started",
            Self::NodeStops => "node_stops",
            Self::TunnelUp => "tunnel_up",
            Self::TunnelDown => "tunnel_down",
            Self::TunnelRefused | Self::StrangerRefused => "tunnel_refused",
            Self::CertificateExpires => "certificate_expires",
            Self::CertificatesReloaded => "certificates_reloaded",
            Self::CertificatesRefused => "certificates_refused",
            Self::ConfigurationChanged => "configuration_changed",
            Self::ConfigurationRefused => "configuration_refused",
            Self::MonitorUp => "monitor_up",
            Self::MonitorDown => "monitor_down",
            Self::TableNearFull => "table_near_full",
            Self::TableRelieved => "table_relieved",
            Self::SteeredByXdp => "steered_by_xdp",
            Self::SteeredByTc => "steered_by_tc",
            Self::XdpGeneric => "xdp_generic",
            Self::RingsCopy => "rings_copy",
            Self::SegmentsAlone => "segments_alone",
            Self::ConnectorUnavailable => "connector_unavailable",
            Self::ConnectorAvailable => "connector_available",
            Self::LinkUp => "link_up",
            Self::LinkDown => "link_down",
        }
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Different words that one row may log in a minute: those of a refusal are its reason.
    pub(super) fn most_words(self) -> usize {
        match self {
            Self::TunnelRefused | Self::StrangerRefused => 8,
            Self::CertificatesRefused | Self::ConfigurationRefused | Self::ConnectorUnavailable => 8,
            _ => 1,
        }
    }

    /// Whether repetitions are one row. Who changed the configuration is a record each time.
    pub(super) fn is_folded(self) -> bool {
        self != Self::ConfigurationChanged
    }

    /// The kind that says the contrary: what was said before it is news again after it.
    pub(super) fn contrary(self) -> Option<Self> {
        Some(match self {
            Self::TunnelUp => Self::TunnelDown,
            Self::TunnelDown => Self::TunnelUp,
            Self::MonitorUp => Self::MonitorDown,
            Self::MonitorDown => Self::MonitorUp,
            Self::TableNearFull => Self::TableRelieved,
            Self::TableRelieved => Self::TableNearFull,
            Self::ConnectorUnavailable => Self::ConnectorAvailable,
            Self::ConnectorAvailable => Self::ConnectorUnavailable,
            Self::SteeredByXdp => Self::SteeredByTc,
            Self::SteeredByTc => Self::SteeredByXdp,
            Self::LinkUp => Self::LinkDown,
            Self::LinkDown => Self::LinkUp,
            _ => return None,
        })
    }

    /// Rows that it may have.
    pub(super) fn most_rows(self) -> usize {
        match self {
            Self::StrangerRefused => 32,
            _ => super::ring::CAPACITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_explained() {
        const PAGE: &str = include_str!("../../../../docs/events.md");
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), index);
            let row = format!("| `{}` |", kind.as_str());
            assert!(PAGE.contains(&row), "docs/events.md has no row for {}", kind.as_str());
        }
    }
}
