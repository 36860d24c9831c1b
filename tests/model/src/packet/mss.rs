//! The maximum segment size that a SYN announces (RFC 9293 3.7.1).

use super::{Carries, Packet, SYN};

const FIXED_TCP_HEADER: usize = 20;
const MSS_KIND: u8 = 2;
const MSS_LEN: u8 = 4;

impl Packet {
    /// The MSS option of a SYN or SYN-ACK.
    #[must_use]
    pub fn mss(&self) -> Option<u16> {
        self.mss_at().map(|at| self.word(at))
    }

    /// The packet with its MSS lowered to what fits `mtu`: less 40 bytes in IPv4, less 60 in IPv6. Never
    /// raised, never added; that of a SYN in fragments stays.
    #[must_use]
    pub(crate) fn clamped(&self, mtu: u16) -> Self {
        let headers = if self.source.is_ipv4() { 40 } else { 60 };
        let most = mtu.saturating_sub(headers);
        match self.mss_at() {
            Some(at) if self.is_whole() && self.word(at) > most => {
                let mut payload = self.payload.clone();
                payload[at..at + 2].copy_from_slice(&most.to_be_bytes());
                self.with_payload(payload)
            }
            _ => self.clone(),
        }
    }

    fn mss_at(&self) -> Option<usize> {
        if !matches!(self.carries(), Carries::Tcp(flags) if flags & SYN != 0) {
            return None;
        }
        let end = usize::from(self.payload[12] >> 4) * 4;
        let mut at = FIXED_TCP_HEADER;
        while at < end {
            match self.payload[at] {
                0 => return None,
                1 => at += 1,
                kind => {
                    let length = usize::from(*self.payload[..end].get(at + 1)?);
                    if length < 2 || at + length > end {
                        return None;
                    }
                    if kind == MSS_KIND && length == usize::from(MSS_LEN) {
                        return Some(at + 2);
                    }
                    at += length;
                }
            }
        }
        None
    }
}
