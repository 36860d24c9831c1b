//! The buffer a record is written into, sealed in and sent from.

use gridway_wire::frame::{FrameWriter, Full, PacketsBuilder, VnetId};
use gridway_wire::time::Nanos;

/// Bytes of a TLS record header (RFC 8446, 5.1).
pub const HEADER_LEN: usize = 5;
/// Most plaintext of one record (RFC 8446, 5.1).
pub const MAX_PLAINTEXT: usize = 16_384;
/// Content type byte and AEAD tag that follow the plaintext inside a record (RFC 8446, 5.2).
pub const TRAILER_LEN: usize = 1 + TAG_LEN;
/// Bytes of an AEAD tag of every TLS 1.3 cipher suite offered here.
pub const TAG_LEN: usize = 16;
/// A full record on the wire.
pub const MAX_RECORD: usize = HEADER_LEN + MAX_PLAINTEXT + TRAILER_LEN;

/// Where a packet comes from that goes into a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A local host sent it.
    Local,
    /// Another peer sent it.
    Relayed,
    /// The node made it: it was never received.
    Own,
}

/// Packets in a record by their source, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Packets of local hosts.
    pub local: u64,
    /// Their bytes.
    pub local_bytes: u64,
    /// Packets of other peers.
    pub relayed: u64,
    /// Their bytes.
    pub relayed_bytes: u64,
    /// Packets of the node itself.
    pub own: u64,
    /// Their bytes.
    pub own_bytes: u64,
}

impl Contents {
    /// Packets of every source.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.local + self.relayed + self.own
    }

    /// Bytes of packets of every source.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.local_bytes + self.relayed_bytes + self.own_bytes
    }
}

impl std::ops::AddAssign for Contents {
    fn add_assign(&mut self, other: Self) {
        self.local += other.local;
        self.local_bytes += other.local_bytes;
        self.relayed += other.relayed;
        self.relayed_bytes += other.relayed_bytes;
        self.own += other.own;
        self.own_bytes += other.own_bytes;
    }
}

/// One record under construction or on its way to the socket.
///
/// Header room in front and trailer room behind let the record be sealed where the packets were
/// written, so the copy out of the receive ring is the only one, unless records are joined ([`Self::append`]).
#[derive(Debug)]
pub struct RecordBuffer {
    bytes: Box<[u8]>,
    packets: PacketsBuilder,
    contents: Contents,
    plaintext_len: usize,
    sealed_len: usize,
    /// When the data worker closed the record, or the first one of those joined: the start of its wait for the socket.
    pub closed_at: Nanos,
    /// It holds packets of sparse flows and passes records that wait.
    pub passes: bool,
}

impl Default for RecordBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl RecordBuffer {
    /// An empty record. Allocates; the packet path takes its buffers from a pool.
    #[must_use]
    pub fn new() -> Self {
        Self::over(vec![0; MAX_RECORD])
    }

    /// As [`Self::new`], with memory behind all of it: zeros are but promised by the kernel until they are written.
    #[must_use]
    pub fn with_memory() -> Self {
        Self::over(vec![0xff; MAX_RECORD])
    }

    fn over(bytes: Vec<u8>) -> Self {
        Self {
            bytes: bytes.into_boxed_slice(),
            packets: PacketsBuilder::new(),
            contents: Contents::default(),
            plaintext_len: 0,
            sealed_len: 0,
            closed_at: Nanos::default(),
            passes: false,
        }
    }

    /// Makes the buffer empty again; its bytes are overwritten by the next record.
    pub fn clear(&mut self) {
        self.packets = PacketsBuilder::new();
        self.contents = Contents::default();
        self.plaintext_len = 0;
        self.sealed_len = 0;
        self.passes = false;
    }

    /// Appends an IP packet of the vnet that the sender announced as `vnet`.
    ///
    /// # Errors
    /// [`Full`] when the packet does not fit; the record is unchanged.
    pub fn push_packet(&mut self, vnet: VnetId, packet: &[u8], source: Source) -> Result<(), Full> {
        let room = &mut self.bytes[HEADER_LEN..HEADER_LEN + MAX_PLAINTEXT];
        self.packets.append(room, vnet, packet)?;
        self.plaintext_len = self.packets.len();
        let (packets, bytes) = match source {
            Source::Local => (&mut self.contents.local, &mut self.contents.local_bytes),
            Source::Relayed => (&mut self.contents.relayed, &mut self.contents.relayed_bytes),
            Source::Own => (&mut self.contents.own, &mut self.contents.own_bytes),
        };
        *packets += 1;
        *bytes += packet.len() as u64;
        Ok(())
    }

    /// Appends what `other` holds. Its frames are copied as they are.
    ///
    /// # Errors
    /// [`Full`] when that does not fit; the record is unchanged.
    pub fn append(&mut self, other: &Self) -> Result<(), Full> {
        let (needed, free) = (other.plaintext_len, MAX_PLAINTEXT - self.plaintext_len);
        if needed > free {
            return Err(Full { needed, free });
        }
        let end = self.plaintext_len + needed;
        self.bytes[HEADER_LEN + self.plaintext_len..HEADER_LEN + end].copy_from_slice(other.plaintext());
        self.plaintext_len = end;
        self.packets = PacketsBuilder::at(end);
        self.contents += other.contents;
        Ok(())
    }

    /// Appends control frames that `write` puts behind what is there.
    ///
    /// # Errors
    /// [`Full`] when a frame does not fit; those before it stay.
    pub fn push_frames(
        &mut self,
        write: impl FnOnce(&mut FrameWriter<'_>) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let room = &mut self.bytes[HEADER_LEN..HEADER_LEN + MAX_PLAINTEXT];
        let mut writer = FrameWriter::at(room, self.plaintext_len);
        let result = write(&mut writer);
        self.plaintext_len = writer.len();
        self.packets = PacketsBuilder::at(self.plaintext_len);
        result
    }

    /// Packets in the record.
    #[must_use]
    pub fn contents(&self) -> Contents {
        self.contents
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plaintext_len == 0
    }

    /// The frames written so far.
    #[must_use]
    pub fn plaintext(&self) -> &[u8] {
        &self.bytes[HEADER_LEN..HEADER_LEN + self.plaintext_len]
    }

    /// The record as it goes on the wire; empty until it was sealed.
    #[must_use]
    pub fn sealed(&self) -> &[u8] {
        &self.bytes[..self.sealed_len]
    }

    pub(crate) fn parts(&mut self) -> (&mut [u8], usize) {
        (&mut self.bytes, self.plaintext_len)
    }

    pub(crate) fn set_sealed(&mut self, len: usize) {
        self.sealed_len = len;
    }

    pub(crate) fn set_plaintext(&mut self, bytes: &[u8]) {
        self.clear();
        self.bytes[HEADER_LEN..HEADER_LEN + bytes.len()].copy_from_slice(bytes);
        self.plaintext_len = bytes.len();
    }
}
