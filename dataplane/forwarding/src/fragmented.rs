//! Later fragments on their way.

use gridway_wire::packet::{Packet, parse};
use gridway_wire::rewrite::{Rewrite, rewrite};
use gridway_wire::tcp::TcpFlags;
use gridway_wire::time::Nanos;

use crate::flow::Side;
use crate::forwarder::Forwarder;
use crate::fragments::{DatagramKey, Later, Onward};
use crate::ids::VnetId;
use crate::reason::DropReason;
use crate::refusal::Refusal;
use crate::relay::ONE_HOP;
use crate::steps::Step;
use crate::verdict::{Inbound, Origin, Outbound, Target};

impl Forwarder {
    pub(crate) fn later_from_local(
        &mut self,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<Outbound, Refusal> {
        match self.later(&DatagramKey::local(packet), Side::Local, bytes, packet, now)? {
            None => Ok(Outbound::Held),
            Some((Onward { to: Target::Tunnel(to), .. }, len)) => Ok(Outbound::Tunnel { to, len }),
            Some((Onward { to: Target::Local(destination), .. }, len)) => {
                Ok(Outbound::Answer { destination, len })
            }
        }
    }

    pub(crate) fn later_from_overlay(
        &mut self,
        vnet: VnetId,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<Inbound, Refusal> {
        match self.later(&DatagramKey::overlay(vnet, packet), Side::Overlay, bytes, packet, now)? {
            None => Ok(Inbound::Held),
            Some((onward, len)) => self.send_on(&onward, bytes, len, now),
        }
    }

    /// `None`: it waits for the first fragment.
    fn later(
        &mut self,
        key: &DatagramKey,
        side: Side,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<Option<(Onward, usize)>, Refusal> {
        if packet.ttl <= 1 {
            return Err(DropReason::TtlExceeded.into());
        }
        let later = self.fragments.later(key, side, &bytes[..packet.total_len], now);
        self.notes.note(|| Step::Fragment { follows: matches!(later, Later::Follows(_)) });
        match later {
            Later::Follows(onward) => {
                let len = self.follow(&onward, bytes, packet, now)?;
                Ok(Some((onward, len)))
            }
            Later::Held => Ok(None),
            Later::Dropped(refusal) => Err(refusal),
        }
    }

    /// Translates a later fragment as its first was, and cuts it to the size of its path.
    fn follow(
        &mut self,
        onward: &Onward,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<usize, Refusal> {
        self.check_size(packet, onward.mtu)?;
        let change =
            Rewrite { source: Some(onward.source), destination: Some(onward.destination), ..ONE_HOP };
        rewrite(bytes, packet, &change).map_err(|_| DropReason::FragmentExpired)?;
        if let Some(flow) = onward.flow {
            self.flows.touch(flow, onward.side, packet.total_len, TcpFlags::default(), now);
        }
        Ok(self.fit(bytes, packet, onward))
    }

    /// The first fragment of a datagram was judged: those that waited share its fate.
    pub(crate) fn first_was_judged(
        &mut self,
        key: &DatagramKey,
        outcome: &Result<Onward, Refusal>,
        now: Nanos,
    ) {
        let waited = self.fragments.first(key, *outcome, now);
        let from_local = key.is_local();
        for mut bytes in waited {
            let books = if from_local { &self.counters.outbound } else { &self.counters.inbound };
            books.dequeued.add(1);
            let sent = outcome.and_then(|onward| self.release(&onward, &mut bytes, from_local, now));
            if let Err(refusal) = sent {
                let books = if from_local { &self.counters.outbound } else { &self.counters.inbound };
                books.drop(refusal.reason, 1);
            }
        }
    }

    /// Sends a fragment that was held.
    fn release(
        &mut self,
        onward: &Onward,
        bytes: &mut Vec<u8>,
        from_local: bool,
        now: Nanos,
    ) -> Result<(), Refusal> {
        let packet = parse(bytes)?;
        let place = self.emissions.end();
        let len = self.follow(onward, bytes, &packet, now)?;
        let (origin, to, len) = if from_local {
            (Origin::Outbound, onward.to, len)
        } else {
            let (to, len) = match self.send_on(onward, bytes, len, now)? {
                Inbound::Relay { to, len } => (Target::Tunnel(to), len),
                Inbound::Deliver { destination, len } => (Target::Local(destination), len),
                Inbound::Drop(reason) => return Err(reason.into()),
                Inbound::Held | Inbound::Answer { .. } | Inbound::Consumed => {
                    unreachable!("a later fragment that follows its first is sent or dropped")
                }
            };
            (Origin::Inbound, to, len)
        };
        bytes.truncate(len);
        // In front of what was cut off it.
        self.emissions.insert(place, to, origin, std::mem::take(bytes));
        Ok(())
    }
}
