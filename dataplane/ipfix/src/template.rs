//! The templates (RFC 7011, 3.4.1).

use crate::flow::{Event, Flow};
use crate::item::Item;

/// Set id of templates.
pub(crate) const TEMPLATES: u16 = 2;

/// What both kinds of records begin with.
const COMMON: [Item; 15] = [
    Item::FirewallEvent,
    Item::BiflowDirection,
    Item::Protocol,
    Item::Source,
    Item::Destination,
    Item::SourcePort,
    Item::DestinationPort,
    Item::TranslatedSource,
    Item::TranslatedDestination,
    Item::TranslatedSourcePort,
    Item::TranslatedDestinationPort,
    Item::Start,
    Item::End,
    Item::Vnet,
    Item::Peer,
];

/// What ends have besides. The reverse flags come first: collectors that know no reverse elements may take both for
/// one, and keep the last.
const OF_ENDS: [Item; 7] = [
    Item::EndReason,
    Item::ReverseOctets,
    Item::ReversePackets,
    Item::ReverseTcpControlBits,
    Item::Octets,
    Item::Packets,
    Item::TcpControlBits,
];

/// A kind of data record; its number is its template id and set id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Template {
    /// The beginning of a flow of IPv4.
    StartV4 = 256,
    /// The beginning of a flow of IPv6.
    StartV6 = 257,
    /// The end of a flow of IPv4.
    EndV4 = 258,
    /// The end of a flow of IPv6.
    EndV6 = 259,
}

impl Template {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::StartV4, Self::StartV6, Self::EndV4, Self::EndV6];

    /// The template that `flow` is exported by.
    #[must_use]
    pub fn of(flow: &Flow<'_>) -> Self {
        match (flow.event, flow.tuple.source.is_ipv4()) {
            (Event::Start, true) => Self::StartV4,
            (Event::Start, false) => Self::StartV6,
            (Event::End(_), true) => Self::EndV4,
            (Event::End(_), false) => Self::EndV6,
        }
    }

    /// The id of the template and of its data sets.
    #[must_use]
    pub fn id(self) -> u16 {
        self as u16
    }

    /// What its records hold, in order.
    pub fn items(self) -> impl Iterator<Item = Item> {
        let ends: &[Item] = match self {
            Self::StartV4 | Self::StartV6 => &[],
            Self::EndV4 | Self::EndV6 => &OF_ENDS,
        };
        COMMON.iter().chain(ends).copied()
    }

    /// Writes its template record.
    pub(crate) fn specify(self, out: &mut Vec<u8>) {
        let fields = u16::try_from(self.items().count()).expect("a few fields");
        out.extend_from_slice(&self.id().to_be_bytes());
        out.extend_from_slice(&fields.to_be_bytes());
        let v6 = matches!(self, Self::StartV6 | Self::EndV6);
        self.items().for_each(|item| item.specify(v6, out));
    }
}
