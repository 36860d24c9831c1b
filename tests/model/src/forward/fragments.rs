//! Fragments follow the first one of their datagram; those that come earlier wait for it.

use std::net::IpAddr;
use std::time::Duration;

use super::{Refusal, Sent, Stop};
use crate::flow::Flow;
use crate::model::Model;
use crate::packet::Packet;
use crate::reason::{FRAGMENT_EXPIRED, FRAGMENT_FULL, NO_FLOW, Reason};
use crate::step::Whence;

/// Fragments of a datagram that may wait.
const MOST_HELD: usize = 16;
/// A datagram is forgotten this long after its first packet.
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
    held: Vec<(Whence, Packet)>,
}

#[derive(Clone, Copy, Debug)]
enum First {
    /// It passed, in this flow.
    Passed(u64),
    Dropped(Reason),
}

impl Model {
    fn datagram(&mut self, key: Key) -> &mut Datagram {
        let place = self.datagrams.iter().position(|datagram| datagram.key == key).unwrap_or_else(|| {
            self.datagrams.push(Datagram { key, since: self.now, first: None, held: Vec::new() });
            self.datagrams.len() - 1
        });
        &mut self.datagrams[place]
    }

    /// The flow that a later fragment belongs to, judged again as at any other packet.
    pub(super) fn follow_first(&mut self, whence: &Whence, packet: &Packet) -> Result<Flow, Stop> {
        let refuse = |reason| match whence {
            Whence::Local => Refusal::without_vnet(reason),
            Whence::Overlay { vnet, .. } => Refusal::of(vnet, reason),
        };
        let datagram = self.datagram(Key::of(whence, packet));
        let id = match datagram.first {
            Some(First::Passed(id)) => id,
            Some(First::Dropped(reason)) => return Err(refuse(reason).into()),
            None if datagram.held.len() == MOST_HELD => return Err(refuse(FRAGMENT_FULL).into()),
            None => {
                datagram.held.push((whence.clone(), packet.clone()));
                return Err(Stop::Held);
            }
        };
        let flow = self.flow(id).cloned().ok_or(refuse(NO_FLOW))?;
        Ok(self.judge_again(&flow)?.ok_or(refuse(NO_FLOW))?)
    }

    /// Remembers what became of a first fragment, and lets those that waited for it go.
    pub(super) fn note_first(&mut self, whence: &Whence, packet: &Packet, result: &Result<Sent, Stop>) {
        if !packet.is_first_fragment() {
            return;
        }
        let first = match result {
            Ok(Sent { flow: Some(id), .. }) => First::Passed(*id),
            Err(Stop::Refused(refusal)) => First::Dropped(refusal.reason),
            Ok(_) | Err(Stop::Held | Stop::Illegal(_)) => return,
        };
        let datagram = self.datagram(Key::of(whence, packet));
        datagram.first = Some(first);
        let held = std::mem::take(&mut datagram.held);
        self.released.extend(held);
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
