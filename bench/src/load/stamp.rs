//! What every generated packet carries in its first bytes of payload.
//!
//! ```text
//!  0        2                 8                              16
//!  | trial  | sequence number | time sent                     |      big-endian
//! ```
//!
//! 18 bytes of payload are what an Ethernet frame of 64 bytes has room for behind IPv4 and UDP.

use std::time::Instant;

/// Bytes of a stamp.
pub(crate) const STAMP: usize = 16;

/// A packet's identity, and when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Which trial it belongs to: what an earlier one left on its way is told apart.
    pub(crate) trial: u16,
    /// From 0, one a packet. Below 2^48.
    pub(crate) sequence: u64,
    /// Nanoseconds since the clock's start.
    pub(crate) sent: u64,
}

impl Stamp {
    /// Writes it to the start of `payload`.
    pub(crate) fn write(self, payload: &mut [u8; STAMP]) {
        payload[..8].copy_from_slice(&(u64::from(self.trial) << 48 | self.sequence).to_be_bytes());
        payload[8..].copy_from_slice(&self.sent.to_be_bytes());
    }

    /// Reads it from the start of a payload; `None` of one that is too short.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let head = u64::from_be_bytes(*payload.first_chunk()?);
        let sent = u64::from_be_bytes(*payload.get(8..)?.first_chunk()?);
        Some(Self { trial: (head >> 48) as u16, sequence: head & 0xffff_ffff_ffff, sent })
    }
}

/// The clock of all stamps, monotonic and common to all threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since its start.
    pub(crate) fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        let stamp = Stamp { trial: 0xfffe, sequence: 0xffff_ffff_fffe, sent: u64::MAX - 1 };
        let mut payload = [0; 18];
        stamp.write(payload.first_chunk_mut().unwrap());
        assert_eq!(Stamp::read(&payload), Some(stamp));
        assert_eq!(Stamp::read(&payload[..STAMP - 1]), None);
    }
}
