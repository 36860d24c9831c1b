//! Fragments follow the first one of their datagram; those that come earlier wait for it.

use std::net::IpAddr;
use std::time::Duration;

use super::{Forwarded, Onward, Refusal, Sent, Stop, check_size, check_ttl, fit, one_hop};
use crate::model::Model;
use crate::oracle::Oracle;
use crate::packet::Packet;
use crate::reason::{FRAGMENT_EXPIRED, FRAGMENT_LIMIT, Reason};
use crate::step::Whence;
use crate::tuple::Tuple;

/// Fragments of a datagram that may wait.
const MOST_HELD: usize = 16;
/// A datagram is followed this long: from its first fragment, or as long as that is missing from the first to come.
const REMEMBERED: Duration = Duration::from_secs(15);

/// Which datagram: addresses mean something only within a vnet, or on the data link.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    vnet: Option<String>,
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    identification: u32,
}

impl Key {
    fn of(whence: &Whence, packet: &Packet) -> Self {
        let vnet = match whence {
            Whence::Local => None,
            Whence::Overlay { vnet, .. } => Some(vnet.clone()),
        };
        let (source, destination, protocol) = (packet.source, packet.destination, packet.protocol);
        Self { vnet, source, destination, protocol, identification: packet.piece.identification }
    }
}

/// A datagram that comes in fragments.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    key: Key,
    since: Duration,
    /// What became of the first fragment.
    first: Option<First>,
    /// Later fragments that came before it, in order of arrival.
    held: Vec<Packet>,
}

/// The way that the later fragments take as well, or why they do not.
type First = Result<Onward, Refusal>;

/// A fragment that had waited, and the fate of its first.
#[derive(Clone, Debug)]
pub(crate) struct Waited {
    packet: Packet,
    first: First,
}

impl Model {
    fn datagram(&mut self, whence: &Whence, packet: &Packet) -> &mut Datagram {
        let key = Key::of(whence, packet);
        let place = self.datagrams.iter().position(|datagram| datagram.key == key).unwrap_or_else(|| {
            let since = self.now;
            let datagram = Datagram { key, since, first: None, held: Vec::new() };
            self.datagrams.push(datagram);
            self.datagrams.len() - 1
        });
        &mut self.datagrams[place]
    }

    /// Whether what became of the first fragment is known.
    pub(super) fn has_first(&self, whence: &Whence, packet: &Packet) -> bool {
        let key = Key::of(whence, packet);
        self.datagrams.iter().any(|datagram| datagram.key == key && datagram.first.is_some())
    }

    /// A later fragment goes as its first one did, whatever has changed since; without it it waits.
    pub(super) fn later_fragment(
        &mut self,
        whence: &Whence,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<Sent, Stop> {
        check_ttl(packet)?;
        let datagram = self.datagram(whence, packet);
        let Some(first) = datagram.first.clone() else {
            if datagram.held.len() == MOST_HELD {
                return Err(Refusal::of(FRAGMENT_LIMIT).into());
            }
            datagram.held.push(packet.clone());
            return Err(Stop::Held);
        };
        self.follow(&first, packet, oracle)
    }

    /// Sends a fragment that had waited.
    pub(super) fn release(&mut self, waited: &Waited, oracle: &mut dyn Oracle) -> Result<Sent, Stop> {
        self.follow(&waited.first, &waited.packet, oracle)
    }

    fn follow(&mut self, first: &First, packet: &Packet, oracle: &mut dyn Oracle) -> Result<Sent, Stop> {
        let onward = first.clone()?;
        check_size(packet, onward.mtu)?;
        let Onward { source, destination, .. } = onward;
        let there = Tuple { source, destination, ..packet.tuple() };
        let pieces = fit(&one_hop(packet).translated(&there), onward.mtu);
        if let Some(flow) = onward.flow {
            self.saw(flow, onward.side, packet);
        }
        self.send_on(Forwarded { onward, pieces }, oracle)
    }

    /// Remembers what became of a first fragment, and lets those that waited for it go.
    pub(super) fn note_first(&mut self, whence: &Whence, packet: &Packet, outcome: &Result<Forwarded, Stop>) {
        if !packet.is_first_fragment() {
            return;
        }
        let first = match outcome {
            Ok(forwarded) => Ok(forwarded.onward.clone()),
            Err(Stop::Refused(refusal)) => Err(*refusal),
            Err(Stop::Silent(reason)) => Err(Refusal::of(reason)),
            Err(Stop::Held | Stop::Illegal(_)) => return,
        };
        let now = self.now;
        let datagram = self.datagram(whence, packet);
        // Seen before or not: the datagram begins here.
        datagram.since = now;
        datagram.first = Some(first.clone());
        let held = std::mem::take(&mut datagram.held);
        let waited = held.into_iter().map(|packet| Waited { packet, first: first.clone() });
        self.released.extend(waited);
    }

    /// Forgets datagrams that are too old; gives the fates of the fragments that still waited.
    pub(crate) fn expire_datagrams(&mut self) -> Vec<Reason> {
        let now = self.now;
        let (old, young): (Vec<_>, Vec<_>) = std::mem::take(&mut self.datagrams)
            .into_iter()
            .partition(|datagram| now - datagram.since >= REMEMBERED);
        self.datagrams = young;
        old.iter().flat_map(|datagram| datagram.held.iter().map(|_| FRAGMENT_EXPIRED)).collect()
    }
}
