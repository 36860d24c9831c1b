//! How long a packet an interface takes, to cut it into segments (generic segmentation offload).

use netlink_packet_route::link::LinkAttribute;

use crate::NetlinkError;
use crate::requests::Requests;

/// What the kernel takes for granted where an interface says nothing: `GSO_LEGACY_MAX_SIZE`, `GSO_MAX_SEGS`
/// (`linux/netdevice.h`).
const USUAL: Segmentation = Segmentation { bytes: 65_536, segments: 65_535 };

/// Limits of packets that are cut, for IPv4 and IPv6 alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segmentation {
    /// Bytes of a packet.
    pub bytes: u32,
    /// Segments of a packet.
    pub segments: u32,
}

/// Asks about the interface of that name.
///
/// # Errors
/// [`NetlinkError::NoSuchInterface`]; others when the kernel does not answer.
pub fn segmentation(interface: &str) -> Result<Segmentation, NetlinkError> {
    let link = Requests::open()?.link_named(interface)?;
    let mut found = USUAL;
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::GsoMaxSize(bytes) => found.bytes = *bytes,
            LinkAttribute::GsoMaxSegs(segments) => found.segments = *segments,
            _ => {}
        }
    }
    Ok(found)
}
