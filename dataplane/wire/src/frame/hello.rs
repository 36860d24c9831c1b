//! The first frame on a connection: who speaks.

use super::{FrameError, FrameType, is_label, split_name};
use crate::bytes::{array, put, put_u16, u16_at, u32_at};

/// Version of the tunnel protocol that is spoken here.
pub const PROTOCOL_VERSION: u16 = 1;
/// Length of an instance id.
pub const INSTANCE_LEN: usize = 16;

// Offsets within the body.
const VERSION: usize = 0;
const FEATURES: usize = VERSION + size_of::<u16>();
const INSTANCE: usize = FEATURES + size_of::<u32>();
const CONNECTION_INDEX: usize = INSTANCE + INSTANCE_LEN;
const CONNECTION_COUNT: usize = CONNECTION_INDEX + 1;
const CONNECTION_KIND: usize = CONNECTION_COUNT + 1;
const RESERVED: usize = CONNECTION_KIND + 1;
const DATA_MTU: usize = RESERVED + 1;
const NODE: usize = DATA_MTU + size_of::<u16>();
/// Length of a hello's body up to the node's name, whose length byte is the first not counted.
pub const HELLO_FIXED_LEN: usize = NODE;
const _: () = assert!(HELLO_FIXED_LEN == 28);

/// What a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ConnectionKind {
    /// IP packets of vnets.
    Packets = 0,
    /// Layer 4 streams.
    Streams = 1,
}

/// A hello frame. Bytes after the name are ignored: later versions may add to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// Bits of optional functions that the sender has; none is defined yet.
    pub features: u32,
    /// Random for every start of the sender: a new one means that the old connections are dead.
    pub instance: [u8; INSTANCE_LEN],
    /// Which of the sender's connections of this kind to the peer this is, below `connection_count`.
    pub connection_index: u8,
    /// How many connections of this kind there are.
    pub connection_count: u8,
    /// What the connection carries.
    pub connection_kind: ConnectionKind,
    /// MTU of the sender's data NIC, in bytes.
    pub data_mtu: u16,
    /// Name of the sender, a DNS label.
    pub node: &'a str,
}

impl<'a> Hello<'a> {
    /// Reads a hello's body.
    ///
    /// # Errors
    /// [`FrameError::UnsupportedVersion`] whatever follows the version, since only its place is fixed for ever;
    /// else what is wrong with the fields.
    pub fn parse(body: &'a [u8]) -> Result<Self, FrameError> {
        let truncated = FrameError::TruncatedBody { frame_type: FrameType::Hello };
        if body.len() < FEATURES {
            return Err(truncated);
        }
        let version = u16_at(body, VERSION);
        if version != PROTOCOL_VERSION {
            return Err(FrameError::UnsupportedVersion { found: version });
        }
        if body.len() < HELLO_FIXED_LEN {
            return Err(truncated);
        }
        let (index, count) = (body[CONNECTION_INDEX], body[CONNECTION_COUNT]);
        if index >= count {
            return Err(FrameError::BadConnectionIndex { index, count });
        }
        let connection_kind = match body[CONNECTION_KIND] {
            0 => ConnectionKind::Packets,
            1 => ConnectionKind::Streams,
            found => return Err(FrameError::BadConnectionKind { found }),
        };
        let (node, _extensions) = split_name(&body[NODE..], FrameType::Hello)?;
        Ok(Self {
            features: u32_at(body, FEATURES),
            instance: array(body, INSTANCE),
            connection_index: index,
            connection_count: count,
            connection_kind,
            data_mtu: u16_at(body, DATA_MTU),
            node,
        })
    }

    /// Length of the body.
    pub(super) fn body_len(&self) -> usize {
        HELLO_FIXED_LEN + 1 + self.node.len()
    }

    /// Writes the body over `body`, whose length is [`Self::body_len`].
    pub(super) fn write(&self, body: &mut [u8]) {
        debug_assert!(is_label(self.node), "node names come from a validated configuration");
        put_u16(body, VERSION, PROTOCOL_VERSION);
        put(body, FEATURES, self.features.to_be_bytes());
        put(body, INSTANCE, self.instance);
        body[CONNECTION_INDEX] = self.connection_index;
        body[CONNECTION_COUNT] = self.connection_count;
        body[CONNECTION_KIND] = self.connection_kind as u8;
        body[RESERVED] = 0;
        put_u16(body, DATA_MTU, self.data_mtu);
        body[NODE] = self.node.len() as u8;
        body[NODE + 1..].copy_from_slice(self.node.as_bytes());
    }
}
