//! Packets that are judged soon: what they need is fetched for all of them together.
//!
//! One look-up after the other waits for memory once a packet; look-ups that are begun together wait at the same time.
//! What was found out about a packet for that is not worked out again when its turn comes.

use gridway_wire::plain::Plain;

use crate::flow::{Begun, Key, Side};
use crate::forwarder::Forwarder;
use crate::ids::VnetId;

/// Look-ups that wait for their index lines at the same time: as many as caches hold beside the packets.
const GROUP: usize = 64;

/// What is known of a plain packet before it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    pub(crate) plain: Plain,
    pub(crate) look_up: Begun,
}

/// What is known of packets, in their order. It is true of these only, and until one of them is changed in its addresses,
/// ports, length or flags.
#[derive(Debug, Default)]
pub struct Expectations(Vec<Option<Expected>>);

impl Expectations {
    /// What is known of the packet with this number, from 0.
    #[inline]
    #[must_use]
    pub fn of(&self, number: usize) -> Option<&Expected> {
        self.0.get(number)?.as_ref()
    }
}

impl Forwarder {
    /// Learns what it can of packets that [`Self::outbound_expected`] will be given soon.
    pub fn expect_outbound<'p>(&self, packets: impl Iterator<Item = &'p [u8]>, learnt: &mut Expectations) {
        self.expect(Side::Local, packets, Key::plain_local, learnt);
    }

    /// As [`Self::expect_outbound`], for [`Self::inbound_expected`].
    pub fn expect_inbound<'p>(
        &self,
        vnet: VnetId,
        packets: impl Iterator<Item = &'p [u8]>,
        learnt: &mut Expectations,
    ) {
        self.expect(Side::Overlay, packets, |plain| Key::plain_overlay(vnet, plain), learnt);
    }

    fn expect<'p>(
        &self,
        side: Side,
        packets: impl Iterator<Item = &'p [u8]>,
        key: impl Fn(&Plain) -> Key,
        learnt: &mut Expectations,
    ) {
        learnt.0.clear();
        let mut packets = packets.map(|packet| {
            let plain = Plain::read(packet)?;
            Some(Expected { plain, look_up: self.flows.begin(&key(&plain)) })
        });
        loop {
            let begun = learnt.0.len();
            learnt.0.extend(packets.by_ref().take(GROUP));
            if learnt.0.len() == begun {
                break;
            }
            for expected in learnt.0[begun..].iter_mut().flatten() {
                self.flows.proceed(side, &mut expected.look_up);
            }
        }
    }
}
