//! Cutting a datagram to an MTU (RFC 791, "an example fragmentation procedure").

use super::{Header, Packet};

impl Packet {
    /// Whether a router may cut the packet: IPv4 without "don't fragment".
    #[must_use]
    pub(crate) fn may_be_cut(&self) -> bool {
        matches!(self.header, Header::V4 { dont_fragment: false, .. })
    }

    /// The packet in pieces of up to `mtu` bytes, each but the last as long as it may be.
    #[must_use]
    pub(crate) fn cut(&self, mtu: usize) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut at = 0;
        while at < self.payload.len() || pieces.is_empty() {
            let mut piece = self.clone();
            if at > 0 {
                piece.header = later_header(&self.header);
            }
            let room = mtu - piece.header_len();
            let left = self.payload.len() - at;
            let take = if left <= room { left } else { room / 8 * 8 };
            piece.payload = self.payload[at..at + take].to_vec();
            piece.piece.offset = self.piece.offset + at;
            piece.piece.more = self.piece.more || take < left;
            at += take;
            pieces.push(piece);
        }
        pieces
    }
}

/// Later fragments carry the options that have their copy bit set (RFC 791 3.1), padded to words.
fn later_header(header: &Header) -> Header {
    let mut header = header.clone();
    if let Header::V4 { options, .. } = &mut header {
        let mut copied = Vec::new();
        let mut rest = options.as_slice();
        while let [kind, ..] = rest {
            let length = match kind {
                0 => break,
                1 => 1,
                _ => usize::from(rest[1]),
            };
            if kind & 0x80 != 0 {
                copied.extend(&rest[..length]);
            }
            rest = &rest[length..];
        }
        copied.resize(copied.len().next_multiple_of(4), 0);
        *options = copied;
    }
    header
}
