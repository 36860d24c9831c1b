//! Packets that are judged soon: what they need is fetched for all of them together.
//!
//! One look-up after the other waits for memory once a packet; look-ups that are begun together wait at the same time.
//! What was found out about a packet for that is not worked out again when its turn comes.

use gridway_wire::plain::Plain;

use crate::flow::{Begun, Key, Side};
use crate::forwarder::Forwarder;
use crate::ids::VnetId;

/// What is known of a plain packet before it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    pub(crate) plain: Plain,
    pub(crate) look_up: Begun,
}

/// What is known of the packets of a burst, in their order.
#[derive(Debug, Default)]
pub struct Expectations(Vec<Option<Expected>>);

impl Expectations {
    /// What is known of the packet with this number, from 0.
    #[inline]
    #[must_use]
    pub fn of(&self, number: usize) -> Option<&Expected> {
        self.0.get(number)?.as_ref()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Forwarder {
    /// Learns what it can of packets that [`Self::outbound`] will be given soon.
    pub fn expect_outbound<'p>(&self, packets: impl Iterator<Item = &'p [u8]>, learnt: &mut Expectations) {
        self.expect(Side::Local, packets, Key::plain_local, learnt);
    }

    /// As [`Self::expect_outbound`], for [`Self::inbound`].
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
        learnt.clear();
        learnt.0.extend(packets.map(|packet| {
            let plain = Plain::read(packet)?;
            Some(Expected { plain, look_up: self.flows.begin(&key(&plain)) })
        }));
        for expected in learnt.0.iter_mut().flatten() {
            self.flows.proceed(side, &mut expected.look_up);
        }
    }
}
