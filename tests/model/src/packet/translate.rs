//! New addresses and ports for a packet.

use super::{Carries, Packet, checksum};
use crate::tuple::Tuple;

impl Packet {
    /// The packet with the addresses and ports of `to`. Of a later fragment only addresses change.
    #[must_use]
    pub fn translated(&self, to: &Tuple) -> Self {
        let mut after = self.clone();
        after.source = to.source;
        after.destination = to.destination;
        match self.carries() {
            Carries::Tcp(_) | Carries::Udp => {
                after.put_word(0, to.source_port);
                after.put_word(2, to.destination_port);
            }
            // The identifier is the port of whoever is translated: one of the two has changed at most.
            Carries::Query | Carries::Reply => {
                let old = self.word(4);
                let new = if to.source_port == old { to.destination_port } else { to.source_port };
                after.put_word(4, new);
            }
            _ => {}
        }
        checksum::refresh(self, &mut after);
        after
    }

    /// The packet with another payload of the same length, checksum brought up to date.
    #[must_use]
    pub(crate) fn with_payload(&self, payload: Vec<u8>) -> Self {
        let mut after = Self { payload, ..self.clone() };
        checksum::refresh(self, &mut after);
        after
    }

    fn put_word(&mut self, at: usize, word: u16) {
        self.payload[at..at + 2].copy_from_slice(&word.to_be_bytes());
    }
}
